"""What holds the clocks down, now and how often since a run began.

Jetsons are silent about over-current in the kernel's log: only counters since boot tell.
Source: NVIDIA Jetson Linux Developer Guide, "Thermal Management" and "OC throttling"; kernel
`arch/x86/kernel/cpu/mce/therm_throt.c`.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from edge.board import SysRoot

log = logging.getLogger(__name__)

ALERT = "-throttle-alert"
OVER_CURRENT = {
    "oc1": "under-voltage",
    "oc2": "average over-current",
    "oc3": "instantaneous over-current",
}
X86_COUNTS = "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/{part}_throttle_count"
X86_PARTS = {"core": "a CPU core too hot", "package": "the CPU too hot"}

_EVENTS = re.compile(r"(oc\d+)_event_cnt")


class ThrottleWatch:
    """Tells what throttles at each look, and logs when it begins and ends.

    Args:
        root: where /sys is; events before now are not counted.
    """

    def __init__(self, root: SysRoot) -> None:
        self.throttles = 0
        """How often anything began to hold the clocks down."""
        self._root = root
        self._counters = _read_counters(root)
        self._active: tuple[str, ...] = ()

    def look(self) -> tuple[str, ...]:
        """Name what throttles now, or did so since the last look."""
        alerts = read_alerts(self._root)
        counters = _read_counters(self._root)
        risen = _most_of_each({
            place: count - self._counters.get(place, count) for place, count in counters.items()
        })  # fmt: skip
        self.throttles += sum(risen.values())
        self.throttles += sum(what not in self._active for what in alerts)
        active = (*alerts, *(what for what, rise in risen.items() if rise))
        for what in active:
            if what not in self._active:
                log.info("throttled: %s", what)
        for what in self._active:
            if what not in active:
                log.info("no longer throttled: %s", what)
        self._counters, self._active = counters, active
        return active


def read_alerts(root: SysRoot) -> tuple[str, ...]:
    """Name the parts that are too hot now and are slowed down for it."""
    parts = {
        kind.removesuffix(ALERT)
        for device in root.glob("sys/class/thermal/cooling_device*")
        if (kind := root.read_text(device / "type") or "").endswith(ALERT)
        and (root.read_int(device / "cur_state") or 0) > 0
    }
    return tuple(f"{part} too hot" for part in sorted(parts))


def read_events(root: SysRoot) -> dict[str, int]:
    """Count since boot how often each cause throttled; empty where no counter is here."""
    return dict(_most_of_each(_read_counters(root)))


def _most_of_each(counters: Mapping[tuple[str, Path], int]) -> Counter[str]:
    """Give the highest count of each cause: on a PC the CPUs of a package count the same event."""
    most: Counter[str] = Counter()
    for (what, _), count in counters.items():
        most[what] = max(most[what], count)
    return most


def _read_counters(root: SysRoot) -> dict[tuple[str, Path], int]:
    """Give each counter since boot, by its cause and its file."""
    counts = ((what, file, root.read_int(file)) for what, file in _find_counters(root))
    return {(what, file): count for what, file, count in counts if count is not None}


def _find_counters(root: SysRoot) -> Iterator[tuple[str, Path]]:
    for chip in root.glob("sys/class/hwmon/hwmon*"):
        if root.read_text(chip / "name") == "soctherm_oc":
            for file in sorted(chip.glob("oc*_event_cnt")):
                if match := _EVENTS.fullmatch(file.name):
                    yield OVER_CURRENT.get(match[1], f"over-current {match[1]}"), file
    for part, what in X86_PARTS.items():
        for file in root.glob(X86_COUNTS.format(part=part)):
            yield what, file
