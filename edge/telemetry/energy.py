"""Energy from samples of power: the sum over time, and how far it may be off."""

from __future__ import annotations

from edge.record import RailSummary


class EnergyIntegral:
    """The trapezoid sum of power over time, with a bound of its error.

    Between two samples that are h apart the power is taken to lie between the two readings a and b.
    Its energy then lies between h min(a, b) and h max(a, b); the trapezoid h (a + b) / 2 is the
    middle of that, and off by at most h |b - a| / 2. A reading that itself takes the time d is of
    some moment in d, so that the change from a to b may come as late as d after the step: it is
    then off by at most (h / 2 + d) |b - a|. The bound of the whole is the sum of these.

    It needs no model of the load, holds for jumps at any moment, and also where each reading is the
    mean since the one before (counters: the exact sum of h b differs from the trapezoids by
    h (b - a) / 2 a step). What rises and falls again between two samples is not seen by any of
    them: sample faster to rule it out. The error of the chip itself is not in it.
    Source: rectangle rules below and above a monotone function, for example Davis and Rabinowitz,
    "Methods of Numerical Integration", section 2.1.
    """

    def __init__(self) -> None:
        self.energy_j = 0.0
        self.error_j = 0.0
        self.seconds = 0.0
        self.power_mw: float | None = None
        self.last_ns = 0
        """Of the last sample, or of a new start behind it."""

    def add(self, power_mw: float, now_ns: int, took_ns: int = 0) -> None:
        """Add one sample.

        Args:
            power_mw: the reading.
            now_ns: when it began, on the monotonic clock.
            took_ns: how long it took.
        """
        now_ns = max(now_ns, self.last_ns)  # it may have been taken just before a new start
        if self.power_mw is not None:
            step_s = (now_ns - self.last_ns) / 1e9
            self.energy_j += (self.power_mw + power_mw) / 2000 * step_s
            self.error_j += abs(self.power_mw - power_mw) / 1000 * (step_s / 2 + took_ns / 1e9)
            self.seconds += step_s
        self.power_mw, self.last_ns = power_mw, now_ns

    def start_over(self, now_ns: int) -> None:
        """Begin a new sum at `now_ns`.

        The last reading stands for its first: what was between two readings still is when the
        beginning is cut off, so that the bound holds.
        """
        self.energy_j = self.error_j = self.seconds = 0.0
        self.last_ns = now_ns

    def mean_mw(self) -> float:
        """Give the mean power; the last sample while there is only one."""
        if self.seconds > 0:
            return self.energy_j / self.seconds * 1000
        return self.power_mw or 0.0


class RailTally:
    """What one rail, or a total, has come to so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.integral = EnergyIntegral()
        self._readings = 0
        self._min_mw = self._max_mw = 0.0

    def add(self, power_mw: float, now_ns: int, took_ns: int = 0) -> None:
        """Add one reading, see `EnergyIntegral.add`."""
        self._min_mw = min(self._min_mw, power_mw) if self._readings else power_mw
        self._max_mw = max(self._max_mw, power_mw) if self._readings else power_mw
        self._readings += 1
        self.integral.add(power_mw, now_ns, took_ns)

    def start_over(self, now_ns: int) -> None:
        """Begin anew at `now_ns`, from the last reading."""
        self._readings = 0
        self.integral.start_over(now_ns)
        if self.integral.power_mw is not None:
            self._min_mw = self._max_mw = self.integral.power_mw
            self._readings = 1

    def summarize(self) -> RailSummary | None:
        """Give the figures; None while there is no reading."""
        if not self._readings:
            return None
        mean_mw = self.integral.mean_mw()
        return RailSummary(
            name=self.name,
            min_mw=self._min_mw,
            mean_mw=min(max(mean_mw, self._min_mw), self._max_mw),  # sums are rounded
            max_mw=self._max_mw,
            energy_j=self.integral.energy_j,
            energy_error_j=self.integral.error_j,
            readings=self._readings,
        )
