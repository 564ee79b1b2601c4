"""How long edge takes to say anything: `--help`, and the first label, beside a bare Python.

    python benchmarks/startup.py [--rounds 9]

The commands run in turn, round by round, so that a noisy machine hurts all alike. Printed are
medians over the rounds, with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np


def commands(picture: Path) -> dict[str, list[str]]:
    """Name the measured commands."""
    python = sys.executable
    edge = [python, "-m", "edge"]
    return {
        "python -c pass": [python, "-c", "pass"],
        "edge --help": [*edge, "--help"],
        "edge run PICTURE (null engine)": [*edge, "run", str(picture), "--engine", "null"],
        "edge run PICTURE (auto engine)": [*edge, "run", str(picture)],
    }


def main() -> None:
    """Read the command line, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        cv2.imwrite(str(picture), np.full((480, 640, 3), 128, dtype=np.uint8))
        table = commands(picture)
        times_s: dict[str, list[float]] = {name: [] for name in table}
        for _ in range(rounds + 1):
            for name, command in table.items():
                started = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own
                times_s[name].append(time.perf_counter() - started)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(f"{rounds} rounds after one warm-up; seconds: median (least to most)")
    for name, values in times_s.items():
        counted = values[1:]
        spread = f"({min(counted):.3f} to {max(counted):.3f})"
        print(f"{name:34}{statistics.median(counted):6.3f}  {spread}")


if __name__ == "__main__":
    main()
