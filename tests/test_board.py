"""Which machine this is, from the texts that real boards give."""

from __future__ import annotations

import csv

import pytest
from boards import BOARDS, make_board
from hypothesis import given
from hypothesis import strategies as st

from edge.board import Board, SysRoot, detect_board, parse_compatible, parse_l4t_release

MODULES = {
    "tx1": "p2371-2180",
    "nano": "Nano",
    "tx2": "tegra186",
    "xavier_nx": "Xavier NX",
    "xavier_nx_p3509": "Xavier NX",
    "agx_xavier": "AGX Xavier",
    "agx_orin_jp5": "AGX Orin",
    "agx_orin_jp6": "AGX Orin",
    "orin_nx": "Orin NX 16GB",
    "orin_nano": "Orin Nano 8GB",
    "thor": "tegra264",
}


@pytest.mark.parametrize("name", BOARDS)
def test_board_is_told_from_its_files(name, tmp_path):
    board = detect_board(make_board(tmp_path, name))
    if BOARDS[name].module is None:
        assert board is None
    else:
        assert (board.module, board.l4t) == (BOARDS[name].module, "36.4.7")
        assert board.soc.startswith("tegra")


def test_board_is_still_a_jetson_when_only_the_release_file_is_there(tmp_path):
    make_board(tmp_path, "orin_nano")
    (tmp_path / "proc/device-tree/compatible").unlink()
    board = detect_board(SysRoot(tmp_path))
    assert (board.module, board.soc, board.l4t) == ("unknown Jetson", "unknown", "36.4.7")


def test_board_is_told_without_a_release_file(tmp_path):
    make_board(tmp_path, "agx_orin")
    (tmp_path / "etc/nv_tegra_release").unlink()
    board = detect_board(SysRoot(tmp_path))
    assert (board.module, board.soc, board.l4t) == ("AGX Orin", "tegra234", None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nvidia,p3509-0000+p3668-0001\0nvidia,tegra194\0", ("Xavier NX", "tegra194")),
        ("nvidia,p3768-0000+p3767-0003\0nvidia,tegra234\0", ("Orin Nano 8GB", "tegra234")),
        ("nvidia,p3768-0000+p3767-0009\0nvidia,tegra234\0", ("p3767-0009", "tegra234")),
        ("nvidia,tegra999\0", ("tegra999", "tegra999")),
        ("raspberrypi,5-model-b\0brcm,bcm2712\0", None),
        ("", None),
    ],
)
def test_compatible_names_the_module_and_not_its_carrier(text, found):
    assert parse_compatible(text) == found


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic", "36.4.7"),
        ("# R35 (release), REVISION: 2.1", "35.2.1"),
        ("# R36 (release), GCID: 42132812", None),
        ("", None),
    ],
)
def test_release_is_read_from_its_first_line(text, release):
    assert parse_l4t_release(text) == release


@pytest.mark.shared_data
def test_releases_of_real_boards_are_read(shared_data):
    files = sorted((shared_data / "jetson" / "nv_tegra_release").glob("*.txt"))
    assert files
    for file in files:
        expected = file.name.split("_")[0][1:] + "." + file.name.split("_")[1]
        assert parse_l4t_release(file.read_text()) == expected, file.name


@pytest.mark.shared_data
def test_modules_of_real_boards_are_named(shared_data):
    with (shared_data / "jetson" / "device_tree.csv").open() as table:
        rows = list(csv.DictReader(table))
    found = {row["board"]: parse_compatible(row["compatible"].replace(";", "\0")) for row in rows}
    assert {name: module for name, (module, _) in found.items()} == MODULES
    assert {row["board"]: row["soc"] for row in rows} == {
        name: soc for name, (_, soc) in found.items()
    }


JETSONISH = st.text(alphabet="nvidia,tegrap0123456789-+#R() release,REVISION:.\0\n")


@given(st.text() | JETSONISH)
def test_parsers_never_raise(text):
    release = parse_l4t_release(text)
    assert release is None or release[0].isdigit()
    found = parse_compatible(text)
    assert found is None or all(found)


def test_root_gives_none_for_what_cannot_be_read(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe text \0\n")
    root = SysRoot(tmp_path)
    assert root.read_text("absent") is None
    assert root.read_text("folder") is None
    assert root.read_text("binary") == "\ufffd\ufffd text"


def test_jetpack_of_each_release_is_that_of_the_table(shared_data):
    with (shared_data / "jetson/l4t_jetpack.csv").open() as file:
        for row in csv.DictReader(file):
            release = row["l4t"].replace("x", "1")
            assert Board("any", "any", release).jetpack == row["jetpack"]


@pytest.mark.parametrize(
    ("release", "jetpack"),
    [("36.4.7", "6.2.1"), ("36.3.0", "6.0"), ("38.2.0", "7.0"), ("38.2.2", "7.0"),
     ("36.4.99", None), ("32.7.3", None), ("38", None), (None, None)],
)  # fmt: skip
def test_jetpack_is_named_and_never_guessed(release, jetpack):
    assert Board("any", "any", release).jetpack == jetpack
