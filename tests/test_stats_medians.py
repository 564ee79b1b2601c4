"""Intervals hold what they promise: checked on data whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.stats import (
    bootstrap_half_width,
    median_interval,
    nearest_rank,
    resampled_medians,
    student_t,
)

finite = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("count", [6, 7, 15, 40, 301])
@pytest.mark.parametrize("skewed", [False, True])
def test_median_interval_covers_the_true_median(count, skewed):
    """At least 95 %, whatever the distribution; a wide margin on top would be waste."""
    rng = np.random.default_rng(count)
    held = 0
    for _ in range(1000):
        values = rng.lognormal(0, 2, count) if skewed else rng.normal(1, 3, count)
        low, high = median_interval(values)
        held += low <= 1.0 <= high  # the median of both distributions
    assert 935 <= held <= 995


def test_median_interval_wants_six_values():
    """Of five, even the least and the largest enclose the median in 93.75 % alone."""
    assert median_interval(np.arange(5.0)) is None
    assert median_interval(np.arange(6.0)) == (0.0, 5.0)


def test_ranks_are_those_of_the_tables():
    """Of 15 values the 4th and the 12th, of 50 the 18th and the 33rd, at 95 %."""
    assert median_interval(np.arange(1.0, 16.0)) == (4.0, 12.0)
    assert median_interval(np.arange(1.0, 51.0)) == (18.0, 33.0)


@given(st.lists(finite, min_size=6, max_size=60), st.randoms())
def test_median_interval_holds_the_median_and_takes_any_order(values, random):
    low, high = median_interval(np.array(values))
    assert low <= np.median(values) <= high
    random.shuffle(values)
    assert median_interval(np.array(values)) == (low, high)


@given(st.lists(finite, min_size=1, max_size=50), st.floats(0.001, 1))
def test_nearest_rank_is_a_value_that_the_share_is_not_above(values, share):
    ordered = np.sort(values)
    found = nearest_rank(ordered, share)
    assert found in ordered
    assert np.mean(ordered <= found) >= share - 1e-9
    assert np.mean(ordered < found) < share


@pytest.mark.parametrize(
    ("freedom", "table"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (8, 2.306), (30, 2.042), (10_000, 1.960)],
)
def test_student_t_is_that_of_the_tables(freedom, table):
    assert student_t(freedom) == pytest.approx(table, rel=0.005)


def test_bootstrap_covers_the_truth_of_values_that_hang_together():
    """Ten clusters with an offset each: an interval that took values as independent would fail."""
    rng = np.random.default_rng(5)
    held = naive = 0
    for _ in range(60):
        clusters = [rng.normal(rng.normal(0, 1), 0.3, 8) for _ in range(10)]
        every = np.concatenate(clusters)
        half_width = bootstrap_half_width(resampled_medians(clusters, rng), len(clusters))
        held += abs(np.median(every)) <= half_width
        single = [np.array([value]) for value in every]
        naive += abs(np.median(every)) <= bootstrap_half_width(
            resampled_medians(single, rng), len(single)
        )
    assert held >= 54
    assert naive < 48


def test_clusters_may_be_of_different_size():
    rng = np.random.default_rng(0)
    medians = resampled_medians([np.array([1.0]), np.array([2.0, 3.0, 4.0])], rng)
    assert np.isfinite(medians).all()
    assert set(np.unique(medians)) >= {1.0, 3.0}


def test_one_cluster_says_nothing():
    assert bootstrap_half_width(np.zeros(10), 1) == math.inf
