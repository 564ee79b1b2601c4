"""A calibration set: which pictures count, once each, in an order that no folder decides."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from networks import told
from samples import make_contract, make_picture

from edge.errors import CalibrationError, InputError
from edge.quant.dataset import open_calibration_set


def names(calibration) -> list[str]:
    return [str(path.relative_to(calibration.source)) for path in calibration.files]


def test_set_counts_each_picture_once_in_sorted_order(tmp_path):
    for number, name in enumerate(["b.png", "a.jpg", "c.BMP"]):
        make_picture(tmp_path / name.lower(), seed=number).rename(tmp_path / name)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    make_picture(tmp_path / "deep" / "er" / "d.png", seed=9)
    shutil.copy(tmp_path / "b.png", tmp_path / "z.png")
    shutil.copy(tmp_path / "b.png", tmp_path / "deep" / "copy.png")
    (tmp_path / "notes.txt").write_text("no picture")
    calibration = open_calibration_set(tmp_path)
    assert names(calibration) == ["a.jpg", "b.png", "c.BMP", "deep/er/d.png"]
    assert (calibration.copies, calibration.unreadable) == (2, 0)


def test_set_has_the_same_hash_whatever_its_files_and_folder_are_called(picture_folder, tmp_path):
    first = open_calibration_set(picture_folder)
    other = tmp_path / "other"
    (other / "half").mkdir(parents=True)
    for number, path in enumerate(first.files):
        folder = other if number % 2 else other / "half"
        shutil.copy(path, folder / f"{9 - number}.png")
    shutil.copy(first.files[0], other / "copy.png")
    assert open_calibration_set(other).sha256 == first.sha256


def test_set_has_another_hash_when_a_picture_is_gone(picture_folder):
    first = open_calibration_set(picture_folder)
    first.files[0].unlink()
    assert open_calibration_set(picture_folder).sha256 != first.sha256


def test_set_skips_and_counts_what_only_looks_like_a_picture(picture_folder):
    """A folder and a cut PNG too; a cut JPEG is not here, as OpenCV 4 still decodes half of it."""
    (picture_folder / "text.jpg").write_text("I am no picture")
    (picture_folder / "empty.png").write_bytes(b"")
    whole = (picture_folder / "0.png").read_bytes()
    (picture_folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (picture_folder / "header.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF")
    (picture_folder / "folder.jpg").mkdir()
    calibration = open_calibration_set(picture_folder)
    assert names(calibration) == [f"{number}.png" for number in range(6)]
    assert (calibration.copies, calibration.unreadable) == (0, 5)


def test_set_is_refused_when_no_picture_decodes(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_text("text")
    with pytest.raises(CalibrationError) as caught:
        open_calibration_set(tmp_path)
    assert told(caught).startswith(f"{tmp_path}: none of its 3 pictures can be decoded. Give ")


def test_set_is_refused_when_the_folder_is_empty_missing_or_a_file(tmp_path):
    file = tmp_path / "file"
    empty = tmp_path / "empty"
    empty.mkdir()
    file.write_bytes(b"")
    make_picture(tmp_path / "one.png")
    for folder, words in (
        (tmp_path / "one.png", "is one picture"),
        (empty, "holds no picture"),
        (tmp_path / "none", "no such folder or list"),
        (tmp_path / ("none" * 99), "File name too long"),
        (file, "holds no picture"),
    ):
        with pytest.raises(InputError) as caught:
            open_calibration_set(folder)
        assert told(caught).startswith(f"{folder}: {words}. ")


def test_views_are_what_the_network_sees_in_the_sets_order(picture_folder):
    calibration = open_calibration_set(picture_folder)
    contract = make_contract()
    views = [view.copy() for view in calibration.views(contract)]
    assert len(views) == 6
    assert {(view.shape, view.dtype) for view in views} == {((64, 64, 3), np.dtype(np.uint8))}
    assert len({view.tobytes() for view in views}) == 6
    assert [view.tobytes() for view in calibration.views(contract)] == [
        view.tobytes() for view in views
    ]
    some = [view.tobytes() for view in calibration.views(contract, (1, 4))]
    assert some == [views[1].tobytes(), views[4].tobytes()]
