"""Files: whole or not at all, and the reason in one line."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import told
from strategies import QUICK

from edge.errors import InputError
from edge.files import (
    check_target,
    check_target_folder,
    explain_os_error,
    read_bytes,
    read_toml,
    sha256_bytes,
    sha256_file,
    write_atomic,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@QUICK
@given(data=st.binary())
def test_file_comes_back_equal_when_written_and_read(folder, data):
    path = folder / "file"
    write_atomic(path, data)
    assert read_bytes(path) == data
    assert sha256_file(path) == sha256_bytes(data) == hashlib.sha256(data).hexdigest()
    assert [item.name for item in folder.iterdir()] == ["file"]


def test_sha256_reads_a_file_longer_than_its_pieces(tmp_path):
    data = os.urandom((1 << 20) + 12_345)
    (tmp_path / "long").write_bytes(data)
    assert sha256_file(tmp_path / "long") == hashlib.sha256(data).hexdigest()


def test_write_makes_a_file_that_others_can_read(tmp_path):
    write_atomic(tmp_path / "file", b"data")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_write_replaces_the_file_and_not_what_a_reader_has_open(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    with path.open("rb") as reader:
        write_atomic(path, b"new, and longer")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new, and longer"


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from edge.errors import InputError
from edge.files import write_atomic

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomic(Path(sys.argv[1]), bytes(2000))
except InputError as error:
    print(error)
"""


def test_write_leaves_the_old_file_and_nothing_else_when_the_data_does_not_fit(tmp_path):
    """A limit on the file size stands for a full disk: the write fails halfway in the same way."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (f"{path}: the file would be too large. Write to another file system\n")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["model.onnx"]


def test_write_names_the_path_when_its_folder_is_missing_or_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path, words in (
        (tmp_path / "none" / "m.onnx", "no such file or folder"),
        (tmp_path / "file" / "m.onnx", "a part of the path is a file"),
    ):
        with pytest.raises(InputError) as caught:
            write_atomic(path, b"data")
        assert told(caught) == f"{path}: {words}. Check the path"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_write_leaves_a_folder_of_that_name_alone(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "inside").write_bytes(b"")
    with pytest.raises(InputError) as caught:
        write_atomic(tmp_path / "models", b"data")
    assert told(caught).startswith(f"{tmp_path}/models: is a folder, a file is wanted. ")
    assert [item.name for item in tmp_path.rglob("*")] == ["models", "inside"]


def test_write_goes_through_a_device_and_does_not_replace_it(tmp_path):
    """As root, `-o /dev/null` must not turn the device into a file."""
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    write_atomic(link, b"data")
    assert link.readlink() == Path("/dev/null")
    assert link.is_char_device()
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    with pytest.raises(InputError) as caught:
        write_atomic(full, b"data")
    assert told(caught) == (
        f"{full}: no space left on the disk. Free some space, then run it again"
    )


@pytest.mark.parametrize("read", [read_bytes, sha256_file])
def test_read_names_the_path_when_it_is_missing_or_a_folder(tmp_path, read):
    with pytest.raises(InputError) as caught:
        read(tmp_path / "none")
    assert told(caught) == f"{tmp_path}/none: no such file or folder. Check the path"
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert told(caught) == f"{tmp_path}: is a folder, a file is wanted. Give the path of a file"


def test_read_refuses_what_is_too_large_before_it_takes_the_memory(tmp_path):
    with (tmp_path / "film.mp4").open("wb") as film:
        film.truncate(3 << 30)
    with pytest.raises(InputError) as caught:
        read_bytes(tmp_path / "film.mp4")
    assert told(caught) == (
        f"{tmp_path}/film.mp4: has 3,221,225,472 bytes, at most 2,147,483,647 are read."
        " Check the path"
    )


def test_explain_gives_one_line_for_every_error_of_the_system():
    errors = [OSError(number, os.strerror(number)) for number in errno.errorcode]
    for error in [*errors, OSError("odd")]:
        line = str(explain_os_error("file", error))
        assert line.startswith("file: ")
        assert "\n" not in line
        assert "None" not in line


def test_target_is_refused_before_the_work_when_it_cannot_be_written(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    for name, said in (("absent/new", "no such file or folder"), ("", "is a folder"),
                       ("old/new", "a part of the path is a file")):  # fmt: skip
        with pytest.raises(InputError) as caught:
            check_target(tmp_path / name)
        assert said in told(caught)
    check_target(tmp_path / "new")
    check_target(tmp_path / "old")
    assert [item.name for item in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"


def test_target_is_refused_before_the_work_when_its_folder_takes_no_new_file():
    """An old file that may be read is replaced by a new one, which has to lie beside it first."""
    with pytest.raises(InputError) as caught:
        check_target(Path("/proc/self/status"))
    assert told(caught).startswith("/proc/self/status: ")
    check_target(Path("/dev/null"))


@pytest.mark.parametrize("check", [check_target, check_target_folder])
def test_target_is_refused_in_one_line_when_its_name_is_too_long(tmp_path, check):
    with pytest.raises(InputError) as caught:
        check(tmp_path / ("x" * 300))
    assert "xxx: File name too long. " in told(caught)


@pytest.mark.parametrize("name", ["x" * 255, "\N{OK HAND SIGN}" * 63])
def test_the_longest_names_can_be_written(tmp_path, name):
    check_target(tmp_path / name)
    write_atomic(tmp_path / name, b"data")
    assert [item.name for item in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("text", [b"a = ", b"\xff\xfe", b"[a]\n[a]"])
def test_toml_that_is_none_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "broken.toml"
    path.write_bytes(text)
    with pytest.raises(InputError) as caught:
        read_toml(path)
    assert told(caught).startswith(f"{path}: is no TOML")


def test_toml_gives_its_tables(tmp_path):
    path = tmp_path / "good.toml"
    path.write_text('["a.b"]\nsize = 3\n')
    assert read_toml(path) == {"a.b": {"size": 3}}
