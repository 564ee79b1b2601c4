"""Where this machine's total power can be read: Jetson rails (INA3221, INA238) or x86 RAPL.

A Jetson's rails overlap, so each board has one right total: an input rail where there is one, a
sum of rails that do not feed each other elsewhere.
Source: NVIDIA Jetson Linux Developer Guide, "Platform Power and Performance"; kernel
`Documentation/hwmon/ina3221.rst` and `Documentation/power/powercap/powercap.rst`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge.board import SysRoot, detect_board
from edge.record import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


class PowerMeter(Protocol):
    """Reads one total."""

    @property
    def total(self) -> str:
        """Which rail or sum this is."""

    def read_mw(self, now_ns: int) -> float | None:
        """Give the power at `now_ns` of the monotonic clock; None where it cannot be told yet."""


@dataclass(frozen=True, slots=True)
class Rail:
    """One channel of a monitor chip: voltage and current, or power, in files of its own."""

    label: str
    voltage_mv: Path | None
    current_ma: Path | None
    power_uw: Path | None = None

    def read_mw(self) -> float:
        """Give the power; raises OSError or ValueError where the files do not give a number."""
        if self.power_uw is not None:
            return int(self.power_uw.read_text()) / 1000
        assert self.voltage_mv is not None  # noqa: S101 - a rail has one form or the other
        assert self.current_ma is not None  # noqa: S101
        return int(self.voltage_mv.read_text()) * int(self.current_ma.read_text()) / 1000


@dataclass(frozen=True, slots=True)
class RailMeter:
    """The sum of rails that do not overlap."""

    total: str
    rails: tuple[Rail, ...]

    def read_mw(self, now_ns: int) -> float | None:  # noqa: ARG002 - rails are read as they are
        """Give the sum; None while a rail cannot be read."""
        try:
            return sum(rail.read_mw() for rail in self.rails)
        except (OSError, ValueError):
            return None


class RaplMeter:
    """The package's energy counter, which wraps; power is the difference of two readings."""

    def __init__(self, counter: Path, wrap_uj: int) -> None:
        self.total = "RAPL package (CPU only)"
        self._counter = counter
        self._wrap_uj = wrap_uj
        self._last: tuple[int, int] | None = None

    def read_mw(self, now_ns: int) -> float | None:
        """Give the mean power since the last call; None at the first."""
        try:
            energy_uj = int(self._counter.read_text())
        except (OSError, ValueError):
            return None
        last, self._last = self._last, (now_ns, energy_uj)
        if last is None or now_ns <= last[0]:
            return None
        spent_uj = (energy_uj - last[1]) % self._wrap_uj
        return spent_uj / (now_ns - last[0]) * 1e6


TOTALS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("VIN (board input)", ("VIN",)),
    ("VDD_IN (module)", ("VDD_IN",)),
    ("POM_5V_IN (module)", ("POM_5V_IN",)),
    (
        "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0 (module)",
        ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ),
    (
        "VDD_GPU + VDD_CPU_SOC_MSS + VIN_SYS_5V0 (module)",
        ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),
    ),
    (
        "GPU + CPU + SOC + CV + VDDRQ + SYS5V (module)",
        ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
    ),
)  # fmt: skip
"""Name of a total and the rails that make it, best first; found by label, not by board."""


def choose_total(labels: Collection[str]) -> tuple[str, tuple[str, ...]] | None:
    """Give the best total that these rails make, its name and its rails; None if they make none."""
    for total, parts in TOTALS:
        if all(label in labels for label in parts):
            return total, parts
    return None


def find_rails(root: SysRoot) -> dict[str, Rail]:
    """Give the power rails of a Jetson by label; empty where there are none."""
    rails: dict[str, Rail] = {}
    for chip in root.glob("sys/class/hwmon/hwmon*"):
        kind = _text(chip / "name")
        if kind == "ina238" and (chip / "power1_input").exists():
            label = _text(chip / "label") or "VIN"
            rails[label] = Rail(label, None, None, chip / "power1_input")
        if kind == "ina3221":
            for number in (1, 2, 3):  # 4 to 7 are shunt voltages
                label = _text(chip / f"in{number}_label")
                files = chip / f"in{number}_input", chip / f"curr{number}_input"
                if label and label != "NC" and all(file.exists() for file in files):
                    rails[label] = Rail(label, *files)
    return rails


def find_meter(root: SysRoot) -> PowerMeter | Unavailable:
    """Give the meter of this machine's total power, or say why there is none."""
    rails = find_rails(root)
    chosen = choose_total(rails)
    if chosen is not None:
        total, labels = chosen
        return _if_allowed(RailMeter(total, tuple(rails[label] for label in labels)))
    board = detect_board(root)
    if board is not None:
        return Unavailable(f"{board.module}: none of its power rails was found")
    return _find_rapl(root)


def _if_allowed(meter: RailMeter) -> RailMeter | Unavailable:
    """Give the meter, or say that this user will never get a reading (AGX Orin, JetPack 5)."""
    try:
        sum(rail.read_mw() for rail in meter.rails)
    except PermissionError as error:
        return Unavailable(f"{meter.total} is for root only here: sudo chmod a+r {error.filename}")
    except (OSError, ValueError):
        return meter  # a rail that sleeps may wake up
    return meter


def _find_rapl(root: SysRoot) -> PowerMeter | Unavailable:
    package = root.path / "sys/class/powercap/intel-rapl:0"
    if not package.exists():
        return Unavailable("no power rail and no RAPL on this machine")
    try:
        int((package / "energy_uj").read_text())
        wrap_uj = int((package / "max_energy_range_uj").read_text())
    except PermissionError:
        return Unavailable(f"RAPL is for root only here: sudo chmod a+r {package}/energy_uj")
    except (OSError, ValueError):
        return Unavailable("RAPL is here, but gives no reading")
    if wrap_uj <= 0:
        return Unavailable("RAPL is here, but its counter has no range")
    return RaplMeter(package / "energy_uj", wrap_uj)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
