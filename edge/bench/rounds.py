"""Drives one open engine: fills its memory, warms it up, and times rounds of submissions."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from edge.bench.case import Round, WarmUp
from edge.errors import UnavailableError
from edge.record import PowerReading

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.engine.base import Engine
    from edge.record import Unavailable

    ReadPower = Callable[[], PowerReading | Unavailable]

LEAST_SUBMISSIONS = 8
"""In a round and in a window of the warm-up, however slow the engine is."""
WINDOWS = 3
WINDOW_SHARE = 0.1
"""Of the longest warm-up."""
STABLE_WITHIN = 0.02
ABOUT_WARM_UP = (
    f"the medians of its last {WINDOWS} windows, each a tenth of the longest warm-up, lie within"
    f" {STABLE_WITHIN:.0%} of each other"
)
"""What "stable" means."""


class Driver:
    """Times the engine alone: its input is there already, and nothing looks at its scores.

    An engine that aims at latency gets one submission at a time; another one as many as it takes.

    Args:
        engine: open, used by nobody else.
        batch: pictures in a submission.

    Raises:
        UnavailableError: the engine does not take so many pictures at once.
    """

    def __init__(self, engine: Engine, batch: int) -> None:
        info = engine.info
        if batch > info.batch:
            raise UnavailableError(
                f"{info.name}: takes {info.batch} picture{'s' * (info.batch > 1)} at once",
                hint=f"Build a plan for more: edge build MODEL --batch 1:1:{batch}",
            )
        self._engine = engine
        self._batch = batch
        self._depth = 1 if info.aim == "latency" else max(1, info.slots // info.batch)
        self._fill()

    def warm_up(self, most_s: float) -> WarmUp:
        """Run until the latency no longer moves, or the time is over; see `ABOUT_WARM_UP`."""
        started_ns = time.perf_counter_ns()
        medians: deque[float] = deque(maxlen=WINDOWS)
        frames = 0
        while True:
            latencies_ns, _ = self._submit_for(most_s * WINDOW_SHARE)
            frames += len(latencies_ns) * self._batch
            medians.append(float(np.median(latencies_ns)))
            seconds = (time.perf_counter_ns() - started_ns) / 1e9
            stable = len(medians) == WINDOWS and (
                max(medians) - min(medians) <= STABLE_WITHIN * min(medians)
            )
            if stable or seconds >= most_s:
                return WarmUp(seconds, frames, stable)

    def run_round(
        self,
        part: int,
        started_s: float,
        seconds: float,
        yardstick_ms: float,
        read_power: ReadPower,
    ) -> Round:
        """Time one round of about so many seconds."""
        before = read_power()
        cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
        latencies_ns, network_ns = self._submit_for(seconds)
        wall_s = (time.perf_counter_ns() - wall_ns) / 1e9
        cpu_s = (time.process_time_ns() - cpu_ns) / 1e9
        return Round(
            part=part,
            started_s=started_s,
            wall_s=wall_s,
            cpu_s=cpu_s,
            frames=len(latencies_ns) * self._batch,
            yardstick_ms=yardstick_ms,
            latencies_ns=np.array(latencies_ns, np.int64),
            network_ns=np.array(network_ns, np.int64),
            power_mw=_mean_mw(before, read_power()),
        )

    def _fill(self) -> None:
        """Put the same noise into every slot; what it is decides no engine's time."""
        noise = np.random.default_rng(0)
        for _ in range(self._engine.info.slots):
            slots = [self._engine.acquire() for _ in range(self._batch)]
            for slot in slots:
                slot.pixels[:] = noise.integers(0, 256, slot.pixels.shape, np.uint8)
            self._engine.submit(*slots)
            for _ in slots:
                self._engine.collect()

    def _submit_for(self, seconds: float) -> tuple[list[int], list[int]]:
        """Give latency and network time of each submission, all of them collected."""
        engine, batch, depth, clock = self._engine, self._batch, self._depth, time.perf_counter_ns
        latencies_ns: list[int] = []
        network_ns: list[int] = []
        in_flight: deque[int] = deque()
        end_ns = clock() + round(seconds * 1e9)
        submitted = 0
        while True:
            goes_on = submitted < LEAST_SUBMISSIONS or clock() < end_ns
            if goes_on and len(in_flight) < depth:
                slots = [engine.acquire() for _ in range(batch)]
                in_flight.append(clock())
                engine.submit(*slots)
                submitted += 1
                if len(in_flight) < depth:
                    continue
            if not in_flight:
                return latencies_ns, network_ns
            for _ in range(batch):
                scores = engine.collect()
            latencies_ns.append(clock() - in_flight.popleft())
            network_ns.append(scores.infer_ns)


def _mean_mw(before: PowerReading | Unavailable, after: PowerReading | Unavailable) -> float | None:
    """Give the mean power between two readings; None where no sample came between them."""
    if not isinstance(before, PowerReading) or not isinstance(after, PowerReading):
        return None
    covered_s = after.covered_s - before.covered_s
    return (after.energy_j - before.energy_j) / covered_s * 1000 if covered_s > 0 else None
