"""What is known of the machine while it is measured."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from edge.bench.conditions import TICKS_A_S, _commit, _cpu_s, watched
from edge.board import SysRoot
from edge.record import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

OURS = min(os.sched_getaffinity(0))
STAT = (
    "cpu  9 9 9 9 9 9 9 9 9 9\n"
    f"cpu{OURS} {{user}} 0 {{system}} {{idle}} 0 0 0 {{steal}} 0 0\n"
    "cpu99999 {elsewhere} 0 0 0 0 0 0 0 0 0\nintr 1\n"
)
RELEASE = "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic\n"


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def watch(root, *, then=lambda: None):
    with watched(SysRoot(root), lambda: Unavailable("no board")) as conditions:
        then()
    return conditions


def stat(user=0, system=0, idle=0, steal=0, elsewhere=0) -> str:
    return STAT.format(user=user, system=system, idle=idle, steal=steal, elsewhere=elsewhere)


def test_time_of_others_is_what_is_left_of_the_system(tmp_path):
    write(tmp_path, "proc/stat", stat(user=100, system=100, idle=1000))

    def much_later():
        write(tmp_path, "proc/stat", stat(user=10**7, system=100, idle=1000, steal=10**6))

    conditions = watch(tmp_path, then=much_later)
    assert conditions.others_cores > 100
    assert conditions.steal_share == pytest.approx(10**6 / (10**7 - 100 + 10**6))


def test_cores_that_edge_may_not_use_are_nothing_to_it(tmp_path):
    """As in a container, which sees all cores of its machine in /proc/stat."""
    write(tmp_path, "proc/stat", stat(idle=1000))
    conditions = watch(
        tmp_path, then=lambda: write(tmp_path, "proc/stat", stat(idle=2000, elsewhere=10**7))
    )
    assert (conditions.others_cores, conditions.steal_share) == (0, 0)


def test_own_time_is_not_that_of_others(tmp_path):
    write(tmp_path, "proc/stat", stat())

    def work():
        until_s = time.process_time() + 0.3
        while time.process_time() < until_s:
            pass
        write(tmp_path, "proc/stat", stat(user=int(0.3 * TICKS_A_S), idle=9))

    assert watch(tmp_path, then=work).others_cores == pytest.approx(0, abs=0.05)


def test_time_of_a_child_is_our_own():
    """A plan is built in one, which keeps a core busy for minutes."""
    before_s = _cpu_s()
    words = "import time\nwhile time.process_time() < 0.5: pass"
    subprocess.run([sys.executable, "-c", words], check=True)
    assert _cpu_s() - before_s > 0.4


@pytest.mark.parametrize(
    "text", [None, "", f"cpu{OURS} 1 2", f"cpu{OURS} a b c d e f g h", "intr 1"]
)
def test_system_that_tells_no_ticks_is_not_a_quiet_one(tmp_path, text):
    if text is not None:
        write(tmp_path, "proc/stat", text)
    conditions = watch(tmp_path)
    assert (conditions.others_cores, conditions.steal_share) == (None, None)


def test_versions_and_clocks_are_told(tmp_path):
    write(tmp_path, "etc/nv_tegra_release", RELEASE)
    write(tmp_path, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "schedutil\n")
    write(tmp_path, "sys/module/nvidia/version", "580.1\n")
    row = watch(tmp_path).to_row()
    assert (row["jetpack"], row["governor"], row["gpu_driver"]) == (
        "6.2", "schedutil", "580.1",
    )  # fmt: skip
    assert row["versions"]["numpy"]
    assert row["board_before"] == {"unavailable": "no board"}
    assert row["cores"] >= 1


def test_commit_says_that_a_checkout_was_changed(tmp_path):
    def git(*words):
        settings = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *settings, *words], cwd=tmp_path, check=True, capture_output=True)

    assert _commit(tmp_path) is None
    git("init", "-q")
    write(tmp_path, "a", "1")
    git("add", "a")
    git("commit", "-q", "-m", "one")
    clean = _commit(tmp_path)
    assert len(clean) == 12
    write(tmp_path, "a", "2")
    assert _commit(tmp_path) == f"{clean}-dirty"
