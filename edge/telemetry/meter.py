"""All that can be measured of this machine's power, and which sum of it is the total."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge.board import detect_board
from edge.record import Unavailable
from edge.telemetry.desktop import Missing, find_rapl
from edge.telemetry.nvml import Nvml
from edge.telemetry.rails import Total, find_rails, list_totals, open_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge.board import SysRoot


class Sensor(Protocol):
    """Something whose power can be read."""

    @property
    def label(self) -> str:
        """What it is called."""

    def measure(self, now_ns: int) -> float | Unavailable:
        """Give its power in mW at `now_ns` of the monotonic clock, or why there is none."""


@dataclass(frozen=True, slots=True)
class PowerSample:
    """All rails at one moment.

    Attributes:
        now_ns: on the monotonic clock, when the reading began.
        took_ns: how long it took.
        rails_mw: each in mW, or why it cannot be read.
        totals: that these rails make, the one that counts first.
    """

    now_ns: int
    took_ns: int
    rails_mw: Mapping[str, float | Unavailable]
    totals: tuple[Total, ...]


@dataclass(frozen=True, slots=True)
class Meter:
    """Reads all sensors of this machine.

    Attributes:
        sensors: each with a label of its own.
        totals: that they make, at least one; the first counts.
        not_connected: channels without a rail.
        close: lets go of what was opened.
    """

    sensors: tuple[Sensor, ...]
    totals: tuple[Total, ...]
    not_connected: tuple[str, ...] = ()
    close: Callable[[], None] = lambda: None

    @property
    def total(self) -> str:
        """The name of the total that counts."""
        return self.totals[0].name

    def read(self) -> PowerSample:
        """Read them all, now."""
        now_ns = time.monotonic_ns()
        rails_mw = {sensor.label: sensor.measure(now_ns) for sensor in self.sensors}
        return PowerSample(now_ns, time.monotonic_ns() - now_ns, rails_mw, self.totals)


def find_meter(root: SysRoot) -> Meter | Unavailable:
    """Give the meter of this machine, or say why its total power cannot be told.

    On a Jetson that is its rails, elsewhere the GPUs that NVML and the processors that RAPL tells.
    """
    found = find_rails(root)
    totals = list_totals(found.by_label)
    if totals:
        parts = (found.by_label[part].closed_to_user() for part in totals[0].parts)
        closed = [folder for folder in parts if folder is not None]
        if closed:
            return Unavailable(f"{totals[0].name} is for root only here: {open_up(closed)}")
        return Meter(tuple(found.by_label.values()), totals, tuple(found.not_connected))
    if found.closed:
        return Unavailable(f"the power rails are for root only here: {open_up(found.closed)}")
    board = detect_board(root)
    if board is not None:
        others = f" (only {', '.join(found.by_label)})" if found.by_label else ""
        return Unavailable(f"{board.module}: none of its power rails was found{others}")
    return _find_desktop_meter(root)


def _find_desktop_meter(root: SysRoot) -> Meter | Unavailable:
    packages = find_rapl(root)
    gpus = Nvml(root)
    sensors: list[Sensor] = [*gpus.sensors, *packages]
    if not sensors:
        return Unavailable("no power rail, no RAPL and no NVIDIA GPU on this machine")
    total = _choose_desktop_total(_measured(gpus.sensors), _measured(packages))
    if total is None:
        gpus.close()
        reasons = [f"{one.label} {one.reason}" for one in sensors if isinstance(one, Missing)]
        return Unavailable("; ".join(reasons))
    return Meter(tuple(sensors), (total,), close=gpus.close)


def _measured(sensors: Sequence[Sensor]) -> tuple[str, ...]:
    return tuple(sensor.label for sensor in sensors if not isinstance(sensor, Missing))


def _choose_desktop_total(gpus: tuple[str, ...], packages: tuple[str, ...]) -> Total | None:
    """A card is not fed by the processor, so the two add up; the rest of a PC is not measured."""
    if gpus and packages:
        return Total("NVML + RAPL package (GPU and CPU only)", gpus + packages)
    if gpus:
        return Total("NVML (GPU only)", gpus)
    return Total("RAPL package (CPU only)", packages) if packages else None
