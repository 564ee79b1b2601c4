"""Intervals, divergence and calibration: values known from elsewhere, and what must always hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.stats import (
    Reliability,
    RunningMean,
    divergence_nats,
    log_softmax,
    paired_difference,
    student_t,
    wilson_interval,
)

COUNTS = st.integers(1, 100_000).flatmap(
    lambda trials: st.tuples(st.integers(0, trials), st.just(trials))
)
SCORES = arrays(np.float32, 6, elements=st.floats(-30, 30, width=32))
ANSWERS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_of_known_counts(hits, trials, low, high):
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    share = wilson_interval(hits, trials)
    assert share.value == hits / trials
    assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)


@given(counts=COUNTS)
def test_wilson_interval_holds_its_share_and_mirrors_its_misses(counts):
    hits, trials = counts
    share, misses = wilson_interval(hits, trials), wilson_interval(trials - hits, trials)
    assert 0 <= share.low <= share.value <= share.high <= 1
    assert share.low < share.high
    assert (misses.low, misses.high) == pytest.approx((1 - share.high, 1 - share.low), abs=1e-12)


@given(counts=COUNTS)
def test_wilson_interval_gets_narrower_with_more_trials(counts):
    hits, trials = counts
    few, many = wilson_interval(hits, trials), wilson_interval(4 * hits, 4 * trials)
    assert many.high - many.low < few.high - few.low


def test_wilson_interval_covers_the_truth_in_about_95_of_100_cases():
    """Summed over the binomial distribution itself, not sampled."""
    trials = 200
    for truth in (0.1, 0.5, 0.9):
        covered = 0.0
        for hits in range(trials + 1):
            share = wilson_interval(hits, trials)
            if share.low <= truth <= share.high:
                covered += math.comb(trials, hits) * truth**hits * (1 - truth) ** (trials - hits)
        assert covered == pytest.approx(0.95, abs=0.02)


@given(counts=COUNTS, data=st.data())
def test_paired_difference_is_that_of_the_two_shares_and_turns_with_them(counts, data):
    both, trials = counts
    alone = data.draw(st.integers(0, trials - both))
    other = data.draw(st.integers(0, trials - both - alone))
    found = paired_difference(alone, other, trials)
    turned = paired_difference(other, alone, trials)
    assert found.value == pytest.approx((both + alone) / trials - (both + other) / trials)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    assert -1 <= found.low <= found.value <= found.high <= 1


def test_paired_difference_of_known_counts():
    """25 against 5 of 100, with half a trial more of each kind: 20 of 102 in the middle."""
    found = paired_difference(25, 5, 100)
    half = 1.959964 * math.sqrt(31 - 400 / 102) / 102
    assert (found.value, found.low) == (0.2, pytest.approx(20 / 102 - half))


def test_paired_difference_of_two_that_never_differ_is_not_certain():
    found = paired_difference(0, 0, 400)
    assert (found.value, found.low) == (0, -found.high)
    assert found.high == pytest.approx(1.959964 / 402)


def test_divergence_of_a_known_pair():
    wanted, given_ = np.log([0.5, 0.5]), np.log([0.25, 0.75])
    assert divergence_nats(wanted, given_) == pytest.approx(0.5 * math.log(4 / 3))
    back = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert divergence_nats(given_, wanted) == pytest.approx(back)


@given(one=SCORES, other=SCORES, shift=st.floats(-50, 50))
def test_divergence_is_zero_of_itself_never_below_and_blind_to_a_shift(one, other, shift):
    wanted, given_ = log_softmax(one), log_softmax(other)
    assert divergence_nats(wanted, wanted) == 0
    found = divergence_nats(wanted, given_)
    assert found >= -1e-12
    assert divergence_nats(wanted, log_softmax(other + shift)) == pytest.approx(found, abs=1e-3)


@given(scores=SCORES)
def test_log_softmax_gives_probabilities_that_sum_to_one(scores):
    assert np.exp(log_softmax(scores)).sum() == pytest.approx(1)


@given(values=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50))
def test_running_mean_is_that_of_the_kept_values(values):
    running = RunningMean()
    for value in values:
        running.add(value)
    found = running.estimate()
    assert found is not None
    half = student_t(len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    assert found.value == pytest.approx(np.mean(values), abs=1e-9)
    assert found.high - found.value == pytest.approx(half, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("count", [2, 3, 10])
def test_interval_of_a_mean_holds_it_in_95_of_100_cases_however_few_the_values(count):
    rng = np.random.default_rng(count)
    held = 0
    for _ in range(1000):
        running = RunningMean()
        for value in rng.normal(1, 3, count):
            running.add(value)
        found = running.estimate()
        held += found.low <= 1 <= found.high
    assert 930 <= held <= 970


def test_running_mean_of_nothing_and_of_one_value():
    running = RunningMean()
    assert running.estimate() is None
    running.add(3.0)
    found = running.estimate()
    assert found is not None
    assert (found.value, found.low, found.high) == (3.0, -math.inf, math.inf)


def fill(answers, bins=10) -> Reliability:
    reliability = Reliability(bins)
    for p, is_right in answers:
        reliability.add(p, is_right=is_right)
    return reliability


def test_calibration_error_of_known_answers():
    """Bin 0.9 to 1: two answers at 0.95, one right. Bin 0.5 to 0.6: one at 0.6, right."""
    found = fill([(0.95, True), (0.95, False), (0.6, True)])
    assert found.error() == pytest.approx((2 * 0.45 + 0.4) / 3)
    assert [(one.count, one.accuracy) for one in found.bins() if one.count] == [(1, 1.0), (2, 0.5)]
    assert found.bins()[5].confidence == pytest.approx(0.6)  # the upper end belongs to its bin


def test_calibration_error_is_zero_where_probabilities_are_right_and_one_where_all_is_wrong():
    assert fill([(0.75, True)] * 3 + [(0.75, False)]).error() == pytest.approx(0)
    assert fill([(1.0, False)] * 4).error() == 1
    assert fill([]).error() == 0


@given(answers=ANSWERS, bins=st.integers(1, 20))
def test_calibration_counts_each_answer_once_whatever_their_order(answers, bins):
    found = fill(answers, bins)
    assert sum(one.count for one in found.bins()) == len(answers)
    assert 0 <= found.error() <= 1
    assert fill(answers[::-1], bins).error() == pytest.approx(found.error())
    for one in found.bins():
        if one.count:
            assert one.low - 1e-9 <= one.confidence <= one.high + 1e-9


@given(answers=ANSWERS)
def test_calibration_error_is_never_below_the_distance_of_the_means(answers):
    """Finer bins can only add to what one bin for all finds."""
    assert fill(answers, 12).error() >= fill(answers, 1).error() - 1e-9
