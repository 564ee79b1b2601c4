"""A measurement that never was: rounds with the noise that is wanted, and all around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge.bench.case import Case, CaseResult, Round, Start, WarmUp
from edge.bench.conditions import watched
from edge.bench.document import Report
from edge.bench.doubts import Doubt
from edge.bench.measure import Measured, Options
from edge.board import SysRoot
from edge.engine.base import EngineInfo, LayerTime
from edge.record import BoardReading


@dataclass(frozen=True)
class Noise:
    """What makes rounds differ, each a share: of parts, of rounds, over the run, of the machine."""

    part: float = 0.01
    round: float = 0.01
    drift: float = 0.0
    yardstick: float = 0.01
    machine: float = 0.0


def make_rounds(
    seed: int, *, ms: float = 1.0, parts: int = 8, noise: Noise = Noise(), each: int = 3
) -> tuple[Round, ...]:
    """Make rounds around a latency; `noise.machine` slows the yardstick down as well."""
    rng = np.random.default_rng(seed)
    rounds = []
    for part in range(parts):
        offset = rng.normal(0, noise.part) + noise.drift * part / max(parts - 1, 1)
        for turn in range(each):
            machine = noise.machine * (1 + rng.normal(0, 0.2))
            middle = ms * 1e6 * np.exp(offset + machine + rng.normal(0, noise.round))
            yardstick_ms = 0.5 * np.exp(machine + rng.normal(0, noise.yardstick))
            latencies_ns = np.round(middle * rng.lognormal(0, 0.05, 25)).astype(np.int64)
            rounds.append(
                Round(
                    part=part,
                    started_s=part + turn * 0.1,
                    wall_s=float(latencies_ns.sum()) / 1e9,
                    cpu_s=float(latencies_ns.sum()) / 1e9,
                    frames=len(latencies_ns),
                    yardstick_ms=float(yardstick_ms),
                    latencies_ns=latencies_ns,
                    network_ns=latencies_ns - 1000,
                )
            )
    return tuple(rounds)


INFO = EngineInfo("null", "none", "none", 2)


def never():
    raise AssertionError("is not opened")


def make_result(name="small null", **fields):
    case = Case(name, "small", never, engine="null")
    known = {
        "info": INFO,
        "rounds": make_rounds(1),
        "warm_ups": (WarmUp(0.1, 100, stable=True),),
        "goal_reached": True,
        "start": Start((0.5, 0.4), 120.5),
        "layers": (LayerTime("conv1", "Convolution", 12_000),),
    }
    return CaseResult(case=case, **{**known, **fields})


def make_conditions(tmp_path, **fields):
    with watched(SysRoot(tmp_path), lambda: BoardReading({"cpu": 40.0})) as conditions:
        pass
    conditions.others_cores, conditions.steal_share = 0.0, 0.0
    for name, value in fields.items():
        setattr(conditions, name, value)
    return conditions


def make_report(tmp_path, *cases, **fields):
    board = ((0.0, BoardReading({"cpu": 40.0})), (9.0, BoardReading({"cpu": 50.0})))
    known = {
        "measured": Measured(cases, board),
        "conditions": make_conditions(tmp_path),
        "options": Options(),
        "doubts": (Doubt("machine", "busy", "Close it"),),
        "loop": {},
        "bounds": {},
    }
    return Report(**{**known, **fields})
