"""What int8 costs: figures worked out by hand, and layers that are really the bad ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from networks import make_classifier
from samples import make_contract, make_picture

from edge.engine.probe import TensorProbe
from edge.model.fold import fold
from edge.quant.dataset import open_calibration_set
from edge.quant.margins import Range
from edge.quant.quality import judge, judge_activations
from edge.quant.quantize import QuantOptions, quantize

WANTED = np.log([[0.7, 0.2, 0.1], [0.4, 0.5, 0.1], [0.1, 0.1, 0.8], [0.5, 0.3, 0.2]])
GIVEN = np.log([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]])
"""The second and the fourth change their answer, from 0.5 to 0.4 and from 0.5 to 0.3."""


def silent(done: int) -> None:
    """Take the progress and show nothing."""


def test_expected_drop_is_what_the_float_network_takes_from_its_answers():
    found = judge(WANTED, GIVEN)
    assert (found.pictures, found.agreement, found.is_labelled) == (4, 0.5, False)
    assert found.drop_points == pytest.approx(100 * (0.1 + 0.2) / 4)
    by_hand = (np.exp(WANTED) * (WANTED - GIVEN)).sum() / 4
    assert found.divergence_nats == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("classes", "drop"), [([0, 1, 2, 0], 50), ([0, 0, 2, 1], -50), ([0, 1, 2, 1], 0)]
)
def test_drop_is_counted_where_the_classes_are_known(classes, drop):
    found = judge(WANTED, GIVEN, classes)
    assert (found.drop_points, found.is_labelled) == (drop, True)


logits = arrays(np.float64, (5, 4), elements=st.floats(-20, 20))


@given(logits, logits)
def test_nothing_is_gained_by_int8_in_expectation(wanted, given):
    rows = [x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for x in (wanted, given)]
    found = judge(*rows)
    assert found.divergence_nats >= -1e-12
    assert 0 <= found.drop_points <= 100
    alike = judge(rows[0], rows[0])
    assert (alike.agreement, alike.drop_points, alike.divergence_nats) == (1, 0, 0)


@pytest.fixture
def pictures(tmp_path):
    for number in range(20):
        label = "apple" if number % 2 else "bird"
        (tmp_path / label).mkdir(exist_ok=True)
        make_picture(tmp_path / label / f"{number:02}.png", seed=number)
    return open_calibration_set(tmp_path)


def test_folders_tell_classes_by_label(pictures):
    contract = make_contract()
    assert pictures.classes(contract) == [0] * 10 + [1] * 10
    numbered = replace(contract, labels=("elk", "apple", "bird"))
    assert pictures.classes(numbered) == [1] * 10 + [2] * 10
    (pictures.files[0].parent.parent / "zebra").mkdir()
    make_picture(pictures.files[0].parent.parent / "zebra" / "z.png", seed=99)
    again = open_calibration_set(pictures.source)
    assert again.classes(contract) is None


def test_half_of_the_levels_costs_a_layer_six_decibels(pictures):
    model = make_classifier(make_contract())
    kept, held = pictures.hold_out(2)
    full, half = (
        quantize(
            model,
            kept,
            progress=silent,
            options=QuantOptions(fast=True, all_levels=all_levels),
            held_out=held,
        ).quality
        for all_levels in (True, False)
    )
    assert full.is_labelled
    assert [layer.label for layer in full.layers] == ["first", "second"]
    first, second = (
        one.sqnr_db - other.sqnr_db for one, other in zip(full.layers, half.layers, strict=True)
    )
    assert first == pytest.approx(0, abs=0.5)  # it reads pixels, which keep all levels anyway
    assert 3 < second < 9
    worst = [layer.harm_nats for layer in half.worst()]
    assert worst == sorted(worst, reverse=True)


def test_cut_share_counts_every_value_beyond_the_range(pictures):
    model = make_classifier(make_contract())
    folded, views = fold(model), list(pictures.views(model.contract))[:1]
    magnitudes = np.abs(TensorProbe(folded, ["first/relu"]).read(views[0])["first/relu"])
    reach = float(np.quantile(magnitudes, 0.999))
    (found,) = judge_activations(folded, {"first/relu": Range("MSE", reach)}, views)
    assert found.cut_share == np.mean(magnitudes > reach) > 0
    assert found.largest == magnitudes.max()
    assert (found.method, found.reach) == ("MSE", reach)
