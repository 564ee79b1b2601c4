"""The gate: what costs too much is refused, or as little as possible is left in float."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import make_classifier, told
from samples import make_contract, make_picture

from edge.errors import CalibrationError, CheckFailedError
from edge.quant.dataset import open_calibration_set
from edge.quant.gate import Gate, choose_held_out, find_fewest, quantize_within
from edge.quant.quantize import QuantOptions

FAST = QuantOptions(fast=True)


def silent(done: int) -> None:
    """Take the progress and show nothing."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(50):
        make_picture(folder / f"{number:02}.png", seed=number)
    return open_calibration_set(folder)


@given(st.integers(1, 40), st.integers(1, 50))
def test_fewest_that_suffice_are_found_with_few_attempts(most, needed):
    tried = []

    def attempt(count):
        tried.append(count)
        return count if count >= needed else None

    assert find_fewest(most, attempt) == (needed if needed <= most else None)
    assert len(tried) == len(set(tried)) <= 2 * most.bit_length() + 1
    assert all(1 <= count <= most for count in tried)


def test_every_fifth_picture_is_held_out_and_none_is_in_both(pictures):
    kept, held = choose_held_out(pictures, None)
    assert (len(kept.files), len(held.files)) == (40, 10)
    assert sorted([*kept.files, *held.files]) == list(pictures.files)
    assert len({kept.sha256, held.sha256, pictures.sha256}) == 3
    assert choose_held_out(kept, held) == (kept, held)


def test_too_few_to_judge_by_are_refused(pictures):
    kept, few = pictures.hold_out(10)
    with pytest.raises(CalibrationError) as caught:
        choose_held_out(kept, few)
    assert "5 pictures are too few to judge by. Give --held-out with 10 or more" in told(caught)


def test_pictures_that_calibrate_too_are_refused_as_judges(pictures):
    kept, held = pictures.hold_out(2)
    assert kept.count_shared(held) == 0
    with pytest.raises(CalibrationError) as caught:
        choose_held_out(pictures, held)
    assert ": 25 of its pictures are in " in told(caught)
    assert "Judge by pictures that calibrate nothing" in told(caught)


def test_model_within_the_limit_passes_at_once(pictures):
    kept, held = choose_held_out(pictures, None)
    model = make_classifier(make_contract())
    done, options = quantize_within(model, (kept, held), Gate(100.0), options=FAST, progress=silent)
    assert (done.int8_convs, options) == (2, FAST)
    assert done.quality.pictures == 10
    assert {layer.label for layer in done.quality.layers} == {"first", "second"}


def test_model_beyond_the_limit_is_refused_with_its_worst_layers(pictures):
    kept, held = choose_held_out(pictures, None)
    model = make_classifier(make_contract())
    with pytest.raises(CheckFailedError) as caught:
        quantize_within(model, (kept, held), Gate(-1.0), options=FAST, progress=silent)
    line = told(caught)
    assert "points of top-1 on 10 pictures, -1 are allowed; worst are " in line
    assert "second" in line.split("worst are ")[1]
    assert caught.value.hint.endswith("or give --keep-float auto")


def test_automatic_mode_refuses_where_nothing_suffices(pictures):
    kept, held = choose_held_out(pictures, None)
    model = make_classifier(make_contract())
    gate = Gate(-1.0, may_keep_float=True)
    with pytest.raises(CheckFailedError, match="-1 are allowed") as caught:
        quantize_within(model, (kept, held), gate, options=FAST, progress=silent)
    assert "auto" not in caught.value.hint
