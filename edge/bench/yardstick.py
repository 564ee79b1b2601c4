"""A fixed piece of work, timed beside every round: it tells a slow machine from a slow engine."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from types import TracebackType

    import numpy.typing as npt
    from typing_extensions import Self

    Values = npt.NDArray[np.float64]

REPEATS = 15
SIZE = 1 << 14
"""Values a pass: a call takes long enough to be worth its start, and stays in the first caches."""
PASSES = 4


class Yardstick:
    """Sines on every core at once, between enter and exit.

    All cores work on it, and the slowest decides, as it is inside an engine with several threads:
    so it also slows down where another program takes one core of many.
    """

    def __init__(self) -> None:
        cores = len(os.sched_getaffinity(0))
        self._pool = ThreadPoolExecutor(cores, thread_name_prefix="yardstick")
        angles = np.linspace(0.0, 100.0, SIZE)
        self._work = [(angles.copy(), np.empty_like(angles)) for _ in range(cores)]

    def __enter__(self) -> Self:
        """Start the threads."""
        self.measure_ms()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the threads."""
        self._pool.shutdown()

    def measure_ms(self) -> float:
        """Do the work several times and give the median."""
        times_ns = []
        for _ in range(REPEATS):
            started_ns = time.perf_counter_ns()
            list(self._pool.map(_pass, self._work))
            times_ns.append(time.perf_counter_ns() - started_ns)
        return float(np.median(times_ns)) / 1e6


def _pass(arrays: tuple[Values, Values]) -> None:
    angles, sines = arrays
    for _ in range(PASSES):
        np.sin(angles, out=sines)  # NumPy works without the interpreter's lock
