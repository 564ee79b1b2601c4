"""Which snapshots are let through, also where a run goes on with another engine."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.sinks.pace import Pace


def due(pace, *times_s):
    return [elapsed_s for elapsed_s in times_s if pace.is_due(elapsed_s)]


def test_one_a_second_is_due_when_snapshots_come_four_times():
    quarters = [quarter / 4 for quarter in range(13)]
    assert due(Pace(1.0), *quarters) == [0.0, 1.0, 2.0, 3.0]
    assert due(Pace(1.0, first_s=1.0), *quarters) == [1.0, 2.0, 3.0]


def test_none_is_made_up_for_after_a_pause():
    assert due(Pace(1.0), 0.1, 7.3, 7.6, 7.9, 8.1) == [0.1, 7.3, 8.1]


def test_run_that_begins_anew_is_not_kept_waiting():
    assert due(Pace(1.0), 7_200.0, 7_200.25, 0.25, 0.5, 1.0) == [7_200.0, 0.25, 1.0]


@given(st.lists(st.floats(0, 1e6), min_size=1).map(sorted))
def test_due_times_are_never_in_the_same_second(times_s):
    seconds = [int(elapsed_s) for elapsed_s in due(Pace(1.0), *times_s)]
    assert len(set(seconds)) == len(seconds)
    assert set(seconds) == {int(elapsed_s) for elapsed_s in times_s}
