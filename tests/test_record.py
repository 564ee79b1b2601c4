"""What a record says of its frame."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import make_frame, make_record, make_snapshot

from edge.record import STAGES, FrameRecord, PowerReading, StageTimes, Unavailable
from edge.result import Guess, Result
from edge.schema import frame_row
from edge.sinks.text import STAGE_TITLES, counts_text, frame_energy_text, power_text, top_text

NS = st.integers(0, 10**13)


@given(st.builds(StageTimes, NS, NS, NS, NS, NS, NS, NS))
def test_times_are_written_in_milliseconds_to_the_microsecond(times):
    row = frame_row(FrameRecord(make_frame(), Result((Guess("apple", 0, 1.0),)), times, 0))
    for key in ("capture", "decode", "wait", "preprocess", "infer", "post", "age"):
        assert row[f"{key}_ms"] == pytest.approx(getattr(times, f"{key}_ns") / 1e6, abs=0.000501)


def test_guesses_are_written_with_label_index_and_p():
    row = frame_row(make_record(("apple", 1 / 3), ("bird", 0.0000001)))
    assert row["top"] == [
        {"label": "apple", "index": 0, "p": 0.333333},
        {"label": "bird", "index": 1, "p": 0.0},
    ]


def test_file_is_written_only_when_there_is_one():
    assert frame_row(make_record(("apple", 1.0), file="a/b.png"))["file"] == "a/b.png"
    assert "file" not in frame_row(make_record(("apple", 1.0)))


def test_values_that_cross_threads_cannot_be_rebound():
    for value, name in ((make_record(("apple", 1.0)), "times"), (make_snapshot(), "fps")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)


def test_every_stage_has_a_title():
    assert tuple(STAGE_TITLES) == STAGES


@pytest.mark.parametrize(
    ("changes", "text"),
    [({}, "75 frames, 4 dropped"), ({"unreadable": 2}, "75 frames, 4 dropped, 2 unreadable")],
)
def test_counts_name_the_unreadable_only_when_there_are_some(changes, text):
    assert counts_text(make_snapshot(**changes)) == text


def test_power_is_told_in_watts_and_joules_with_its_rail():
    power = PowerReading(5123.4, 4875.0, 12.25, "VDD_IN (module)")
    assert power_text(power) == "5.12 W now, 4.88 W mean, 12.2 J, VDD_IN (module)"
    assert power_text(make_snapshot().power).startswith("not available: no power rail")


def test_power_is_told_with_what_its_energy_may_be_off_by():
    power = PowerReading(5123.4, 4875.0, 12.25, "VDD_IN (module)", energy_error_j=0.31)
    assert power_text(power) == "5.12 W now, 4.88 W mean, 12.2 ± 0.3 J, VDD_IN (module)"


def test_energy_of_a_frame_is_mean_power_over_its_time():
    """The samples cover 9 of the 10 seconds: what a frame cost does not become less by that."""
    power = PowerReading(5000.0, 4000.0, 36.0, "VDD_IN", covered_s=9.0, energy_error_j=0.9)
    cost = make_snapshot(power=power, elapsed_s=10.0, frames=400)
    assert cost.energy_per_frame_j == pytest.approx(0.1)
    assert cost.energy_per_frame_error_j == pytest.approx(0.0025)
    assert cost.net_energy_per_frame_j is cost.net_energy_per_frame_error_j is None
    assert frame_energy_text(cost) == "100.0 ± 2.5 mJ a frame"
    above = dataclasses.replace(
        cost, power=dataclasses.replace(power, idle_mw=1000.0, idle_error_mw=20.0)
    )
    assert above.net_energy_per_frame_j == pytest.approx(0.075)
    assert above.net_energy_per_frame_error_j == pytest.approx(0.003)
    assert above.energy_per_frame_error_j == pytest.approx(0.0025)
    text = "100.0 ± 2.5 mJ a frame, 75.0 ± 3.0 of them above 1.00 W idle"
    assert frame_energy_text(above) == text
    none = dataclasses.replace(cost, power=dataclasses.replace(power, idle_mw=4000.001))
    assert ", 0.0 ± 2.5 of them above 4.00 W idle" in frame_energy_text(none)


@pytest.mark.parametrize("power", [Unavailable("no rail"), PowerReading(1.0, 1.0, 0.0, "x")])
def test_energy_of_a_frame_is_not_told_without_power_or_frames(power):
    none = make_snapshot(power=power, frames=0)
    assert none.energy_per_frame_j is none.energy_per_frame_error_j is None
    assert frame_energy_text(none) == ""


def test_best_guess_is_told_once_there_is_a_frame():
    assert top_text(make_snapshot().latest) == "apple 75.0%"
    assert top_text(None) == "no frame yet"
