"""Which power rails a Jetson has, found by label, and which of them make its total.

A Jetson's rails overlap, so each board has one right total: an input rail where there is one, a
sum of rails that do not feed each other elsewhere.
Source: NVIDIA Jetson Linux Developer Guide, "Platform Power and Performance"; kernel
`Documentation/hwmon/ina3221.rst` and `Documentation/hwmon/ina238.rst`.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.record import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from edge.board import SysRoot

NOT_CONNECTED = "NC"
"""The label of a channel that measures nothing."""

_NUMBER_BYTES = 64


@dataclass(frozen=True, slots=True)
class Total:
    """A total of a board.

    Attributes:
        name: which rail or sum of rails it is, and of what.
        parts: the labels of its rails.
    """

    name: str
    parts: tuple[str, ...]

    def add_up(self, rails_mw: Mapping[str, float | Unavailable]) -> float | Unavailable:
        """Give the sum of its parts in mW, or why the first one that lacks does so."""
        sum_mw = 0.0
        for part in self.parts:
            power_mw = rails_mw[part]
            if isinstance(power_mw, Unavailable):
                return Unavailable(f"{part} {power_mw.reason}")
            sum_mw += power_mw
        return sum_mw


TOTALS = (
    Total("VIN (board input)", ("VIN",)),
    Total("VDD_IN (module)", ("VDD_IN",)),
    Total("VDD_IN + VDD_MUX (board)", ("VDD_IN", "VDD_MUX")),
    Total("POM_5V_IN (module)", ("POM_5V_IN",)),
    Total(
        "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0 (module)",
        ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
    ),
    Total(
        "VDD_GPU + VDD_CPU_SOC_MSS + VIN_SYS_5V0 (module)",
        ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),
    ),
    Total(
        "GPU + CPU + SOC + CV + VDDRQ + SYS5V (module)",
        ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
    ),
)
"""Of all boards, best first. VDDQ_VDD2_1V8AO of AGX Orin is in none: VIN_SYS_5V0 feeds it. On TX1
and TX2 the module is what counts, as on the other boards; VDD_MUX is the carrier beside it."""


def list_totals(labels: Collection[str]) -> tuple[Total, ...]:
    """Give the totals that these rails make; the first is the one that counts."""
    return tuple(total for total in TOTALS if all(part in labels for part in total.parts))


@dataclass(frozen=True, slots=True)
class Rail:
    """One channel of a monitor chip.

    Attributes:
        label: as the board names it.
        files: their product is the power: one file, or voltage and current.
        units_per_mw: of that product.
    """

    label: str
    files: tuple[Path, ...]
    units_per_mw: int

    def measure(self, now_ns: int) -> float | Unavailable:  # noqa: ARG002 - it is as it is
        """Give the power in mW: 0 and below 0 are readings; what is none says why."""
        product = 1
        for file in self.files:
            try:
                text = _read(file)
            except OSError as error:
                return Unavailable(_explain(file, error))
            try:
                product *= int(text)
            except ValueError:
                return Unavailable(f"gives no number: {text!r} in {file}")
        return product / self.units_per_mw

    def closed_to_user(self) -> Path | None:
        """Give the folder of the files that this user may never read; None if they are open."""
        for file in self.files:
            if file.exists() and not os.access(file, os.R_OK, effective_ids=True):
                return file.parent
        return None


@dataclass(slots=True)
class Rails:
    """What monitor chips there are.

    Attributes:
        by_label: the channels that measure something.
        not_connected: those that say of themselves that they do not.
        closed: folders of chips whose labels this user may not read.
    """

    by_label: dict[str, Rail] = field(default_factory=dict)
    not_connected: list[str] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)

    def add(self, label_file: Path, default: str, *files: Path, units_per_mw: int) -> None:
        """Take a channel where it has its files; a label that comes twice gets its chip's name."""
        try:
            label = _read(label_file).decode("utf-8", "replace").strip()
        except PermissionError:
            self.closed.append(label_file.parent)
            return
        except OSError:
            label = default
        if not label or not all(file.exists() for file in files):
            return
        if label == NOT_CONNECTED:
            self.not_connected.append(f"{label_file.parent.name}/{label_file.name}")
            return
        if label in self.by_label:
            label = f"{label} ({label_file.parent.name})"
        self.by_label[label] = Rail(label, files, units_per_mw)


def find_rails(root: SysRoot) -> Rails:
    """Give the power rails of a Jetson; none on other machines."""
    rails = Rails()
    for chip in root.glob("sys/class/hwmon/hwmon*"):
        kind = _text(chip / "name")
        if kind == "ina238":
            rails.add(chip / "label", "VIN", chip / "power1_input", units_per_mw=1000)
        if kind == "ina3221":
            for number in (1, 2, 3):  # 4 to 7 are shunt voltages
                files = chip / f"in{number}_input", chip / f"curr{number}_input"
                rails.add(chip / f"in{number}_label", "", *files, units_per_mw=1000)
    # JetPack 3 and 4; kernels before 4.9 name the folder otherwise.
    for label_file in root.glob("sys/bus/i2c/drivers/ina3221x/*/iio[:_]device*/rail_name_*"):
        number_text = label_file.name.removeprefix("rail_name_")
        power = label_file.with_name(f"in_power{number_text}_input")
        rails.add(label_file, "", power, units_per_mw=1)
    return rails


def open_up(folders: Iterable[Path]) -> str:
    """Give the command that lets every user read the figures of these chips."""
    return "sudo chmod a+r " + " ".join(f"{folder}/*" for folder in dict.fromkeys(folders))


def _explain(file: Path, error: OSError) -> str:
    if error.errno == errno.EAGAIN:
        return "sleeps: it has no power now (EAGAIN)"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"is for root only here: {open_up([file.parent])}"
    if error.errno == errno.ENODATA:
        switch = file.with_name(f"in{''.join(filter(str.isdigit, file.name))}_enable")
        return f"is disabled: echo 1 | sudo tee {switch}"
    if error.errno in {errno.ENOENT, errno.ENODEV}:
        return f"is gone: {file}"
    return f"cannot be read: {error.strerror} ({file})"


def _read(file: Path) -> bytes:
    """Read a small file without Python's layers, which cost five times as much."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _NUMBER_BYTES)
    finally:
        os.close(descriptor)


def _text(file: Path) -> str:
    try:
        return _read(file).decode("utf-8", "replace").strip()
    except OSError:
        return ""
