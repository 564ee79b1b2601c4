"""What every measured loop reports of itself, in the same way; imports nothing of edge."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np


class Meter:
    """Follows the frames of one loop from the first read to the last label."""

    def __init__(self) -> None:
        self._started_ns = self._done_ns = self._cpu_ns = 0
        self._ages_ns: list[int] = []
        self._answers: list[int] = []

    def start(self) -> None:
        """Begin: everything is open and warm, and nothing is read yet."""
        self._cpu_ns = time.process_time_ns()
        self._started_ns = self._done_ns = time.monotonic_ns()

    def label(self, taken_ns: int, answer: int, done_ns: int | None = None) -> None:
        """Count a frame that has its label.

        Args:
            taken_ns: when reading it began, monotonic clock.
            answer: its most likely class.
            done_ns: when it got the label; None is now.
        """
        done_ns = done_ns or time.monotonic_ns()
        self._done_ns = max(self._done_ns, done_ns)
        self._ages_ns.append(done_ns - taken_ns)
        self._answers.append(answer)

    def tell(self, version: str) -> None:
        """Print the report as one JSON line; `version` is that of the measured library."""
        cpu_s = (time.process_time_ns() - self._cpu_ns) / 1e9
        p50_ns, p99_ns = np.percentile(self._ages_ns, [50, 99]) if self._ages_ns else (0, 0)
        report = {
            "frames": len(self._answers),
            "seconds": (self._done_ns - self._started_ns) / 1e9,
            "cpu_s": cpu_s,
            "age_p50_ms": p50_ns / 1e6,
            "age_p99_ms": p99_ns / 1e6,
            "peak_rss_mb": peak_rss_mb(),
            "version": version,
            "answers": self._answers,
        }
        print(json.dumps(report))


def peak_rss_mb() -> float:
    """Give the most memory that this process ever had, in MB.

    Source: proc_pid_status(5), VmHWM, in KiB.
    """
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError("this kernel tells no VmHWM")
