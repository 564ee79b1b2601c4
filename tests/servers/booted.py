"""A real systemd as process 1 of namespaces of its own, over a copy of this machine's files."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from doubles import DEADLINE_S
from samples import ROOT

from servers.notify import NotifySocket

if TYPE_CHECKING:
    from typing_extensions import Self

SYSTEMD = Path("/lib/systemd/systemd")
MASKED = (
    "systemd-sysctl.service", "systemd-modules-load.service", "systemd-udevd.service",
    "systemd-udev-trigger.service", "systemd-random-seed.service", "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount", "sys-kernel-config.mount", "sys-fs-fuse-connections.mount",
    "dev-hugepages.mount", "systemd-remount-fs.service", "systemd-update-utmp.service",
)  # fmt: skip
"""What would reach out of the namespaces, or finds nothing inside them."""

BOOT = """\
set -e
cd "$1"
mount -t tmpfs tmpfs .
mkdir up work root
mount -t overlay overlay -o "lowerdir=/,upperdir=up,workdir=work" root
cd root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in run tmp dev; do mount -t tmpfs tmpfs $folder; done
for node in null zero full random urandom tty; do cp -a /dev/$node dev/; done
mkdir dev/shm
ln -s /proc/self/fd dev/fd
for folder in "${@:2}"; do mkdir -p ".$folder"; mount --bind "$folder" ".$folder"; done
for unit in MASKED; do ln -sf /dev/null etc/systemd/system/$unit; done
exec env -i container=edge NOTIFY_SOCKET="$NOTIFY_SOCKET" PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    chroot . SYSTEMD --system --unit=basic.target --log-target=null --show-status=0
""".replace("MASKED", " ".join(MASKED)).replace("SYSTEMD", str(SYSTEMD))


class BootError(Exception):
    """This machine does not let us."""


class Booted:
    """A machine inside this one. What it writes is gone with it; needs root.

    Args:
        folder: empty; its files are laid over those of this machine there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._group = _cgroup() / f"edge-boot-{os.getpid()}"
        self._process: subprocess.Popen[str] | None = None
        self._first = 0

    def __enter__(self) -> Self:
        needed = [str(ROOT), sys.prefix]
        command = [
            "unshare", "--fork", "--kill-child", "--pid", "--mount", "--cgroup", "--uts", "--ipc",
            "--propagation", "private", "bash", "-c", BOOT, "boot", str(self._folder), *needed,
        ]  # fmt: skip
        address = f"@edge-boot-{os.getpid()}"
        try:
            self._group.mkdir()
        except OSError as error:
            raise BootError(f"{self._group}: {error.strerror}") from error
        with NotifySocket(address, patience_s=0.2) as heard:
            self._process = subprocess.Popen(
                ["bash", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self._group, *command],
                env={**os.environ, "NOTIFY_SOCKET": address}, text=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            self._wait(heard)
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        self._first = int(children.read_text())
        return self

    def _wait(self, heard: NotifySocket) -> None:
        """Wait until systemd is up, or its process is gone."""
        deadline_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            with suppress(TimeoutError):
                if "READY" in heard.hear():
                    return
        said = self._end()
        raise BootError(f"systemd does not come up in a namespace ({said or 'it says nothing'})")

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run a program as root of that machine."""
        inside = ["nsenter", "-t", str(self._first), "-m", "-p", "-u", "-i", "-C", "-r", "-w"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", f"PYTHONPATH={ROOT}"]
        command = [*inside, *clean, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    def _end(self) -> str:
        """Let the kernel end all that is inside; gives the last words."""
        self._process.send_signal(signal.SIGKILL)
        _, said = self._process.communicate()
        self._remove_groups()
        return said.strip().rpartition("\n")[2]

    def _remove_groups(self) -> None:
        """Remove them once the kernel has ended all that was in them."""
        deadline_s = time.monotonic() + DEADLINE_S
        events = self._group / "cgroup.events"
        while "populated 1" in events.read_text() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        for folder, _, _ in os.walk(self._group, topdown=False):
            Path(folder).rmdir()

    def __exit__(self, *_: object) -> None:
        self._end()


def why_not() -> str | None:
    """Tell what keeps a systemd from being started here, None if nothing is known to."""
    if os.geteuid() != 0:
        return "only root can start a systemd"
    for program in ("unshare", "nsenter", "systemctl", "chroot"):
        if shutil.which(program) is None:
            return f"{program} is not here"
    if not SYSTEMD.exists():
        return f"{SYSTEMD} is not here"
    try:
        _cgroup()
    except BootError as error:
        return str(error)
    return None


def _cgroup() -> Path:
    """Find where groups of the second version can be made."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(","):
            return Path(place)
    raise BootError("no cgroup2 that can be written is mounted here")
