"""Files of lines: rotation, going on after an earlier run, and what is refused."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import InputError
from edge.sinks.line_file import KEEP, LineFile, Rotation, parse_rotation

HEAD = b"head\n"


def write(path, *lines, head=HEAD, rotation=None):
    with closing(LineFile(str(path), head, rotation)) as file:
        for line in lines:
            file.write(line)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("text", "rotation"),
    [
        ("100MB:5", Rotation(100_000_000, 5)),
        ("1kB:1", Rotation(1000, 1)),
        ("2GB", Rotation(2_000_000_000, KEEP)),
    ],
)
def test_rotation_is_read(text, rotation):
    assert parse_rotation(text) == rotation


@given(st.text(alphabet="0123456789kMGB:. -", max_size=12))
def test_rotation_is_read_or_refused(text):
    try:
        rotation = parse_rotation(text)
    except InputError as error:
        assert str(error).startswith(f"--rotate {' '.join(text.split())}")  # noqa: PT017
    else:
        assert rotation.most_bytes > 0
        assert rotation.keep > 0


def test_full_files_are_put_aside_and_the_oldest_is_dropped(tmp_path):
    lines = [f"line {number}\n".encode() for number in range(9)]
    write(tmp_path / "f", *lines, rotation=Rotation(20, 2))
    assert contents(tmp_path) == {
        "f.2": HEAD + b"line 4\nline 5\n",
        "f.1": HEAD + b"line 6\nline 7\n",
        "f": HEAD + b"line 8\n",
    }


def test_line_longer_than_a_file_has_one_for_itself(tmp_path):
    write(tmp_path / "f", b"a\n", b"b" * 99 + b"\n", b"c\n", head=b"", rotation=Rotation(20, 5))
    assert contents(tmp_path) == {"f.2": b"a\n", "f.1": b"b" * 99 + b"\n", "f": b"c\n"}


@given(
    lines=st.lists(st.integers(1, 40), max_size=30), most_bytes=st.integers(1, 60),
    keep=st.integers(1, 4), together=st.integers(1, 5),
)  # fmt: skip
def test_files_hold_the_newest_lines_in_order_and_no_more_than_they_may(
    tmp_path_factory, lines, most_bytes, keep, together
):
    folder = tmp_path_factory.mktemp("rotated")
    texts = [b"%d" % number + b"." * length + b"\n" for number, length in enumerate(lines)]
    writes = [b"".join(texts[at : at + together]) for at in range(0, len(texts), together)]
    write(folder / "f", *writes, rotation=Rotation(most_bytes, keep))
    found = contents(folder)
    names = [name for name in (*(f"f.{number}" for number in range(keep, 0, -1)), "f")
             if name in found]  # fmt: skip
    assert set(names) == set(found)
    held = b"".join(found[name].removeprefix(HEAD) for name in names)
    assert b"".join(texts).endswith(held)
    for data in found.values():
        assert data.startswith(HEAD)
        assert len(data) <= max(most_bytes, len(HEAD)) or data.count(b"\n") == 2
    if len(names) <= keep:
        assert held == b"".join(texts)


@pytest.mark.parametrize("torn", [b"", b"half a li"])
def test_rotated_file_of_an_earlier_run_is_continued_after_its_last_whole_line(tmp_path, torn):
    """A power cut may leave a part of a line."""
    (tmp_path / "f").write_bytes(HEAD + b"old\n" + torn)
    write(tmp_path / "f", b"new\n", rotation=Rotation(100, 2))
    assert contents(tmp_path) == {"f": HEAD + b"old\nnew\n"}


@pytest.mark.parametrize("old", [b"other head\nold\n", b"no line at all"])
def test_rotated_file_of_another_kind_is_put_aside(tmp_path, old):
    (tmp_path / "f").write_bytes(old)
    write(tmp_path / "f", b"new\n", rotation=Rotation(100, 2))
    assert contents(tmp_path) == {"f.1": old, "f": HEAD + b"new\n"}


def test_file_without_rotation_replaces_an_earlier_one(tmp_path):
    (tmp_path / "f").write_bytes(HEAD + b"old\n")
    write(tmp_path / "f", b"new\n")
    assert contents(tmp_path) == {"f": HEAD + b"new\n"}


def test_device_cannot_be_rotated():
    with pytest.raises(InputError, match="/dev/null: is no regular file and cannot be rotated"):
        LineFile("/dev/null", rotation=Rotation(100, 2))


def test_head_that_does_not_fit_is_told_at_once():
    with pytest.raises(InputError, match="/dev/full: no space left"):
        LineFile("/dev/full", HEAD)


def test_folder_that_is_gone_is_told_when_the_file_is_full(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with closing(LineFile(str(folder / "f"), rotation=Rotation(10, 2))) as file:
        file.write(b"12345678\n")
        (folder / "f").unlink()
        folder.rmdir()
        with pytest.raises(InputError, match="f: no such file or folder"):
            file.write(b"12345678\n")


@pytest.mark.parametrize("together", [1, 4])
def test_part_of_a_line_is_cut_off_when_the_disk_is_full(tmp_path, together):
    """In a process of its own: the limit is that of the process."""
    script = (
        "from edge.sinks.line_file import LineFile\n"
        "file = LineFile('f')\n"
        "try:\n"
        f"    while True: file.write(b'123456789\\n' * {together})\n"
        "finally: file.close()\n"
    )
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (55, 55))  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, preexec_fn=limit, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert "InputError: f: the file would be too large" in done.stderr
    assert (tmp_path / "f").read_bytes() == b"123456789\n" * 5


def test_stdout_that_does_not_block_is_waited_for():
    """Who shares a terminal or pipe with us may have made it so."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    script = (
        "from edge.sinks.line_file import LineFile\n"
        "file = LineFile('-')\n"
        "for _ in range(100): file.write(b'x' * 9999 + b'\\n')\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=writer) as process:
        os.close(writer)
        with open(reader, "rb") as pipe:  # noqa: PTH123 - a pipe
            data = pipe.read()
    assert process.returncode == 0
    assert data == (b"x" * 9999 + b"\n") * 100
