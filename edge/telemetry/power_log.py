"""What a log of `tegrastats` comes to: power and energy of each rail, heat and load."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, pairwise
from statistics import median_low
from typing import TYPE_CHECKING, Literal, TypeAlias

from edge.record import Unavailable
from edge.telemetry.energy import RailTally
from edge.telemetry.rails import list_totals
from edge.telemetry.tegrastats import explain_no_total, parse_tegrastats

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge.record import RailSummary
    from edge.telemetry.tegrastats import TegraSample

TimedBy: TypeAlias = Literal["timestamps", "interval"]
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the board does not tell its zone
_LOADS = ("GR3D", "EMC", "CPU")


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """How busy something was; the mean is over the readings."""

    mean_percent: float
    max_percent: float


@dataclass(frozen=True, slots=True)
class LogSummary:
    """A whole log.

    Attributes:
        samples: lines that were read.
        unreadable_lines: lines that were not, blank ones aside.
        unknown_words: words of the lines read that were not understood, all together.
        duration_s: from the first sample to the last.
        timed_by: whether the lines told the time, or it was counted in intervals.
        longest_step_s: between two samples; a gap is bridged by a straight line.
        clock_set_back: how often a time stamp was before the last one; such a step counts as 0 s.
        total: of the board, or why there is none. What its energy may be off by does not count
            the time, which stamps tell in whole seconds.
        rails: in the order of the log.
        max_temperatures_c: zone to its largest reading.
        gpu: load of GR3D, or why it is not told; so for the next two.
        emc: of the memory controller.
        cpu: mean over the cores that are on.
    """

    samples: int
    unreadable_lines: int
    unknown_words: int
    duration_s: float
    timed_by: TimedBy
    longest_step_s: float
    clock_set_back: int
    total: RailSummary | Unavailable
    rails: tuple[RailSummary, ...]
    max_temperatures_c: dict[str, float]
    gpu: LoadSummary | Unavailable
    emc: LoadSummary | Unavailable
    cpu: LoadSummary | Unavailable


@dataclass(frozen=True, slots=True)
class RailCurve:
    """One rail, or the total, over the time of a log.

    Attributes:
        name: the rail, or which rails make the total.
        times_s: since the first sample of the log.
        power_mw: at these times.
    """

    name: str
    times_s: Sequence[float]
    power_mw: Sequence[float]


@dataclass(frozen=True, slots=True)
class PowerLog:
    """A log with its curves.

    Attributes:
        summary: what it comes to.
        rails: in the order of the log.
        total: None where there is none.
    """

    summary: LogSummary
    rails: tuple[RailCurve, ...]
    total: RailCurve | None


@dataclass(slots=True)
class _Series:
    """Readings of one rail, and which sample each is of; arrays, for a log may be days long."""

    samples: array[int] = field(default_factory=lambda: array("q"))
    power_mw: array[float] = field(default_factory=lambda: array("d"))

    def add(self, sample: int, power_mw: float) -> None:
        self.samples.append(sample)
        self.power_mw.append(power_mw)


@dataclass(slots=True)
class _Load:
    """Readings of one load; zeros alone, without a clock, may not have been measured."""

    sum_percent: float = 0.0
    max_percent: float = 0.0
    readings: int = 0
    with_clock: bool = False

    def add(self, percent: float, *, with_clock: bool) -> None:
        self.sum_percent += percent
        self.max_percent = max(self.max_percent, percent)
        self.readings += 1
        self.with_clock |= with_clock

    def summarize(self, *, zero_is_told: bool) -> LoadSummary | Unavailable:
        if not self.readings:
            return Unavailable("tegrastats did not print it")
        if not (zero_is_told or self.with_clock or self.max_percent):
            return Unavailable("0% without a clock: run tegrastats as root")
        return LoadSummary(self.sum_percent / self.readings, self.max_percent)


@dataclass(slots=True)
class _Gathered:
    """All of a log that its summary needs."""

    samples: int = 0
    unreadable_lines: int = 0
    unknown_words: int = 0
    stamps_s: array[float] = field(default_factory=lambda: array("d"))
    rails: dict[str, _Series] = field(default_factory=dict)
    max_temperatures_c: dict[str, float] = field(default_factory=dict)
    loads: dict[str, _Load] = field(default_factory=lambda: {n: _Load() for n in _LOADS})

    def add(self, sample: TegraSample) -> None:
        for rail in sample.rails:
            self.rails.setdefault(rail.name, _Series()).add(self.samples, rail.power_mw)
        for zone in sample.temperatures:
            hottest_c = self.max_temperatures_c.get(zone.name, zone.temperature_c)
            self.max_temperatures_c[zone.name] = max(hottest_c, zone.temperature_c)
        for engine in sample.engines:
            if engine.name in self.loads and engine.load_percent is not None:
                self.loads[engine.name].add(engine.load_percent, with_clock=bool(engine.clocks_mhz))
        cores = [core.load_percent for core in sample.cores if core.load_percent is not None]
        if cores:
            self.loads["CPU"].add(sum(cores) / len(cores), with_clock=True)
        if sample.timestamp is not None:
            self.stamps_s.append((sample.timestamp - _EPOCH).total_seconds())
        self.unknown_words += len(sample.unknown)
        self.samples += 1


def read_log(lines: Iterable[str], interval_ms: int) -> PowerLog | Unavailable:
    """Read and sum up a log, or say that there is no line of tegrastats in it.

    Args:
        lines: with or without line ends.
        interval_ms: between two lines, for a log without time stamps (before L4T 34).
    """
    gathered = _gather(lines)
    if not gathered.samples:
        return Unavailable("no line of tegrastats in it")
    steps_s, set_back, timed_by = _find_steps(gathered, interval_ms)
    times_ns = [0]
    for step_s in steps_s:
        times_ns.append(times_ns[-1] + round(step_s * 1e9))
    total = _sum_total(gathered.rails)
    loads = gathered.loads
    stamped = timed_by == "timestamps"  # before, a user who is not root is given a 0
    summary = LogSummary(
        samples=gathered.samples,
        unreadable_lines=gathered.unreadable_lines,
        unknown_words=gathered.unknown_words,
        duration_s=times_ns[-1] / 1e9,
        timed_by=timed_by,
        longest_step_s=max(steps_s, default=0.0),
        clock_set_back=set_back,
        total=total if isinstance(total, Unavailable) else _sum_up(*total, times_ns),
        rails=tuple(_sum_up(name, one, times_ns) for name, one in gathered.rails.items()),
        max_temperatures_c=gathered.max_temperatures_c,
        gpu=loads["GR3D"].summarize(zero_is_told=stamped),
        emc=loads["EMC"].summarize(zero_is_told=False),
        cpu=loads["CPU"].summarize(zero_is_told=True),
    )
    return PowerLog(
        summary=summary,
        rails=tuple(_draw(name, one, times_ns) for name, one in gathered.rails.items()),
        total=None if isinstance(total, Unavailable) else _draw(*total, times_ns),
    )


def _gather(lines: Iterable[str]) -> _Gathered:
    """Read all lines; in a log with time stamps a line without one was cut, and is left out."""
    gathered = _Gathered()
    for line in lines:
        sample = parse_tegrastats(line)
        cut = sample.timestamp is None and len(gathered.stamps_s) > 0
        if cut or not sample.is_tegrastats:
            gathered.unreadable_lines += bool(line.strip())
            continue
        if sample.timestamp is not None and len(gathered.stamps_s) < gathered.samples:
            left_out = gathered.samples + gathered.unreadable_lines
            gathered = _Gathered(unreadable_lines=left_out)
        gathered.add(sample)
    return gathered


def _find_steps(gathered: _Gathered, interval_ms: int) -> tuple[list[float], int, TimedBy]:
    """Give the seconds between the samples, how many were below 0, and what told them."""
    stamps_s = gathered.stamps_s
    if len(stamps_s) == 0 or (len(stamps_s) > 1 and min(stamps_s) == max(stamps_s)):
        return [interval_ms / 1000] * (gathered.samples - 1), 0, "interval"
    times_s = _spread(stamps_s)
    steps_s = [after - before for before, after in pairwise(times_s)]
    set_back = sum(step_s < 0 for step_s in steps_s)
    return [max(step_s, 0.0) for step_s in steps_s], set_back, "timestamps"


def _spread(stamps_s: Iterable[float]) -> list[float]:
    """Spread the samples of one second over it: stamps are whole seconds, whatever the interval.

    A log begins and ends within a second: there as many samples a second are taken as in between.
    """
    groups = [(stamp_s, len(list(same))) for stamp_s, same in groupby(stamps_s)]
    counts = [count for _, count in groups]
    usual = median_low(counts[1:-1] or [max(counts)])
    times_s = []
    for number, (stamp_s, count) in enumerate(groups):
        at_an_end = number in {0, len(groups) - 1}
        slots = max(usual, count) if at_an_end else count
        first = slots - count if number == 0 else 0
        times_s += [stamp_s + (first + place) / slots for place in range(count)]
    return times_s


def _sum_total(rails: dict[str, _Series]) -> tuple[str, _Series] | Unavailable:
    """Give the total; it is chosen once, so that a cut line does not mix two totals."""
    totals = list_totals(rails)
    if not totals:
        return Unavailable(explain_no_total(rails))
    name, parts = totals[0].name, totals[0].parts
    sums_mw: dict[int, float] = {}
    given: Counter[int] = Counter()
    for part in parts:
        for sample, power_mw in zip(rails[part].samples, rails[part].power_mw, strict=True):
            sums_mw[sample] = sums_mw.get(sample, 0.0) + power_mw
            given[sample] += 1
    series = _Series()
    for sample, count in given.items():
        if count == len(parts):
            series.add(sample, sums_mw[sample])
    if not series.samples:
        return Unavailable(f"{name}: no line has all of its rails")
    return name, series


def _draw(name: str, series: _Series, times_ns: list[int]) -> RailCurve:
    return RailCurve(name, [times_ns[sample] / 1e9 for sample in series.samples], series.power_mw)


def _sum_up(name: str, series: _Series, times_ns: list[int]) -> RailSummary:
    tally = RailTally(name)
    for sample, power_mw in zip(series.samples, series.power_mw, strict=True):
        tally.add(power_mw, times_ns[sample])
    summary = tally.summarize()
    assert summary is not None  # noqa: S101 - a series has a reading
    return summary
