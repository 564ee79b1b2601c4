"""Samples the power of this machine in a thread of its own and sums the energy."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from edge.record import PowerReading, Unavailable
from edge.telemetry.rails import find_meter

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from edge.board import SysRoot
    from edge.telemetry.rails import PowerMeter

SAMPLE_HZ = 20


class EnergyIntegral:
    """The trapezoid sum of power over time."""

    def __init__(self) -> None:
        self.energy_j = 0.0
        self.seconds = 0.0
        self.power_mw: float | None = None
        self._last_ns = 0

    def add(self, power_mw: float, now_ns: int) -> None:
        """Add one sample; `now_ns` is the monotonic clock and does not go back."""
        if self.power_mw is not None:
            step_s = (now_ns - self._last_ns) / 1e9
            self.energy_j += (self.power_mw + power_mw) / 2000 * step_s
            self.seconds += step_s
        self.power_mw, self._last_ns = power_mw, now_ns

    def mean_mw(self) -> float:
        """Give the mean power; the last sample while there is only one."""
        if self.seconds > 0:
            return self.energy_j / self.seconds * 1000
        return self.power_mw or 0.0


class PowerSampler:
    """Reads the total 20 times a second between enter and exit.

    Args:
        root: where /sys is.
    """

    def __init__(self, root: SysRoot) -> None:
        self._meter = find_meter(root)
        self._integral = EnergyIntegral()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start the thread where there is something to sample."""
        if not isinstance(self._meter, Unavailable):
            self._thread = threading.Thread(
                target=self._sample, args=(self._meter,), name="power", daemon=True
            )
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def running(self) -> bool:
        """Whether there is a total to sample, of which a reading may come yet."""
        return self._thread is not None

    def read(self) -> PowerReading | Unavailable:
        """Give the power now and the energy so far, or why there is none."""
        if isinstance(self._meter, Unavailable):
            return self._meter
        with self._lock:
            integral = self._integral
            if integral.power_mw is None:
                return Unavailable(f"{self._meter.total}: no reading yet")
            return PowerReading(
                integral.power_mw,
                integral.mean_mw(),
                integral.energy_j,
                self._meter.total,
                integral.seconds,
            )

    def _sample(self, meter: PowerMeter) -> None:
        while True:
            now_ns = time.monotonic_ns()
            power_mw = meter.read_mw(now_ns)
            if power_mw is not None:
                with self._lock:
                    self._integral.add(power_mw, now_ns)
            if self._stop.wait(1 / SAMPLE_HZ):
                return
