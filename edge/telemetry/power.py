"""Samples the power of this machine in a thread of its own and sums the energy."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from edge.record import PowerReading, RailState, Unavailable
from edge.telemetry.energy import RailTally
from edge.telemetry.meter import find_meter
from edge.telemetry.tegrastats import explain_no_total
from edge.telemetry.tegrastats_child import TegrastatsChild

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

    from edge.board import SysRoot
    from edge.record import RailSummary
    from edge.telemetry.meter import Meter, PowerSample

PowerFrom: TypeAlias = Literal["auto", "tegrastats"]
"""What the kernel and the drivers tell, or what NVIDIA's program does."""

SAMPLE_HZ: dict[PowerFrom, float] = {"auto": 20.0, "tegrastats": 10.0}
"""How often, unless it is asked for otherwise; the program takes more of a core for each line."""

SILENT_NS = 5_000_000_000
"""After so long without a sample the last one is not "now" any more."""


class PowerSource(Protocol):
    """Gives samples to one thread until another one stops it."""

    @property
    def ended(self) -> Unavailable | None:
        """Why there will be no more samples though nobody stopped it."""

    @property
    def not_connected(self) -> tuple[str, ...]:
        """Channels that measure nothing."""

    def elsewhere_ns(self) -> int:
        """Give the CPU time that it took so far outside the thread of `samples`."""

    def samples(self) -> Iterator[PowerSample]:
        """Give one sample after the other, each at its time."""

    def stop(self) -> None:
        """End `samples`, from any thread, and let go of what was opened; once."""


class PolledMeter:
    """Reads a meter at a steady rate.

    Args:
        meter: is closed with it.
        hz: samples a second.
    """

    ended: Unavailable | None = None

    def __init__(self, meter: Meter, hz: float) -> None:
        self._meter = meter
        self.not_connected = meter.not_connected
        self._period_ns = round(1e9 / hz)
        self._stop = threading.Event()

    def elsewhere_ns(self) -> int:
        """Give 0: the kernel's own work for a reading is the reader's."""
        return 0

    def samples(self) -> Iterator[PowerSample]:
        """Give one sample a period; those whose time went by are left out."""
        due_ns = time.monotonic_ns()
        try:
            while True:
                yield self._meter.read()
                now_ns = time.monotonic_ns()
                due_ns = max(due_ns + self._period_ns, now_ns)
                if self._stop.wait((due_ns - now_ns) / 1e9):
                    return
        finally:
            self._meter.close()

    def stop(self) -> None:
        """Wake up the thread and let it go."""
        self._stop.set()


class PowerSampler:
    """Reads all rails many times a second between enter and exit; any thread may ask.

    Args:
        root: where /sys is.
        source: whom to ask.
        hz: samples a second, None for what suits the source.
    """

    def __init__(
        self, root: SysRoot, *, source: PowerFrom = "auto", hz: float | None = None
    ) -> None:
        self._source: PowerSource | Unavailable = _open_source(
            root, source, SAMPLE_HZ[source] if hz is None else hz
        )
        self._changed = threading.Condition()
        self._tallies: dict[str, RailTally] = {}
        self._last: PowerSample | None = None
        self._idle_mw: float | None = None
        self._idle_error_mw = 0.0
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._started_ns = self._cpu_ns = 0

    def __enter__(self) -> Self:
        """Start the thread where there is something to sample."""
        self._started_ns = time.monotonic_ns()
        if not isinstance(self._source, Unavailable):
            self._thread = threading.Thread(
                target=self._sample, args=(self._source,), name="power", daemon=True
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
        if self._thread is not None and not isinstance(self._source, Unavailable):
            self._source.stop()
            self._thread.join()

    @property
    def over(self) -> bool:
        """Whether no reading will come any more."""
        is_stopped = isinstance(self._source, Unavailable) or self._source.ended is not None
        return is_stopped or self._error is not None

    def read(self) -> PowerReading | Unavailable:
        """Give the power now and the energy so far, or why there is none.

        Raises:
            Exception: a bug of ours stopped the thread.
        """
        if self._error is not None:
            raise self._error
        if isinstance(self._source, Unavailable):
            return self._source
        with self._changed:
            return self._source.ended or self._read(time.monotonic_ns())

    def _read(self, now_ns: int) -> PowerReading | Unavailable:
        last = self._last
        if now_ns - (self._started_ns if last is None else last.now_ns) > SILENT_NS:
            return Unavailable(f"no reading for more than {SILENT_NS / 1e9:.0f} s")
        if last is None:
            return Unavailable("no reading yet")
        if not last.totals:
            return Unavailable(explain_no_total(last.rails_mw))
        total = last.totals[0]
        tally = self._tallies.get(total.name)
        now_mw = total.add_up(last.rails_mw)
        if isinstance(now_mw, Unavailable) and (
            tally is None or last.now_ns - tally.integral.last_ns > SILENT_NS
        ):
            return Unavailable(f"{total.name}: {now_mw.reason}")
        assert tally is not None  # noqa: S101 - what can be read is in it
        integral = tally.integral
        assert integral.power_mw is not None  # noqa: S101 - it was made for a reading
        return PowerReading(
            power_mw=integral.power_mw,
            mean_mw=integral.mean_mw(),
            energy_j=integral.energy_j,
            total=total.name,
            covered_s=integral.seconds,
            energy_error_j=integral.error_j,
            idle_mw=self._idle_mw,
            idle_error_mw=self._idle_error_mw,
            rails_mw={
                name: None if isinstance(power_mw, Unavailable) else power_mw
                for name, power_mw in last.rails_mw.items()
            },
            sampler_share=self._cpu_ns / max(1, now_ns - self._started_ns),
        )

    @property
    def not_connected(self) -> tuple[str, ...]:
        """Channels of this machine that measure nothing."""
        return () if isinstance(self._source, Unavailable) else self._source.not_connected

    def rails(self) -> tuple[RailState, ...]:
        """Give every rail, those that count first, and below them the totals that they make."""
        with self._changed:
            if self._last is None:
                return ()
            rails_mw, totals = self._last.rails_mw, self._last.totals
            counted = totals[0].parts if totals else ()
            names = sorted(rails_mw, key=lambda name: name not in counted)
            states = [
                RailState(name, rails_mw[name], self._summarize(name),
                          "counted" if name in counted else "other")
                for name in names
            ]  # fmt: skip
            states += [
                RailState(total.name, total.add_up(rails_mw), self._summarize(total.name),
                          "total" if number == 0 else "other total")
                for number, total in enumerate(totals)
            ]  # fmt: skip
            return tuple(states)

    def _summarize(self, name: str) -> RailSummary | None:
        tally = self._tallies.get(name)
        return None if tally is None else tally.summarize()

    def wait_for_reading(self, patience_s: float) -> PowerReading | Unavailable:
        """Wait until there is a reading, so long at most, and give it or why there is none."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.over or isinstance(self._read(time.monotonic_ns()), PowerReading),
                patience_s,
            )
        return self.read()

    def measure_idle(self, seconds: float, stop: threading.Event) -> None:
        """Take the mean power of so many seconds from now for that of idling, then start over.

        Does not wait where nothing can be measured.
        """
        if self.over:
            return
        self.start_over()
        stop.wait(seconds)
        reading = self.read()
        if isinstance(reading, PowerReading) and reading.covered_s > 0:
            self._idle_mw = reading.mean_mw
            self._idle_error_mw = reading.energy_error_j / reading.covered_s * 1000
        self.start_over()

    def start_over(self) -> None:
        """Begin the sums anew: the run begins here."""
        with self._changed:
            now_ns = time.monotonic_ns()
            for tally in self._tallies.values():
                tally.start_over(now_ns)

    def _sample(self, source: PowerSource) -> None:
        try:
            self._take_samples(source)
        except Exception as error:  # noqa: BLE001 - the owner raises it in its own thread
            self._error = error
        with self._changed:
            self._changed.notify_all()

    def _take_samples(self, source: PowerSource) -> None:
        for sample in source.samples():
            with self._changed:
                self._last = sample
                for name, power_mw in sample.rails_mw.items():
                    self._add(name, power_mw, sample)
                for total in sample.totals:
                    self._add(total.name, total.add_up(sample.rails_mw), sample)
                self._cpu_ns = time.thread_time_ns() + source.elsewhere_ns()
                self._changed.notify_all()

    def _add(self, name: str, power_mw: float | Unavailable, sample: PowerSample) -> None:
        if not isinstance(power_mw, Unavailable):
            tally = self._tallies.setdefault(name, RailTally(name))
            tally.add(power_mw, sample.now_ns, sample.took_ns)


def _open_source(root: SysRoot, source: PowerFrom, hz: float) -> PowerSource | Unavailable:
    if source == "tegrastats":
        return TegrastatsChild.start(round(1000 / hz))
    meter = find_meter(root)
    return meter if isinstance(meter, Unavailable) else PolledMeter(meter, hz)
