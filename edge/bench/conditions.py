"""What decides the figures beside edge itself: the machine, its state, and who else works on it."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import edge
from edge.board import describe_machine
from edge.schema import board_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.board import SysRoot
    from edge.record import BoardReading, Unavailable

    ReadBoard = Callable[[], BoardReading | Unavailable]
    Row = dict[str, Any]

GOVERNOR = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
GPU_DRIVER = "sys/module/nvidia/version"
TICKS_A_S = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True, eq=False)
class Conditions:
    """What was found before and after a measurement; complete once that is over.

    Attributes:
        fixed: what does not change meanwhile, as it is written to JSON; "gpu" is filled in by
            who measures one.
        before: the board then.
        after: the same afterwards.
        load_before: the system's load average of a minute.
        load_after: the same afterwards.
        others_cores: how many of the cores that edge may use other programs kept busy meanwhile;
            None where it is not told.
        steal_share: of these cores' time that went to other virtual machines; None likewise.
        idle_mw: mean power before an engine was opened, filled in by who measures it; None
            without a meter.
        power_of: what all power and energy is of, "VDD_IN (module)", filled in likewise.
    """

    fixed: Row
    before: BoardReading | Unavailable
    after: BoardReading | Unavailable
    load_before: float
    load_after: float
    others_cores: float | None = None
    steal_share: float | None = None
    idle_mw: float | None = None
    power_of: str | None = None

    def to_row(self) -> Row:
        """Give what is written to JSON."""
        return {
            **self.fixed,
            "board_before": board_row(self.before),
            "board_after": board_row(self.after),
            "load_before": round(self.load_before, 2),
            "load_after": round(self.load_after, 2),
            "others_cores": _rounded(self.others_cores),
            "steal_share": _rounded(self.steal_share),
            "idle_mw": _rounded(self.idle_mw),
            "power_of": self.power_of,
        }


@contextmanager
def watched(root: SysRoot, read_board: ReadBoard) -> Iterator[Conditions]:
    """Give the conditions of what is measured in a `with` block, complete at its end.

    Args:
        root: where /proc and /sys are.
        read_board: gives heat, clocks and mode now.
    """
    load_before, found = os.getloadavg()[0], read_board()
    conditions = Conditions(_fixed(root), found, found, load_before, load_before)
    ticks, cpu_s, started_s = _cpu_ticks(root), _cpu_s(), time.monotonic()
    yield conditions
    took_s = time.monotonic() - started_s
    ours_s = _cpu_s() - cpu_s
    conditions.after = read_board()
    conditions.load_after = os.getloadavg()[0]
    later = _cpu_ticks(root)
    if ticks is not None and later is not None and took_s > 0:
        busy, steal, total = (now - then for now, then in zip(later, ticks, strict=True))
        conditions.others_cores = max(0.0, (busy / TICKS_A_S - ours_s) / took_s)
        conditions.steal_share = steal / total if total else 0.0


def _fixed(root: SysRoot) -> Row:
    machine = describe_machine(root)
    return {
        "started_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "edge": edge.__version__,
        "git_commit": _commit(Path(edge.__file__).parent.parent),
        **asdict(machine),
        "jetpack": machine.board.jetpack if machine.board else None,
        "cores": len(os.sched_getaffinity(0)),
        "governor": root.read_text(GOVERNOR),
        "gpu_driver": root.read_text(GPU_DRIVER),
        "gpu": None,
    }


def _commit(checkout: Path) -> str | None:
    """Give the commit of a checkout, with "-dirty" where its files were changed."""
    git = which("git")
    if git is None or not (checkout / ".git").exists():
        return None
    done = subprocess.run(  # noqa: S603 - the words are our own
        [git, "-C", checkout, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or None


def _cpu_s() -> float:
    """Give the processor time of this process and of its children that ended: they build plans."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _cpu_ticks(root: SysRoot) -> tuple[int, int, int] | None:
    """Give busy, stolen and all ticks of the cores that edge may use since the machine started.

    A container may have few of the machine's cores; what the others do is nothing to it.

    Source: proc(5), /proc/stat: user nice system idle iowait irq softirq steal.
    """
    cores = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    lines = [line.split()[:9] for line in (root.read_text("proc/stat") or "").splitlines()]
    rows = [words[1:] for words in lines if words and words[0] in cores]
    if not rows or not all(len(row) == 8 and all(map(str.isdigit, row)) for row in rows):
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = (
        sum(map(int, ticks)) for ticks in zip(*rows, strict=True)
    )
    busy = user + nice + system + irq + softirq
    return busy, steal, busy + idle + iowait + steal


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
