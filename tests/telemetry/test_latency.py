"""Percentiles in constant memory, compared with the exact ones of the same data."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from edge.record import Percentiles
from edge.telemetry.latency import LONGEST_NS, LatencyHistogram

PERCENTS = st.integers(1, 100) | st.just(99.9)
TIMES_NS = st.integers(0, LONGEST_NS)


def filled(times_ns):
    histogram = LatencyHistogram()
    for time_ns in times_ns:
        histogram.add(time_ns)
    return histogram


@given(st.lists(TIMES_NS, min_size=1, max_size=200), PERCENTS)
def test_percentile_is_within_half_a_percent_of_the_nearest_rank(times_ns, percent):
    rank = max(1, math.ceil(len(times_ns) * percent / 100))
    exact_ms = sorted(times_ns)[rank - 1] / 1e6
    (found_ms,) = filled(times_ns).percentiles_ms(percent)
    assert abs(found_ms - exact_ms) <= 0.005 * exact_ms


@given(st.lists(TIMES_NS, min_size=1, max_size=50))
def test_percentiles_never_fall(times_ns):
    found = filled(times_ns).percentiles()
    assert found.p50_ms <= found.p90_ms <= found.p99_ms <= found.p999_ms <= found.max_ms
    assert found.max_ms == max(times_ns) / 1e6


@given(st.lists(st.integers(-(10**6), 10**18), max_size=50))
def test_histogram_takes_any_duration_in_the_same_memory(times_ns):
    histogram = filled(times_ns)
    assert histogram.count == len(times_ns)
    assert len(histogram._counts) == len(LatencyHistogram()._counts) < 5000


def test_percentiles_are_zero_while_nothing_is_counted():
    assert LatencyHistogram().percentiles() == Percentiles(0.0, 0.0, 0.0, 0.0, 0.0)


def test_negative_time_counts_as_none():
    assert filled([-5, -5, 7]).percentiles() == Percentiles(0.0, *[7e-6] * 4)


def test_time_beyond_the_last_bucket_counts_as_the_longest():
    (found_ms,) = filled([10**18]).percentiles_ms(50)
    assert abs(found_ms - LONGEST_NS / 1e6) <= 0.005 * found_ms
