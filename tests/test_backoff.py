"""Waits between tries: they double, stay bounded, and differ between the cameras of a fleet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.backoff import Backoff


def test_waits_double_up_to_the_most():
    backoff = Backoff(first_s=1.0, most_s=5.0, jitter=lambda: 1.0)
    assert [backoff.wait_s(failures) for failures in (1, 2, 3, 4, 5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


@given(st.integers(1, 10**9), st.floats(0, 1))
def test_wait_is_positive_and_bounded_however_long_a_source_is_away(failures, share):
    wait_s = Backoff(jitter=lambda: share).wait_s(failures)
    assert Backoff().first_s / 2 <= wait_s <= Backoff().most_s


def test_jitter_moves_half_of_the_wait():
    least = Backoff(first_s=1.0, jitter=lambda: 0.0).wait_s(1)
    assert (least, Backoff(first_s=1.0, jitter=lambda: 1.0).wait_s(1)) == (0.5, 1.0)
