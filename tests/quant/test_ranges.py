"""Magnitudes in one pass: of the pictures that count, in any order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import make_classifier, make_views, told
from onnx import numpy_helper
from samples import make_contract

from edge.errors import ModelError
from edge.model.fold import fold
from edge.quant.ranges import measure_ranges

FOLDED = fold(make_classifier(make_contract()))
VIEWS = make_views(5)
PAIRS = [(Path(f"{number}.png"), view) for number, view in enumerate(VIEWS)]


def nothing(done: int) -> None:
    """Take the progress and show nothing."""


def test_ranges_do_not_depend_on_the_order_of_the_pictures():
    forward, backward = (
        measure_ranges(FOLDED, ["first/relu"], pairs, (), nothing)["first/relu"].largest
        for pairs in (PAIRS, PAIRS[::-1])
    )
    np.testing.assert_array_equal(forward, backward)
    assert forward.shape == (6,)


def test_pictures_that_are_set_apart_do_not_count():
    some = measure_ranges(FOLDED, ["first/relu"], PAIRS, {1, 3}, nothing)
    kept = measure_ranges(FOLDED, ["first/relu"], PAIRS[::2], (), nothing)
    np.testing.assert_array_equal(some["first/relu"].largest, kept["first/relu"].largest)
    ones = np.ones(6)
    joined = [found["first/relu"].join(ones) for found in (some, kept)]
    np.testing.assert_array_equal(joined[0].counts, joined[1].counts)


def test_a_value_that_is_not_finite_is_refused_with_its_tensor_and_picture():
    model = make_classifier(make_contract(), pads=[1, 1, 1, 1])
    weight = model.proto.graph.initializer[0]
    broken = numpy_helper.to_array(weight).copy()
    broken[0] = 3e38
    weight.CopyFrom(numpy_helper.from_array(broken, weight.name))
    with pytest.raises(ModelError) as caught:
        measure_ranges(fold(model), ["first/relu"], PAIRS, (), nothing)
    assert told(caught).startswith("small: tensor first/relu is not finite on 0.png. ")
