"""Ranges: near the least squared error, whatever came first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import make_views
from strategies import QUICK, activations

from edge.engine.probe import TensorProbe
from edge.model.fold import fold
from edge.model.weights import LEVELS
from edge.quant.qdq import tensors_to_measure
from edge.quant.ranges import BINS, RangeObserver

RNG = np.random.default_rng(0)
TENSORS = {
    "uniform": RNG.uniform(-1, 1, 50_000),
    "normal": RNG.normal(0, 3, 50_000),
    "relu of normal": np.maximum(RNG.normal(0, 1, 50_000), 0),
    "mostly zero": RNG.laplace(0, 1, 50_000) * (RNG.random(50_000) < 0.02),
    "laplace": RNG.laplace(0, 0.1, 50_000),
    "student": RNG.standard_t(3, 50_000),
    "one outlier": np.append(RNG.normal(0, 1, 50_000), 60),
    "tiny": RNG.normal(0, 1e-7, 50_000),
    "large": RNG.normal(0, 1e5, 50_000),
}


def observer_of(*tensors) -> RangeObserver:
    observer = RangeObserver()
    for values in tensors:
        observer.add(np.asarray(values, dtype=np.float32))
    return observer


def squared_error(values, reach: float) -> float:
    """Quantise for real and measure."""
    step = reach / LEVELS
    restored = np.clip(np.rint(values / step), -LEVELS, LEVELS) * step
    return float(((restored - values) ** 2).mean())


def least_squared_error(values) -> float:
    return min(
        squared_error(values, reach) for reach in np.linspace(0.02, 1, 200) * np.abs(values).max()
    )


@pytest.mark.parametrize("name", sorted(TENSORS))
def test_best_range_is_within_a_few_percent_of_brute_force(name):
    values = TENSORS[name].astype(np.float32)
    chosen = squared_error(values, observer_of(values).best_range())
    assert chosen <= 1.05 * least_squared_error(values)


def test_best_range_is_within_a_few_percent_of_brute_force_on_real_activations(small_model):
    folded = fold(small_model)
    names = tensors_to_measure(folded)[:8]
    probe = TensorProbe(folded, names)
    pieces = {name: [] for name in names}
    for view in make_views(4):
        for name, values in probe.read(view).items():
            pieces[name].append(values.copy())
    for name, tensors in pieces.items():
        chosen = squared_error(np.stack(tensors), observer_of(*tensors).best_range())
        assert chosen <= 1.05 * least_squared_error(np.stack(tensors)), name


def test_best_range_keeps_nearly_all_of_uniform_values():
    assert observer_of(TENSORS["uniform"]).best_range() > 0.97


def test_best_range_gives_up_as_much_of_an_outlier_as_the_arithmetic_says():
    """The least of (60 - r)^2 + n (r / 127)^2 / 12 over r, for n = 50,000 values near zero."""
    weight = 12 * LEVELS**2
    wanted = 60 * weight / (weight + 50_000)
    assert observer_of(TENSORS["one outlier"]).best_range() == pytest.approx(wanted, rel=0.02)


@QUICK
@given(tensors=st.lists(activations(), max_size=6))
def test_best_range_is_positive_and_no_larger_than_the_largest_value(tensors):
    observer = observer_of(*tensors)
    largest = max((float(np.abs(one).max(initial=0)) for one in tensors), default=0.0)
    assert observer.largest == largest
    assert observer.best_range() > 0
    assert np.float32(observer.best_range() / LEVELS) > 0
    if largest > 1e-20:
        assert observer.best_range() <= largest


@QUICK
@given(tensors=st.lists(activations(), max_size=6), data=st.data())
def test_best_range_does_not_depend_on_the_order_of_the_pictures(tensors, data):
    shuffled = data.draw(st.permutations(tensors))
    assert observer_of(*shuffled).best_range() == observer_of(*tensors).best_range()


def test_observer_counts_every_value_once_however_often_its_reach_doubles():
    """Small values first, then ever larger ones, give the same counts as all at once."""
    tensors = [RNG.normal(0, 10.0**power, 1000) for power in range(-6, 6)]
    grown, at_once = observer_of(*tensors), observer_of(np.concatenate(tensors))
    assert grown._counts.sum() == 12_000
    assert len(grown._counts) == BINS
    np.testing.assert_array_equal(grown._counts, at_once._counts)


@pytest.mark.parametrize("values", [np.zeros(100), np.zeros(0), np.full(9, 1e-40)])
def test_best_range_is_one_when_a_tensor_never_left_zero(values):
    assert observer_of(values).best_range() == 1.0


@pytest.mark.parametrize("value", [1e-12, 1e-7, 1e-3, 1.0, 12345.0])
def test_best_range_reaches_a_value_that_is_always_the_same(value):
    """A clipped constant would be the worst of all choices, however small it is."""
    reach = observer_of(np.full(1000, value)).best_range()
    assert reach == pytest.approx(value, rel=0.02)
