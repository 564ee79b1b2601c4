"""What a PC tells of its power: the processor by RAPL, an NVIDIA GPU by NVML.

Source: kernel `Documentation/power/powercap/powercap.rst`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.record import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from edge.board import SysRoot


class RaplPackage:
    """The energy counter of one processor, which wraps; power is the difference of two readings."""

    def __init__(self, label: str, counter: Path, wrap_uj: int) -> None:
        self.label = label
        self._counter = counter
        self._wrap_uj = wrap_uj
        self._last: tuple[int, int] | None = None

    def measure(self, now_ns: int) -> float | Unavailable:
        """Give the mean power in mW since the last call; the first has nothing to compare with."""
        try:
            energy_uj = int(self._counter.read_bytes())
        except (OSError, ValueError) as error:
            return Unavailable(f"cannot be read: {error}")
        last, self._last = self._last, (now_ns, energy_uj)
        if last is None or now_ns <= last[0]:
            return Unavailable("is a counter, which wants two readings")
        spent_uj = (energy_uj - last[1]) % self._wrap_uj
        return spent_uj / (now_ns - last[0]) * 1e6


@dataclass(frozen=True, slots=True)
class Missing:
    """A part of this machine that exists and cannot be measured."""

    label: str
    reason: str

    def measure(self, now_ns: int) -> Unavailable:  # noqa: ARG002 - never
        """Say why."""
        return Unavailable(self.reason)


def find_rapl(root: SysRoot) -> list[RaplPackage | Missing]:
    """Give the processors of this machine; empty where there is no RAPL."""
    found: list[RaplPackage | Missing] = []
    for zone in root.glob("sys/class/powercap/intel-rapl:*"):
        name = root.read_text(str(zone.relative_to(root.path) / "name")) or "package"
        if zone.name.count(":") > 1 or not name.startswith("package"):
            continue  # a part of a package, or the whole platform, which holds the packages
        found.append(_open_rapl(zone, f"RAPL {name}"))
    return found


def _open_rapl(zone: Path, label: str) -> RaplPackage | Missing:
    counter = zone / "energy_uj"
    try:
        int(counter.read_bytes())
        wrap_uj = int((zone / "max_energy_range_uj").read_bytes())
    except PermissionError:
        return Missing(label, f"is for root only here: sudo chmod a+r {counter}")
    except (OSError, ValueError):
        return Missing(label, "gives no reading")
    if wrap_uj <= 0:
        return Missing(label, "has a counter without a range")
    return RaplPackage(label, counter, wrap_uj)
