"""A Jetson as a folder whose load changes over time, and whose energy is known exactly."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from boards import make_board

from edge.telemetry.meter import find_meter
from edge.telemetry.rails import find_rails

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Change:
    """The total after one rail was set, which happened between two moments."""

    from_ns: int
    to_ns: int
    power_mw: float

    @property
    def at_ns(self) -> float:
        return (self.from_ns + self.to_ns) / 2


class PlayedBoard:
    """A board whose rails a test sets; a reader sees the old reading or the new one, never a part.

    Args:
        folder: the board's root, made here.
        name: of the board.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.root = make_board(folder, name)
        self._rails = find_rails(self.root).by_label
        self._total = find_meter(self.root).totals[0]
        self.changes = [Change(0, 0, self._read_total())]

    def _read_total(self) -> float:
        return self._total.add_up({name: rail.measure(0) for name, rail in self._rails.items()})

    def set(self, label: str, power_mw: int) -> float:
        """Give a rail a power, which its voltage must divide; gives the total that comes of it."""
        rail = self._rails[label]
        *voltage, last = rail.files
        value = power_mw * rail.units_per_mw
        for file in voltage:
            value, rest = divmod(value, int(file.read_text()))
            assert rest == 0, "the current is a whole number"
        fresh = last.with_name(f".{last.name}")
        fresh.write_text(f"{value}\n")
        from_ns = time.monotonic_ns()
        fresh.replace(last)
        to_ns = time.monotonic_ns()
        self.changes.append(Change(from_ns, to_ns, self._read_total()))
        return self.changes[-1].power_mw

    def play(self, table: Sequence[tuple[float, str, int]], stop: threading.Event) -> None:
        """Set the rail of each row (seconds to wait before it, label, mW) until it is stopped."""
        for pause_s, label, power_mw in table:
            if stop.wait(pause_s):
                return
            self.set(label, power_mw)

    def energy_j(self, covered_s: float) -> tuple[float, float]:
        """Give the energy in a time that holds all changes, and how exact it is.

        The load must have gone back to what it began with, for it is not known here when that time
        began and ended.
        """
        base_mw = self.changes[0].power_mw
        assert self.changes[-1].power_mw == base_mw
        energy_j, doubt_j = base_mw * covered_s / 1e3, 0.0
        for before, after in pairwise(self.changes[1:]):
            energy_j += (before.power_mw - base_mw) * (after.at_ns - before.at_ns) / 1e12
        for before, after in pairwise(self.changes):
            took_ns = after.to_ns - after.from_ns
            doubt_j += abs(after.power_mw - before.power_mw) * took_ns / 2e12
        return energy_j, doubt_j
