"""Whether any text makes the parser of tegrastats raise.

    python benchmarks/fuzz_tegrastats.py [--lines 1000000] [--seed 1] [--real FOLDER]

Each line is a good one, of our own or of the files below FOLDER, that was spoiled one to three
times. The exit code is 1 where one raised; it is printed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from tegrastats_lines import LINES, spoil  # noqa: E402 - the tests' own lines

from edge.telemetry.tegrastats import parse_tegrastats  # noqa: E402 - after the path


def main() -> int:
    """Read the command line and spoil lines; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", type=Path, help="folder of recorded lines")
    asked = parser.parse_args()
    good = list(LINES)
    if asked.real is not None:
        for file in sorted(asked.real.rglob("*")):
            if file.suffix in {".txt", ".log"}:
                good += file.read_text(errors="replace").splitlines()
    dice = random.Random(asked.seed)  # noqa: S311 - chance, not secrets
    began_s = time.perf_counter()
    for _ in range(asked.lines):
        line = dice.choice(good)
        for _ in range(dice.randint(1, 3)):
            line = spoil(line, dice)
        try:
            parse_tegrastats(line)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            print(f"{type(error).__name__}: {error} from {line!r}")
            return 1
    print(f"{asked.lines} lines, none raised, {time.perf_counter() - began_s:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
