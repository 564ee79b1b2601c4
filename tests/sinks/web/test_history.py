"""The points of the chart: one a second, bounded, with what grew since the one before."""

from __future__ import annotations

from samples import make_snapshot, make_status

from edge.record import BoardReading, PowerReading, SourceCounts
from edge.sinks.web.history import SPAN_S, History


def test_point_has_the_figures_of_its_second():
    history = History()
    power = PowerReading(7250.0, 7000.0, 20.0, "VDD_IN")
    board = BoardReading({"cpu": 48.0, "gpu": 51.5}, throttling=("gpu",), throttles=1)
    history.add(make_snapshot(power=power, board=board), [4_000_000, 9_000_000, 5_000_000])
    (point,) = history.since(0)
    assert (point["age_p50_ms"], point["age_max_ms"]) == (5.0, 9.0)
    assert (point["power_mw"], point["temperature_c"]) == (7250.0, 51.5)
    assert (point["throttling"], point["throttles"]) == (["gpu"], 1)


def test_what_is_not_known_is_none_and_not_zero():
    history = History()
    history.add(make_snapshot(), [])
    (point,) = history.since(0)
    missing = ("age_p50_ms", "age_max_ms", "power_mw", "temperature_c")
    assert all(point[name] is None for name in missing)
    assert point["throttling"] == []


def test_counters_are_told_by_how_much_they_grew():
    history = History()
    for dropped, reconnects in [(3, 1), (3, 1), (10, 2)]:
        source = make_status(counts=SourceCounts(reconnects=reconnects))
        history.add(make_snapshot(dropped=dropped, sources=(source, source)), [])
    assert [point["dropped"] for point in history.since(0)] == [3, 0, 7]
    assert [point["reconnects"] for point in history.since(0)] == [2, 0, 2]


def test_old_points_are_forgotten_and_nobody_gets_one_twice():
    history = History()
    for second in range(SPAN_S + 20):
        history.add(make_snapshot(elapsed_s=float(second)), [])
    assert [point["elapsed_s"] for point in history.since(0)] == list(range(20, SPAN_S + 20))
    assert [point["elapsed_s"] for point in history.since(history.count - 2)] == [
        SPAN_S + 18, SPAN_S + 19,
    ]  # fmt: skip
    assert history.since(history.count) == []


def test_point_is_due_once_a_second():
    history = History()
    due = [quarter / 4 for quarter in range(13) if history.is_due(quarter / 4)]
    assert due == [1.0, 2.0, 3.0]


def test_points_go_on_when_the_run_does_with_another_engine():
    history = History()
    times_s = (7_200.0, 7_200.5, 0.5, 1.0, 1.5, 2.0)
    assert [time_s for time_s in times_s if history.is_due(time_s)] == [7_200.0, 1.0, 2.0]
