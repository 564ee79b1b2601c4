"""Reads one line of NVIDIA's `tegrastats`, of any L4T release from 24 to 39, without ever raising.

Absent, zero and negative are three different things: what the line does not say is None or missing,
a 0 was printed as 0, and a negative power (the offset of an idle rail of Thor) stays negative.
Source: NVIDIA Jetson Linux Developer Guide, "tegrastats Utility"; recorded lines of twelve boards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

OFF_BELOW_C = -200.0
"""A zone without power is printed as -256C; no sensor of a board that runs reads near it."""

NOT_CONNECTED = "NC"
CONSTANT_ZONE = "PMIC"
"""Prints 50C or 100C, whatever it is."""


@dataclass(frozen=True, slots=True)
class RailPower:
    """One power rail.

    Attributes:
        name: as the board labels it, for example "VDD_IN".
        power_mw: at this moment; 0 for a gated rail, negative for an idle one's offset.
        mean_mw: since tegrastats was started, which may be long before this log.
        peak_mw: the same, from L4T 39 on.
    """

    name: str
    power_mw: int
    mean_mw: int
    peak_mw: int | None = None


@dataclass(frozen=True, slots=True)
class Temperature:
    """One thermal zone that has power; `peak_c` is since tegrastats was started (L4T 39)."""

    name: str
    temperature_c: float
    peak_c: float | None = None


@dataclass(frozen=True, slots=True)
class CpuCore:
    """One core.

    Attributes:
        load_percent: None where it is off or not told.
        clock_mhz: None where it is off or not told.
        off: taken out of work by the power mode.
    """

    load_percent: int | None
    clock_mhz: int | None
    off: bool = False


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """One unit with a clock: the GPU (GR3D), the memory (EMC), a video or a vision engine.

    Attributes:
        name: without a final "_FREQ", which releases write and leave out.
        load_percent: None where it is not told.
        clocks_mhz: one for each cluster of the GPU (GPC), one of others, none where not told.
        off: without power.
    """

    name: str
    load_percent: int | None
    clocks_mhz: tuple[int, ...] = ()
    off: bool = False


@dataclass(frozen=True, slots=True)
class Ram:
    """Main memory, which CPU and GPU share; the largest free block is counted in blocks."""

    used_mb: int
    total_mb: int
    free_blocks: int | None = None
    free_block_kb: int | None = None


@dataclass(frozen=True, slots=True)
class Swap:
    """Swap space."""

    used_mb: int
    total_mb: int
    cached_mb: int | None = None


@dataclass(frozen=True, slots=True)
class Iram:
    """The small memory on the chip of a TX1 or Nano."""

    used_kb: int
    total_kb: int
    free_block_kb: int | None = None


@dataclass(frozen=True, slots=True)
class TegraSample:
    """What one line says.

    Attributes:
        timestamp: the board's local time without a zone, to the second (L4T 34 and later).
        ram: None where the line does not say it, as for the next two.
        swap: see there.
        iram: see there.
        cores: in the order of the line.
        engines: see `EngineLoad`.
        rails: in the order of the line, without those that are not connected ("NC").
        temperatures: zones that have power, without "PMIC", which is a constant.
        powered_off: names of the zones that have none.
        unknown: words that were not understood, in the order of the line.
    """

    timestamp: datetime | None = None
    ram: Ram | None = None
    swap: Swap | None = None
    iram: Iram | None = None
    cores: tuple[CpuCore, ...] = ()
    engines: tuple[EngineLoad, ...] = ()
    rails: tuple[RailPower, ...] = ()
    temperatures: tuple[Temperature, ...] = ()
    powered_off: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def is_tegrastats(self) -> bool:
        """Whether the line came from tegrastats: all releases print memory and cores."""
        return self.ram is not None or bool(self.cores)


def explain_no_total(labels: Collection[str]) -> str:
    """Say why a board has no total when these are the rails that were printed."""
    if not labels:
        return "tegrastats printed no power rail; some boards show them to root alone"
    return f"no known total of the rails {', '.join(labels)}"


def parse_tegrastats(line: str) -> TegraSample:
    """Give what a line says; never raises, and keeps what it does not know as `unknown`.

    Rails and zones of one name (GPU of AGX Xavier) are told apart by the `@` of a temperature. Of
    two rails, zones or engines with one name the second is unknown. A value that was cut off at
    the end of a log is unknown too, where that can be seen.
    """
    text = " ".join(line.split())
    draft = _Draft()
    at = 0
    while at < len(text):
        at = _take_next(draft, text, at) + 1  # the blank behind it
    return draft.freeze()


@dataclass(slots=True)
class _Draft:
    """A sample in the making."""

    timestamp: datetime | None = None
    ram: Ram | None = None
    swap: Swap | None = None
    iram: Iram | None = None
    cores: tuple[CpuCore, ...] = ()
    engines: dict[str, EngineLoad] = field(default_factory=dict)
    rails: dict[str, RailPower] = field(default_factory=dict)
    temperatures: dict[str, Temperature] = field(default_factory=dict)
    powered_off: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def freeze(self) -> TegraSample:
        return TegraSample(
            timestamp=self.timestamp,
            ram=self.ram,
            swap=self.swap,
            iram=self.iram,
            cores=self.cores,
            engines=tuple(self.engines.values()),
            rails=tuple(self.rails.values()),
            temperatures=tuple(self.temperatures.values()),
            powered_off=tuple(self.powered_off),
            unknown=tuple(self.unknown),
        )


def _take_next(draft: _Draft, text: str, start: int) -> int:
    """Take what stands at `start` into the draft; gives where it ends."""
    for pattern, take in _GRAMMAR:
        found = pattern.match(text, start)
        if found and take(draft, found):
            return found.end()
    end = text.find(" ", start)
    end = len(text) if end < 0 else end
    draft.unknown.append(text[start:end])
    return end


def _take_timestamp(draft: _Draft, found: re.Match[str]) -> bool:
    if draft.timestamp is not None:
        return False
    month, day, year, hour, minute, second = map(int, found.groups())
    try:
        draft.timestamp = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - not told
    except ValueError:
        return False
    return True


def _take_ram(draft: _Draft, found: re.Match[str]) -> bool:
    used, total, blocks, size, unit = found.groups()
    if draft.ram is not None:
        return False
    block_kb = int(size) * (1024 if unit == "MB" else 1) if size else None
    draft.ram = Ram(int(used), int(total), _number(blocks), block_kb)
    return True


def _take_swap(draft: _Draft, found: re.Match[str]) -> bool:
    used, total, cached = found.groups()
    if draft.swap is not None:
        return False
    draft.swap = Swap(int(used), int(total), _number(cached))
    return True


def _take_iram(draft: _Draft, found: re.Match[str]) -> bool:
    used, total, block = found.groups()
    if draft.iram is not None:
        return False
    draft.iram = Iram(int(used), int(total), _number(block))
    return True


def _take_cores(draft: _Draft, found: re.Match[str]) -> bool:
    """Take the cores; L4T 24 gives one clock for all of them, behind the list."""
    words, clock = found.groups()
    if draft.cores:
        return False
    cores = []
    for word in words.split(","):
        core = _CORE.fullmatch(word.strip())
        if core is None:
            return False
        off = core["load"] is None
        clock_mhz = None if off else _number(core["clock"] or clock)
        cores.append(CpuCore(_number(core["load"]), clock_mhz, off))
    draft.cores = tuple(cores)
    return True


def _take_temperature(draft: _Draft, found: re.Match[str]) -> bool:
    name, current, peak = found.groups()
    if name in draft.temperatures or name in draft.powered_off:
        return False
    if name == CONSTANT_ZONE:
        return True
    temperature_c = float(current)
    peak_c = float(peak) if peak else None
    if temperature_c < OFF_BELOW_C:
        draft.powered_off.append(name)
    else:
        told_c = peak_c if peak_c is not None and peak_c >= OFF_BELOW_C else None
        draft.temperatures[name] = Temperature(name, temperature_c, told_c)
    return True


def _take_rail(draft: _Draft, found: re.Match[str]) -> bool:
    name, current, mean, peak = found["name"], found["current"], found["mean"], found["peak"]
    if name in draft.rails:
        return False
    if name != NOT_CONNECTED:
        draft.rails[name] = RailPower(name, int(current), int(mean), _number(peak))
    return True


def _take_engine(draft: _Draft, found: re.Match[str]) -> bool:
    name = found["name"].removesuffix("_FREQ")
    if name in draft.engines:
        return False
    clocks = found["clocks"] or ""
    clocks_mhz = tuple(int(clock) for clock in clocks.strip("[]").split(",") if clock)
    load = _number(found["load"])
    draft.engines[name] = EngineLoad(name, load, clocks_mhz, off=not clocks and load is None)
    return True


def _take_clock(draft: _Draft, found: re.Match[str]) -> bool:
    name = found["name"].removesuffix("_FREQ")
    if name in draft.engines:
        return False
    draft.engines[name] = EngineLoad(name, None, (int(found["clock"]),))
    return True


def _take_nothing(draft: _Draft, found: re.Match[str]) -> bool:  # noqa: ARG001 - one of a kind
    return True


def _number(digits: str | None) -> int | None:
    return int(digits) if digits else None


_END = r"(?!\S)"
_N = r"[0-9]{1,9}"  # \d takes digits of other scripts too; Python refuses to read thousands
_MILLIWATT = rf"-?{_N}"
_DEGREE = rf"-?{_N}(?:\.[0-9]{{1,9}})?"
_CORE = re.compile(rf"off|(?P<load>{_N})%(?:@(?P<clock>{_N}))?")
_NAME = r"(?P<name>[A-Za-z][A-Za-z0-9_.-]*)"
_POWER = (
    rf"(?P<current>{_MILLIWATT})(?P<unit>mW)?/(?P<mean>{_MILLIWATT})(?(unit)mW)"
    rf"(?:/(?P<peak>{_MILLIWATT})(?(unit)mW))?"
)
_ENGINE = r"(?P<name>[A-Z][A-Z0-9_]*)"
_CLOCKS = rf"(?P<clocks>{_N}|\[{_N}(?:,{_N})*\])"
_LONE_CLOCK = r"[A-Z0-9]+_FREQ|APE|VIC|VDE|MSENC|SE|OFA|(?:NVENC|NVDEC|NVJPG|NVDLA|PVA)[0-9]?"

_GRAMMAR: tuple[tuple[re.Pattern[str], Callable[[_Draft, re.Match[str]], bool]], ...] = tuple(
    (re.compile(pattern + _END), take)
    for pattern, take in (
        (r"([0-9]{2})-([0-9]{2})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2})", _take_timestamp),
        (rf"RAM ({_N})/({_N})MB(?: ?\(lfb ({_N})x({_N})(MB|kB)\))?", _take_ram),
        (rf"SWAP ({_N})/({_N})MB(?: ?\(cached ({_N})MB\))?", _take_swap),
        (rf"IRAM ({_N})/({_N})kB(?: ?\(lfb ({_N})kB\))?", _take_iram),
        (rf"(?:CPU|cpu) \[([^\[\]]*)\](?:@({_N}))?", _take_cores),
        # How much Denver cores translate, and the current limit of a TX1: nobody asks for these.
        (rf"(?:MTS fg {_N}% bg {_N}%|EDP limit {_N})", _take_nothing),
        (rf"{_NAME}@({_DEGREE})C(?:/({_DEGREE})C)?", _take_temperature),
        (rf"(?!I?RAM |SWAP ){_NAME} {_POWER}", _take_rail),
        (rf"{_ENGINE} (?:off|(?P<load>{_N})%(?:@{_CLOCKS})?)", _take_engine),
        (rf"{_ENGINE}(?P<load>) @{_CLOCKS}", _take_engine),
        (rf"(?P<name>{_LONE_CLOCK}) (?P<clock>{_N})", _take_clock),
    )
)
