"""A measurement says itself what speaks against it."""

from __future__ import annotations

import pytest
from benches import Noise, make_conditions, make_result, make_rounds

from edge.bench.case import WarmUp
from edge.bench.doubts import find_doubts
from edge.bench.measure import Measured, Options
from edge.record import BoardReading, Unavailable

STEADY = Noise(part=0.001, round=0.001, yardstick=0.001)
CALM = make_result(rounds=make_rounds(1, noise=STEADY))


def doubts_of(tmp_path, result=CALM, board=(), **conditions):
    made = make_conditions(tmp_path, **conditions)
    return [str(one) for one in find_doubts(Measured((result,), board), made, Options())]


def test_calm_machine_raises_no_doubt(tmp_path):
    assert doubts_of(tmp_path) == []


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({"others_cores": 0.7}, "other programs kept 0.7 of"),
        ({"steal_share": 0.04}, "4.0% of its time went to other virtual machines"),
        ({"after": BoardReading({"cpu": 61.0})}, "warmed from 40 to 61 °C"),
        ({"after": BoardReading({"cpu": 41.0}, throttles=3)}, "throttled 3 times. Cool it"),
        ({"before": BoardReading({}, locked=False)}, "not locked. Run: sudo jetson_clocks"),
    ],
)
def test_state_of_the_machine_is_doubted(tmp_path, conditions, said):
    (doubt,) = doubts_of(tmp_path, **conditions)
    assert doubt.startswith("machine: ")
    assert said in doubt


def test_throttling_that_was_only_seen_in_between_is_told(tmp_path):
    board = ((1.0, BoardReading({}, throttling=("GPU too hot",))),)
    assert "machine: throttled (GPU too hot). Cool it" in doubts_of(tmp_path, board=board)[0]


def test_governor_is_told_where_there_is_no_board(tmp_path):
    unknown = Unavailable("no board")
    made = make_conditions(tmp_path, before=unknown, after=unknown)
    made.fixed["governor"] = "powersave"
    (doubt,) = find_doubts(Measured((CALM,), ()), made, Options())
    assert str(doubt) == (
        "machine: the clock governor is powersave. Run: sudo cpupower frequency-set -g performance"
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"goal_reached": False}, "the median is known to ±"),
        ({"rounds": make_rounds(1, parts=1, noise=STEADY)}, "only 3 rounds, six are wanted"),
        ({"warm_ups": (WarmUp(1.0, 9, stable=False),)}, "1 of 1 warm-ups ended before"),
        (
            {"rounds": make_rounds(1, noise=Noise(0.001, 0.001, 0.2, 0.001))},
            "its second half was 1",
        ),
    ],
)
def test_figures_of_a_case_are_doubted(tmp_path, fields, said):
    result = make_result(**{"rounds": CALM.rounds, **fields})
    (doubt,) = doubts_of(tmp_path, result)
    assert doubt.startswith("small null: ")
    assert said in doubt


def test_speed_that_varies_is_told_by_the_yardstick(tmp_path):
    noise = Noise(part=0.001, round=0.001, yardstick=0.1)
    result = make_result(rounds=make_rounds(1, noise=noise))
    assert "its own speed varied by" in doubts_of(tmp_path, result)[0]
