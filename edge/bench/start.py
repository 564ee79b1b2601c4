"""Starts fresh processes and times them up to their first label, as a person would see it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bench.case import Start
from edge.record import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

STARTS = 3
KIB_A_MIB = 1024
WIDTH_PX, HEIGHT_PX = 640, 480


def measure_starts(command: Sequence[str], times: int = STARTS) -> Start | Unavailable:
    """Time `edge run` on one picture, from the start of the process to its first line.

    Args:
        command: words for `edge run` without the source.
        times: how often.

    Returns:
        Or why there is no figure: the process said so and ended, or could not be started.
    """
    try:
        return _measure_starts(command, times)
    except OSError as error:
        return Unavailable(f"no fresh process could be started ({error.strerror})")


def _measure_starts(command: Sequence[str], times: int) -> Start | Unavailable:
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "grey.ppm"
        picture.write_bytes(_grey_picture())
        words = [sys.executable, "-m", "edge", "run", str(picture), *command, "--json", "-"]
        seconds, peaks_mib = [], []
        for _ in range(times):
            found = _start(words)
            if isinstance(found, Unavailable):
                return found
            seconds.append(found[0])
            peaks_mib.append(found[1])
    return Start(tuple(seconds), max(peaks_mib))


def _start(words: Sequence[str]) -> tuple[float, float] | Unavailable:
    """Give seconds to the first line and the peak memory in MiB up to it of one process."""
    with tempfile.TemporaryFile() as talk:
        started_s = time.perf_counter()
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=talk) as process:  # noqa: S603 - ours
            if process.stdout is None:  # it is a pipe; this tells the type checker
                return Unavailable("no pipe")
            line = process.stdout.readline()
            took_s = time.perf_counter() - started_s
            peak_mib = _peak_mib(process.pid)
            process.stdout.read()
        if process.returncode or not line:
            talk.seek(0)
            said = talk.read().decode(errors="replace").strip().splitlines()
            return Unavailable(said[-1] if said else f"ended with {process.returncode}")
    if peak_mib is None:
        return Unavailable("it ended before its memory could be read")
    return took_s, peak_mib


def _peak_mib(process: int) -> float | None:
    """Give the most memory that a process ever held; None where it runs no more.

    What `wait4` tells of a child begins with what its parent held, as Linux carries the figure over
    from the fork. Source: proc_pid_status(5), VmHWM, in KiB.
    """
    for line in Path(f"/proc/{process}/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / KIB_A_MIB
    return None


def _grey_picture() -> bytes:
    """Give a picture in the simplest format there is."""
    return b"P6 %d %d 255\n" % (WIDTH_PX, HEIGHT_PX) + b"\x80" * (WIDTH_PX * HEIGHT_PX * 3)
