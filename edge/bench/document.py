"""The JSON of a measurement: written whole, and read again to be compared.

`docs/schema/bench.json` is its schema.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.bench.case import Refused, Round
from edge.bench.figures import cost, engine_spread, half_width_share, network_spread, round_medians
from edge.errors import InputError
from edge.files import read_bytes, sha256_file
from edge.record import Unavailable
from edge.schema import board_row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge.bench.case import Case, CaseResult, Nanoseconds
    from edge.bench.conditions import Conditions
    from edge.bench.doubts import Doubt
    from edge.bench.measure import Measured, Options
    from edge.bench.roofline import Bound

    Row = dict[str, Any]

BENCH_VERSION = 1
"""Goes up when a field is renamed, removed or means something else; new fields do not count."""
KIND = "bench"
NS_A_US = 1000
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What Python and NumPy raise where JSON is broken, or holds other things than a measurement."""
DIGITS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """A whole measurement.

    Attributes:
        measured: what came of the cases.
        conditions: under which.
        options: how.
        doubts: what speaks against it.
        loop: the summary of the whole camera loop by the name of its case, as
            `edge.schema.summary_row` gives it; empty where it was not run.
        bounds: by the name of a case, how soon it could be done at all; empty where the limits of
            this machine are not known.
    """

    measured: Measured
    conditions: Conditions
    options: Options
    doubts: tuple[Doubt, ...]
    loop: Mapping[str, Row]
    bounds: Mapping[str, Bound]

    def to_row(self) -> Row:
        """Give what is written to JSON."""
        return {
            "version": BENCH_VERSION,
            "kind": KIND,
            "conditions": self.conditions.to_row(),
            "options": {
                "seconds": self.options.seconds,
                "precision_goal": self.options.precision_goal,
            },
            "doubts": [asdict(doubt) for doubt in self.doubts],
            "cases": [
                _refused_row(one) if isinstance(one, Refused) else self._case_row(one)
                for one in self.measured.cases
            ],
            "loop": dict(self.loop),
            "board": [
                {"at_s": round(at_s, 3), **board_row(reading)}
                for at_s, reading in self.measured.board
            ],
        }

    def _case_row(self, result: CaseResult) -> Row:
        info, bound = result.info, self.bounds.get(result.case.name)
        share = half_width_share(round_medians(result.rounds))
        return {
            **_head(result.case),
            "engine": info.name,
            "device": info.device,
            "precision": info.precision,
            "aim": info.aim,
            "goal": {"reached": result.goal_reached, "half_width_share": _rounded(share)},
            "engine_latency": _rounded_all(asdict(engine_spread(result))),
            "network_latency": _rounded_all(asdict(network_spread(result))),
            **_rounded_all(asdict(cost(result, self.conditions.idle_mw))),
            "bound": None if bound is None else _bound_row(bound),
            "warm_ups": [_rounded_all(asdict(warm_up)) for warm_up in result.warm_ups],
            "start": _or_reason(result.start),
            "layers": (
                {"unavailable": result.layers.reason}
                if isinstance(result.layers, Unavailable)
                else [asdict(layer) for layer in result.layers]
            ),
            "rounds": [_round_row(one) for one in result.rounds],
        }


def to_json(report: Report) -> str:
    """Give the file's text."""
    return json.dumps(report.to_row(), ensure_ascii=False, separators=(",", ":")) + "\n"


def bounds_to_json(bounds: Mapping[str, Bound]) -> str:
    """Give how soon a board could be done, by the model's name, layer by layer."""
    row = {
        "version": BENCH_VERSION,
        "kind": "bounds",
        "bounds": [
            {
                "model": name,
                **_bound_row(bound),
                "layers": [
                    {
                        **asdict(layer.work),
                        "arithmetic_ms": layer.arithmetic_ms,
                        "memory_ms": layer.memory_ms,
                    }
                    for layer in bound.layers
                ],
            }
            for name, bound in bounds.items()
        ],
    }
    return json.dumps(row, ensure_ascii=False, indent=1) + "\n"


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What is read again of a measurement.

    Attributes:
        conditions: as they were written.
        doubts: each as its line.
        rounds: of each case that was measured, by its name.
        facts: what decides each case beside its name, by that: what ran it, and the hashes of its
            files.
    """

    conditions: Row
    doubts: tuple[str, ...]
    rounds: Mapping[str, tuple[Round, ...]]
    facts: Mapping[str, Row]


def read_kept(path: Path) -> Kept:
    """Read what `edge bench --json` wrote.

    Raises:
        InputError: the file cannot be read, or is something else.
    """
    broken = InputError(f"{path}: is no file of edge bench --json", hint="Measure again")
    try:
        row = json.loads(read_bytes(path))
        if row["kind"] != KIND:
            raise broken
        if row["version"] != BENCH_VERSION:
            raise InputError(
                f"{path}: has version {row['version']}, this edge reads {BENCH_VERSION}",
                hint="Measure again",
            )
        cases = [case for case in row["cases"] if "rounds" in case]
        return Kept(
            conditions=dict(row["conditions"]),
            doubts=tuple(f"{d['about']}: {d['problem']}. {d['mend']}" for d in row["doubts"]),
            rounds={case["name"]: _read_rounds(case["rounds"]) for case in cases},
            facts={case["name"]: _read_facts(case) for case in cases},
        )
    except UNREADABLE as error:
        raise broken from error


def _read_facts(case: Row) -> Row:
    ran = {what: case[what] for what in ("engine", "device", "precision", "aim")}
    return {**ran, **{f"sha256 of {what}": str(one)[:12] for what, one in case["sha256"].items()}}


def _head(case: Case) -> Row:
    return {
        "name": case.name,
        "model": case.model,
        "asked_engine": case.engine,
        "batch": case.batch,
        "threads": case.threads,
        "sha256": {what: sha256_file(path) for what, path in case.files if path.is_file()},
    }


def _refused_row(refused: Refused) -> Row:
    return {**_head(refused.case), "unavailable": refused.reason}


def _bound_row(bound: Bound) -> Row:
    return {
        "board": bound.limits.board,
        "precision": bound.precision,
        "source": bound.limits.source,
        "arithmetic_ms": bound.arithmetic_ms,
        "total_ms": bound.total_ms,
    }


def _round_row(one: Round) -> Row:
    return {
        "part": one.part,
        "started_s": round(one.started_s, 3),
        "wall_s": round(one.wall_s, 6),
        "cpu_s": round(one.cpu_s, 6),
        "frames": one.frames,
        "yardstick_ms": round(one.yardstick_ms, 6),
        "power_mw": _rounded(one.power_mw),
        "latencies_us": _us(one.latencies_ns),
        "network_us": _us(one.network_ns),
    }


def _read_rounds(rows: list[Row]) -> tuple[Round, ...]:
    if not rows:
        raise ValueError("a case without rounds")
    return tuple(map(_read_round, rows))


def _read_round(row: Row) -> Round:
    one = Round(
        part=int(row["part"]),
        started_s=float(row["started_s"]),
        wall_s=float(row["wall_s"]),
        cpu_s=float(row["cpu_s"]),
        frames=int(row["frames"]),
        yardstick_ms=float(row["yardstick_ms"]),
        latencies_ns=_ns(row["latencies_us"]),
        network_ns=_ns(row["network_us"]),
        power_mw=None if row["power_mw"] is None else float(row["power_mw"]),
    )
    if one.latencies_ns.min() <= 0 or not 0 < one.yardstick_ms < math.inf:
        raise ValueError("a round without times")
    return one


def _us(times_ns: Nanoseconds) -> list[float]:
    """Give microseconds to a tenth: finer than a call of the clock, and short in JSON."""
    return [round(float(time_ns) / NS_A_US, 1) for time_ns in times_ns]


def _ns(times_us: list[float]) -> Nanoseconds:
    return np.array([round(float(time_us) * NS_A_US) for time_us in times_us], np.int64)


def _or_reason(value: Any) -> Row:  # noqa: ANN401 - a dataclass of any kind
    return {"unavailable": value.reason} if isinstance(value, Unavailable) else asdict(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _rounded_all(row: Row) -> Row:
    return {
        name: round(value, DIGITS) if isinstance(value, float) else value
        for name, value in row.items()
    }
