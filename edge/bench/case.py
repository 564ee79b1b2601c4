"""What is measured: a model on an engine, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from edge.engine.base import Engine, EngineInfo, LayerTime
    from edge.model.contract import Contract
    from edge.record import Unavailable

    Opener = Callable[[], AbstractContextManager[tuple[Engine, Contract]]]
    Nanoseconds = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure.

    Attributes:
        name: tells it apart from the others of a run, and finds it again in another run.
        model: catalogue name or file.
        open: opens the engine anew, for the length of a `with` block.
        engine: as it was asked for.
        batch: pictures in one submission.
        threads: of the engine; None leaves them to it.
        files: what decides it, by name: "model", "plan"; one that is not there is not told.
        command: words of `edge run` that classify with the same, without the source; None where
            there are none, and then no start is measured.
    """

    name: str
    model: str
    open: Opener
    engine: str = "auto"
    batch: int = 1
    threads: int | None = None
    files: tuple[tuple[str, Path], ...] = ()
    command: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """What one round of submissions took; rounds are what intervals are made of.

    Attributes:
        part: number of the opening of the engine that it belongs to.
        started_s: since the start of the measurement.
        wall_s: how long it took.
        cpu_s: processor time of the whole process in it.
        frames: pictures that went through.
        yardstick_ms: what a fixed piece of work took just before, see `edge.bench.yardstick`.
        latencies_ns: of each submission, from it to its last scores.
        network_ns: of each submission, what the engine says that the network alone took.
        power_mw: mean in it; None without a meter.
    """

    part: int
    started_s: float
    wall_s: float
    cpu_s: float
    frames: int
    yardstick_ms: float
    latencies_ns: Nanoseconds
    network_ns: Nanoseconds
    power_mw: float | None = None


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What went before the rounds of a part.

    Attributes:
        seconds: how long it took.
        frames: how many.
        stable: whether it ended because the latency no longer moved.
    """

    seconds: float
    frames: int
    stable: bool


@dataclass(frozen=True, slots=True)
class Start:
    """Starts of fresh processes, each up to its first label.

    Attributes:
        first_label_s: of each start, in order; the first may have compiled the network.
        peak_mib: most memory that one of them held up to it, its libraries included.
    """

    first_label_s: tuple[float, ...]
    peak_mib: float


@dataclass(frozen=True, slots=True, eq=False)
class CaseResult:
    """What was measured of a case.

    Attributes:
        case: what it is.
        info: of its engine.
        rounds: in order.
        warm_ups: one a part.
        goal_reached: whether the interval of the median became as narrow as wanted.
        start: of fresh processes, or why there are none.
        layers: time of each layer, or why it is not known.
    """

    case: Case
    info: EngineInfo
    rounds: tuple[Round, ...]
    warm_ups: tuple[WarmUp, ...]
    goal_reached: bool
    start: Start | Unavailable
    layers: tuple[LayerTime, ...] | Unavailable


@dataclass(frozen=True, slots=True)
class Refused:
    """A case that cannot be measured here.

    Attributes:
        case: what it was to be.
        reason: why not.
    """

    case: Case
    reason: str
