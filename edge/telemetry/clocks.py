"""How fast the GPU, the memory and the CPUs run, whether they are held there, and the GPU's load.

Source: NVIDIA Jetson Linux Developer Guide, "Platform Power and Performance"; kernel
`Documentation/ABI/testing/sysfs-class-devfreq` and `Documentation/admin-guide/pm/cpufreq.rst`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.record import Clock

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge.board import SysRoot


@dataclass(frozen=True, slots=True)
class _Files:
    """What a clock's files are called: now, least, most; and how many of their units make 1 MHz."""

    names: tuple[str, str, str]
    per_mhz: float


GPU_NODES = (
    "57000000.gpu",  # Nano, TX1
    "17000000.gp10b",  # TX2
    "17000000.gv11b",  # Xavier
    "17000000.ga10b",  # Orin, JetPack 5
    "17000000.gpu",  # Orin since JetPack 6
    "gpu-gpc-0",  # Thor, where it may come long after boot
)
EMC_NODE = "bwmgr"
"""Since JetPack 7; before, only root sees the memory's clock."""
EMC_DEBUG = "sys/kernel/debug/bpmp/debug/clk/emc"
EMC_OVERRIDE = "sys/kernel/debug/clk/override.emc/clk_rate"
LOADS = (
    "sys/devices/gpu.0/load",  # JetPack 4, Xavier on JetPack 5
    "sys/devices/platform/17000000.gpu/load",  # Orin, JetPack 5
    "sys/devices/platform/bus@0/17000000.gpu/load",  # Orin since JetPack 6; Thor has no file
)
DEVFREQ = _Files(("cur_freq", "min_freq", "max_freq"), 1e6)
DEBUG = _Files(("rate", "min_rate", "max_rate"), 1e6)
CPUFREQ = _Files(("scaling_cur_freq", "scaling_min_freq", "scaling_max_freq"), 1e3)

HELD_WITHIN = 0.01
"""How far from its limits, as a share, a clock that is held may be measured."""

_CPU = re.compile(r"cpu(\d+)")


def read_clocks(root: SysRoot) -> tuple[Clock, ...]:
    """Give the clocks that this user may see: "gpu", "emc", then "cpu0" and on.

    Every file is looked for anew, since a node may come late.
    """
    board = (_read_devfreq(root, "gpu", GPU_NODES), _read_emc(root))
    return tuple(clock for clock in (*board, *_read_cpus(root)) if clock is not None)


def read_gpu_load(root: SysRoot) -> float | None:
    """Give the GPU's load, 0 to 1; None where the machine does not tell it."""
    loads = (root.read_int(file) for file in LOADS)
    per_mille = next((load for load in loads if load is not None), None)
    return None if per_mille is None else min(max(per_mille / 1000, 0.0), 1.0)


def are_locked(clocks: Collection[Clock], *, has_gpu: bool) -> bool | None:
    """Tell whether clocks are held at one frequency, as jetson_clocks does.

    The memory's counts where it is told. None where the CPUs, or the GPU of a machine that has one,
    do not tell their limits.

    Args:
        clocks: of `read_clocks`.
        has_gpu: whether its clock has to be among them.
    """
    limits = {
        clock.name: (clock.mhz, clock.min_mhz, clock.max_mhz)
        for clock in clocks
        if clock.min_mhz is not None and clock.max_mhz is not None
    }
    if any(max(told) - min(told) > max(told) * HELD_WITHIN for told in limits.values()):
        return False
    is_told = any(_CPU.fullmatch(name) for name in limits) and ("gpu" in limits or not has_gpu)
    return True if is_told else None


def _read_devfreq(root: SysRoot, name: str, nodes: tuple[str, ...]) -> Clock | None:
    folders = (f"sys/class/devfreq/{node}" for node in nodes)
    clocks = (_read_clock(root, name, folder, DEVFREQ) for folder in folders)
    return next((clock for clock in clocks if clock is not None), None)


def _read_emc(root: SysRoot) -> Clock | None:
    clock = _read_devfreq(root, "emc", (EMC_NODE,)) or _read_clock(root, "emc", EMC_DEBUG, DEBUG)
    if clock is None:
        now_hz = root.read_int(EMC_OVERRIDE)
        return None if now_hz is None else Clock("emc", now_hz / 1e6)
    if root.read_int(f"{EMC_DEBUG}/mrq_rate_locked") == 1:  # its limits stay as they are
        return replace(clock, min_mhz=clock.mhz, max_mhz=clock.mhz)
    return clock


def _read_cpus(root: SysRoot) -> list[Clock]:
    cpus = [
        (int(match[1]), folder)
        for folder in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq")
        if (match := _CPU.fullmatch(folder.parent.name))
    ]
    clocks = (_read_clock(root, f"cpu{number}", folder, CPUFREQ) for number, folder in sorted(cpus))
    return [clock for clock in clocks if clock is not None]


def _read_clock(root: SysRoot, name: str, folder: str | Path, files: _Files) -> Clock | None:
    now, least, most = (root.read_int(Path(folder, file)) for file in files.names)
    if now is None:
        return None
    limits = (None if limit is None else limit / files.per_mhz for limit in (least, most))
    return Clock(name, now / files.per_mhz, *limits)
