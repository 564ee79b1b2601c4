"""Warnings of a calibration set: each for its own fault, none for a fair set."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from networks import make_classifier
from samples import make_contract, make_picture

from edge.quant.dataset import open_calibration_set
from edge.quant.doubts import FEW, _doubts_of, _Look, find_doubts

MODEL = make_classifier(make_contract())


def look(number: int = 0, **changes: object) -> _Look:
    """Make what a fair picture is like."""
    rng = np.random.default_rng(number)
    fair = {"thumbnail": rng.uniform(0, 255, (8, 8, 3)), "contrast": 50.0, "factor": 0.7,
            "label": f"class {number % 4}"}  # fmt: skip
    return _Look(**{**fair, **changes})


def doubts(**changes: object) -> list[str]:
    """Give what is said of a hundred pictures, a tenth of which are changed."""
    looks = [look(number, **(changes if number % 10 == 0 else {})) for number in range(100)]
    return list(_doubts_of(looks))


def test_fair_pictures_leave_no_doubt():
    assert doubts() == []


def test_a_tenth_of_blank_or_enlarged_pictures_is_named():
    assert doubts(contrast=1.0) == [
        "10 of 100 pictures show next to nothing, black or of one colour. Leave them out"
    ]
    (said,) = doubts(factor=2.0)
    assert said == (
        "10 of 100 pictures are much smaller than the network's input and are enlarged."
        " Give larger ones"
    )


def test_one_class_is_named():
    looks = [look(number, label="cat" if number else "dog") for number in range(20)]
    assert list(_doubts_of(looks)) == [
        "19 of 20 pictures are cat to the model. Give pictures of its other classes too"
    ]


def test_one_scene_is_named_and_not_its_class_as_well():
    scene = look().thumbnail
    looks = [look(label="cat", thumbnail=scene + number % 5) for number in range(20)]
    assert list(_doubts_of(looks)) == [
        "the pictures are nearly alike. Give different scenes that the camera will see"
    ]


def test_one_picture_alone_is_only_few(tmp_path):
    make_picture(tmp_path / "a.png")
    assert find_doubts(open_calibration_set(tmp_path), MODEL) == [
        "1 pictures are few, so ranges depend on which ones. Give about 200"
    ]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ((90, 3), "60 of 60 pictures show next to nothing"),
        ((30, 255), "60 of 60 pictures are much smaller"),
        ((90, 100), "the pictures are nearly alike"),
    ],
)
def test_real_pictures_are_seen_through(tmp_path, kind, said):
    rng = np.random.default_rng(0)
    for number in range(FEW + 10):
        side_px, brightest = kind
        pixels = rng.integers(0, brightest, (side_px, side_px, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), pixels)
    found = find_doubts(open_calibration_set(tmp_path), MODEL)
    assert any(doubt.startswith(said) for doubt in found), found


def test_pictures_of_the_smallest_network_can_be_compared(tmp_path):
    make_picture(tmp_path / "a.png", seed=1)
    make_picture(tmp_path / "b.png", seed=2)
    model = make_classifier(make_contract(input_hw=(5, 9), resize_short_px=9))
    assert len(find_doubts(open_calibration_set(tmp_path), model)) >= 1
