"""Cases take turns, are opened anew, and are measured until they are known."""

from __future__ import annotations

import itertools
from contextlib import contextmanager

import numpy as np
import pytest
from samples import make_contract

from edge.bench.case import Case, CaseResult, Refused
from edge.bench.figures import cost, engine_spread, half_width_share, network_spread, round_medians
from edge.bench.measure import PARTS, ROUNDS_A_PART, Options, measure
from edge.engine.base import open_engine
from edge.engine.null import NullEngine
from edge.errors import EngineLostError, UnavailableError
from edge.record import BoardReading, PowerReading, Unavailable


class Openings:
    """Opens null engines, and remembers in which order they were used."""

    def __init__(self, model, log=None, delay_ms=0.0):
        self.model, self.log, self.delay_ms, self.open = model, log, delay_ms, 0
        self.times = 0

    @contextmanager
    def __call__(self):
        self.times += 1
        self.open += 1
        engine = NullEngine(self.model, delay_ms=self.delay_ms)
        yield engine, make_contract()
        self.open -= 1


def make_case(name, opener, **fields):
    return Case(name, "small", opener, **fields)


def test_engine_is_opened_anew_for_each_part_and_closed(small_model):
    opener = Openings(small_model)
    measured = measure([make_case("a", opener)], Options(seconds=0.4, precision_goal=1e-9))
    (result,) = measured.results
    assert opener.times == len(result.warm_ups) == len({one.part for one in result.rounds}) >= 2
    assert opener.open == 0


def test_cases_take_turns_and_each_begins_as_often(small_model):
    cases = [make_case(name, Openings(small_model)) for name in "abc"]
    results = measure(cases, Options(seconds=0.4, precision_goal=1e-9)).results
    order = sorted((one.started_s, result.case.name) for result in results for one in result.rounds)
    turns = ["".join(name for _, name in order[at : at + 3]) for at in range(0, len(order), 3)]
    assert turns[:ROUNDS_A_PART] == ["abc", "bca", "cab"]
    assert {len(result.rounds) for result in results} == {len(turns)}


def test_it_ends_when_the_goal_is_reached(small_model):
    goal = Options(seconds=6.0, precision_goal=10.0)  # any interval is narrow enough
    (result,) = measure([make_case("a", Openings(small_model))], goal).results
    assert result.goal_reached
    assert len(result.rounds) <= PARTS * ROUNDS_A_PART  # the time would do for twice as many


def test_it_ends_when_the_time_is_over(small_model):
    (result,) = measure(
        [make_case("a", Openings(small_model, delay_ms=2))],
        Options(seconds=0.2, precision_goal=1e-9),
    ).results
    assert not result.goal_reached
    assert len(result.rounds) >= 2


def interrupting(model, after):
    """Open engines that are interrupted in the middle of a later round."""
    calls = itertools.count()

    class Engine(NullEngine):
        def collect(self):
            if next(calls) > after:
                raise KeyboardInterrupt
            return super().collect()

    @contextmanager
    def opener():
        yield Engine(model, delay_ms=1), make_contract()

    return opener


def test_interrupted_measurement_leaves_the_turns_that_all_cases_had(small_model):
    """The first case has one round more, beside which there is none."""
    cases = [make_case("a", Openings(small_model)),
             make_case("b", interrupting(small_model, 150))]  # fmt: skip
    measured = measure(cases, Options(seconds=2.0, precision_goal=1e-9))
    assert measured.interrupted
    first, second = measured.results
    assert len(first.rounds) == len(second.rounds) > 0
    assert not first.goal_reached


def test_interrupted_before_there_is_a_figure_there_is_none(small_model):
    cases = [make_case("a", Openings(small_model)), make_case("b", interrupting(small_model, 0))]
    with pytest.raises(KeyboardInterrupt):
        measure(cases, Options(seconds=0.5))


def test_latency_is_that_of_the_engine_and_nothing_is_dropped(small_model):
    opener = Openings(small_model, delay_ms=3)
    (result,) = measure([make_case("a", opener)], Options(seconds=0.3)).results
    spread, network = engine_spread(result), network_spread(result)
    assert spread.min_ms >= 3
    assert network.p50_ms == 3
    assert spread.count == sum(len(one.latencies_ns) for one in result.rounds)
    assert spread.max_ms == max(one.latencies_ns.max() for one in result.rounds) / 1e6
    assert spread.min_ms <= spread.p50_ms <= spread.p90_ms <= spread.p99_ms <= spread.max_ms
    wall_s = sum(one.wall_s for one in result.rounds)
    assert cost(result, None).fps == pytest.approx(spread.count / wall_s)
    assert cost(result, None).fps < 1000 / 3


def test_interval_of_the_median_is_made_of_rounds(small_model):
    goal = Options(seconds=3.0, precision_goal=10.0)  # six rounds also on a machine that stalls
    (result,) = measure([make_case("a", Openings(small_model))], goal).results
    spread, medians = engine_spread(result), round_medians(result.rounds)
    assert spread.p50_low_ms in medians
    assert spread.p50_high_ms in medians
    assert half_width_share(medians) == pytest.approx(
        (spread.p50_high_ms - spread.p50_low_ms) / 2 / spread.p50_ms
    )


def test_case_that_cannot_be_opened_is_refused_and_the_others_go_on(small_model):
    @contextmanager
    def missing():
        raise UnavailableError("gpu: not here", hint="Buy one")
        yield

    cases = [make_case("a", missing), make_case("b", Openings(small_model))]
    measured = measure(cases, Options(seconds=0.1))
    assert measured.cases[0] == Refused(cases[0], "gpu: not here. Buy one")
    assert isinstance(measured.cases[1], CaseResult)
    with pytest.raises(UnavailableError, match="not here"):
        measure(cases[:1], Options(seconds=0.1))


def test_batch_that_the_engine_does_not_take_is_refused(small_model):
    cases = [make_case("a", Openings(small_model)), make_case("b", Openings(small_model), batch=4)]
    measured = measure(cases, Options(seconds=0.1))
    assert "takes 1 picture at once" in measured.cases[1].reason


def test_engine_that_fails_later_ends_the_measurement(small_model):
    calls = itertools.count()

    @contextmanager
    def failing():
        if next(calls):
            raise EngineLostError("gpu: gone", hint="Look into dmesg")
        with open_engine("null", small_model) as engine:
            yield engine, make_contract()

    with pytest.raises(EngineLostError, match="gone"):
        measure([make_case("a", failing)], Options(seconds=0.2, precision_goal=1e-9))


def test_power_of_a_round_becomes_energy_of_a_frame(small_model):
    """5 W all the time are 5 mJ a millisecond."""
    seconds = itertools.count(1)

    def read_power():
        covered_s = next(seconds)
        return PowerReading(5000.0, 5000.0, 5.0 * covered_s, "VDD_IN", covered_s)

    opener = Openings(small_model, delay_ms=2)
    options = Options(seconds=0.3, read_power=read_power)
    (result,) = measure([make_case("a", opener)], options).results
    assert {one.power_mw for one in result.rounds} == {5000.0}
    spent = cost(result, idle_mw=2000.0)
    assert spent.energy_mj_per_frame == pytest.approx(5 * 1000 / spent.fps)
    assert spent.net_energy_mj_per_frame == pytest.approx(3 * 1000 / spent.fps)
    assert cost(result, idle_mw=None).net_energy_mj_per_frame is None


def test_board_is_read_between_the_parts(small_model):
    heat = itertools.count(40)
    options = Options(seconds=0.3, read_board=lambda: BoardReading({"cpu": float(next(heat))}))
    measured = measure([make_case("a", Openings(small_model))], options)
    parts = len(measured.results[0].warm_ups)
    assert [board.temperatures_c["cpu"] for _, board in measured.board] == [
        40.0 + number for number in range(parts + 1)
    ]


def test_throughput_keeps_several_in_flight(small_model):
    """With two in flight, each waits for the other: twice the latency, the same throughput."""

    @contextmanager
    def opener():
        yield NullEngine(small_model, "throughput", delay_ms=4), make_contract()

    (result,) = measure([make_case("a", opener)], Options(seconds=0.3)).results
    assert engine_spread(result).p50_ms > 7
    assert np.isfinite(cost(result, None).fps)


def test_no_meter_is_no_energy(small_model):
    options = Options(seconds=0.1, read_power=lambda: Unavailable("no rail"))
    (result,) = measure([make_case("a", Openings(small_model))], options).results
    assert cost(result, idle_mw=2000.0).energy_mj_per_frame is None
    assert cost(result, idle_mw=2000.0).net_energy_mj_per_frame is None
