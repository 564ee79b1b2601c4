"""A list of pictures: the same set as their folder, and checked against its hashes."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import told
from samples import make_picture
from strategies import QUICK

from edge.errors import CalibrationError, InputError
from edge.quant.dataset import open_calibration_set
from edge.quant.manifest import LINE, read_manifest


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_list_gives_the_same_set_as_its_folder(picture_folder, tmp_path):
    (picture_folder / "text.jpg").write_text("no picture")
    (picture_folder / "copy of 1.png").write_bytes((picture_folder / "1.png").read_bytes())
    files = sorted(picture_folder.iterdir(), reverse=True)
    manifest = tmp_path / "list.txt"
    lines = ["# mine", "", *(f"  pictures/{path.name}\r" for path in files)]
    manifest.write_text("\n".join(lines))
    listed, found = open_calibration_set(manifest), open_calibration_set(picture_folder)
    assert listed.source == str(manifest)
    assert [path.name for path in listed.files] == [path.name for path in found.files]
    assert (listed.sha256, listed.copies, listed.unreadable) == (found.sha256, 1, 1)


def test_list_takes_hashes_paths_with_spaces_and_whole_paths(tmp_path):
    first = make_picture(tmp_path / "a b.png", seed=1)
    second = make_picture(tmp_path / "c.png", seed=2)
    manifest = tmp_path / "list.txt"
    manifest.write_text(f"{second}\t{sha256(second).upper()}\na b.png {sha256(first)}\n")
    assert read_manifest(manifest) == [first, second]


def test_list_is_refused_when_a_file_is_missing_or_another_one(tmp_path):
    picture = make_picture(tmp_path / "a.png")
    manifest = tmp_path / "list.txt"
    for line, words in (
        ("b.png", "b.png: no such file. Mend the line"),
        (".", ".: no such file. Mend the line"),
        (f"a.png {sha256(picture)[:-1]}", f"a.png {sha256(picture)[:-1]}: no such file"),
        (f"a.png {'0' * 64}", "a.png: is another file than the one that was listed. Get "),
    ):
        manifest.write_text(f"a.png\n{line}\n")
        with pytest.raises(CalibrationError) as caught:
            read_manifest(manifest)
        assert told(caught).startswith(f"{manifest}, line 2: {words}")


def test_list_is_refused_when_a_line_is_longer_than_any_name(tmp_path):
    """JSON on one line, given by mistake."""
    manifest = tmp_path / "labels.json"
    manifest.write_text("[" + "1," * 300 + "1]")
    with pytest.raises(InputError) as caught:
        read_manifest(manifest)
    assert told(caught).endswith("1]: File name too long. Check the path")


@pytest.mark.parametrize("data", [b"\xff\xd8\xff\xe0", b"a.png\0\n", b"\x08\x07\x12\x00zero"])
def test_list_is_refused_when_it_is_no_text(tmp_path, data):
    manifest = tmp_path / "list.txt"
    manifest.write_bytes(data)
    with pytest.raises(CalibrationError) as caught:
        read_manifest(manifest)
    assert told(caught).startswith(f"{manifest}: is no list of pictures. ")


def test_line_of_many_blanks_is_read_at_once():
    """In time that grows with the square of them this would take a day."""
    line = f"a{' ' * 2_000_000}b"
    assert LINE.fullmatch(line)["path"] == line


PATHS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).filter(
    lambda path: not path.startswith("#") and not re.fullmatch(".*[0-9a-fA-F]{64}", path)
)


@QUICK
@given(
    PATHS, st.binary(min_size=32, max_size=32).map(bytes.hex), st.sampled_from([" ", "\t", "  "])
)
def test_line_gives_path_and_hash_back(path, digest, gap):
    with_hash, without = LINE.fullmatch(f"{path}{gap}{digest}"), LINE.fullmatch(path)
    assert (with_hash["path"], with_hash["sha256"]) == (path, digest)
    assert (without["path"], without["sha256"]) == (path, None)
