"""Histograms in memory that does not grow, and the ranges that methods read off them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.quant.histogram import BINS, PLACES, ChannelHistograms, Histogram
from edge.quant.margins import ALIKE, LEAST_OF_EQUAL, SHORTEST, USUAL, Range, propose
from edge.quant.methods import METHODS, entropy, mse, percentile

LEVELS = 255
pictures = st.lists(
    arrays(np.float32, (1, 3, 2, 4), elements=st.floats(-1e6, 1e6, width=32)),
    min_size=1,
    max_size=6,
)


def counted(values: list) -> ChannelHistograms:
    found = ChannelHistograms()
    for one in values:
        found.add(one)
    return found


def of_magnitudes(magnitudes) -> Histogram:
    """Count one channel."""
    return counted([np.asarray(magnitudes, np.float32).reshape(1, 1, -1)]).join(np.ones(1))


@given(pictures)
def test_every_value_is_counted_once_in_a_range_that_holds_it(values):
    found = counted(values)
    joined = found.join(np.ones(3))
    assert joined.counts.sum() == sum(one.size for one in values)
    assert joined.largest == (max(float(np.abs(one).max()) for one in values) or 1.0)
    np.testing.assert_array_equal(
        found.largest, np.abs(np.concatenate(values)).reshape(-1, 3, 8).max(axis=(0, 2))
    )


@given(pictures, st.randoms())
def test_order_of_the_pictures_moves_a_value_by_two_bins_at_most(values, random):
    """The first picture decides where the bins of a channel lie."""
    shuffled = list(values)
    random.shuffle(shuffled)
    sums = [np.cumsum(counted(one).join(np.ones(3)).counts) for one in (values, shuffled)]
    for one, other in (sums, sums[::-1]):
        later = np.append(one[4:], [one[-1]] * 4)
        assert (later >= other).all()


def test_range_that_grows_merges_bins_and_loses_no_count():
    rng = np.random.default_rng(0)
    small = np.abs(rng.normal(0, 1, (1, 2, 16, 16))).astype(np.float32)
    found = counted([small, small * 10])
    alone = counted([small * 10, small])
    for one in (found, alone):
        assert one.join(np.ones(2)).counts.sum() == 2 * small.size
    grown, exact = (one.join(np.ones(2)) for one in (found, alone))
    assert abs(np.cumsum(grown.counts)[BINS // 10] - np.cumsum(exact.counts)[BINS // 10]) < 40


def test_places_beyond_the_sample_still_give_the_largest_magnitude():
    values = np.ones((1, 1, 1, 10 * PLACES + 1), np.float32)
    values[..., 7] = -50  # between the places that are counted
    found = counted([values]).join(np.ones(1))
    assert found.largest == 50
    assert found.counts.sum() <= PLACES + 1


def test_channels_are_joined_after_their_factors():
    values = np.stack([np.full(8, 4.0), np.full(8, 0.5)]).astype(np.float32)[None]
    joined = counted([values]).join(np.array([4.0, 1.0]))
    assert joined.largest == 1.0
    assert joined.counts[BINS - 1] == 8
    assert joined.counts[BINS // 2 - 1 : BINS // 2 + 1].sum() == 8


@given(pictures, st.sampled_from([127, 255]))
def test_each_range_is_positive_and_within_the_largest_magnitude(values, levels):
    joined = counted(values).join(np.ones(3))
    for method in METHODS.values():
        reach = method(joined, levels)
        assert np.isfinite(reach)
        assert 0 < reach <= joined.largest * (1 + 1e-9)


@pytest.mark.parametrize("level", [0.0, 3.0])
def test_constant_channels_are_survived(level):
    joined = of_magnitudes(np.full(100, level))
    assert {method(joined, LEVELS) for method in METHODS.values()} <= {level or 1.0, 1 / BINS}


def test_rare_loud_values_are_cut_by_all_but_min_max():
    """One value in 100,000 lies ten times beyond the others."""
    rng = np.random.default_rng(1)
    found = ChannelHistograms()
    for number in range(400):
        values = rng.uniform(0, 1, (1, 1, 1, PLACES)).astype(np.float32)
        if number == 200:
            values[..., 0] = 10
        found.add(values)
    joined = found.join(np.ones(1))
    assert METHODS["min-max"](joined, 15) == 10
    assert percentile(joined, 15) == pytest.approx(1, abs=0.02)
    assert mse(joined, 15) == pytest.approx(2.5, abs=0.1)  # no less is compared
    assert 2.4 < entropy(joined, 15) < 5


def test_mse_cuts_more_where_levels_are_few():
    joined = of_magnitudes(np.abs(np.random.default_rng(2).normal(0, 1, PLACES)))
    assert mse(joined, 7) < mse(joined, 255) <= joined.largest


def test_proposals_differ_and_begin_with_the_usual_one():
    joined = of_magnitudes(np.abs(np.random.default_rng(3).normal(0, 1, PLACES)))
    found = propose([joined, joined], LEVELS, equalised=False)
    assert found[0].method == USUAL
    assert found[0].reach == joined.largest
    reaches = sorted(one.reach for one in found)
    assert all(b / a > 1 + ALIKE * 0.9 for a, b in pairwise(reaches))


def test_range_at_the_limit_of_equal_channels_is_called_so():
    values = np.random.default_rng(3).uniform(0, 1, PLACES)
    values[0] = 3
    joined = of_magnitudes(values)
    free = propose([joined], LEVELS, equalised=False)
    bound = propose([joined], LEVELS, equalised=True)
    limit = LEAST_OF_EQUAL * joined.largest
    assert {one.method for one in free if one.reach < limit}  # there is something to forbid
    assert min(bound, key=lambda one: one.reach) == Range(SHORTEST, limit)
    assert {one.method for one in bound} <= {one.method for one in free if one.reach >= limit} | {
        SHORTEST
    }
