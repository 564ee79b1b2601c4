"""Does edge bench cry wolf, and does it see a wolf? Repeats two equal runs and a slower one.

Each repetition measures three times, every time in a process of its own: twice the same, and once
with an engine that takes a tenth more of its own time. `edge bench diff --fail-over 5%` must let
the second pass (else it is a false alarm) and refuse the third (else it is a miss).

python benchmarks/bench_alarms.py [--repetitions 10] [--seconds 20] [-o alarms]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bench.bench import Request, bench
from edge.bench.case import Case
from edge.bench.diff import diff
from edge.bench.document import read_kept, to_json
from edge.bench.measure import Options
from edge.board import SysRoot
from edge.cli.asked import Asked
from edge.cli.engine import open_asked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.bench.ratio import Ratio
    from edge.engine.base import Engine, EngineInfo, Scores, Slot
    from edge.model.contract import Contract

MODEL = "squeezenet8-int8"
NAME = "alarms"
FAIL_OVER = 0.05
RUNS = ("first", "same", "slow")


class SlowedEngine:
    """An engine that takes a share more of the time that each submission takes."""

    def __init__(self, engine: Engine, share: float) -> None:
        self._engine, self._share = engine, share
        self._submitted_ns: deque[int] = deque()

    @property
    def info(self) -> EngineInfo:
        """As of the engine inside."""
        return self._engine.info

    def acquire(self) -> Slot:
        """Give a free slot."""
        return self._engine.acquire()

    def submit(self, *slots: Slot) -> None:
        """Note when each picture was submitted."""
        self._submitted_ns.extend([time.perf_counter_ns()] * len(slots))
        self._engine.submit(*slots)

    def collect(self) -> Scores:
        """Wait for the engine, then for its share more."""
        scores = self._engine.collect()
        done_ns = time.perf_counter_ns()
        until_ns = done_ns + self._share * (done_ns - self._submitted_ns.popleft())
        while time.perf_counter_ns() < until_ns:
            pass
        return scores

    def close(self) -> None:
        """Close the engine inside."""
        self._engine.close()


@contextmanager
def open_slowed(asked: Asked, share: float) -> Iterator[tuple[Engine, Contract]]:
    """Open what was asked for; it is slowed down where `share` is not 0."""
    with open_asked(asked) as (engine, contract):
        yield (SlowedEngine(engine, share) if share else engine), contract


@dataclass(frozen=True, slots=True)
class Repetition:
    """What two diffs said.

    Attributes:
        same: ratio of two equal runs.
        slow: ratio of the slower one to the first.
        false_alarm: whether the equal one was refused.
        missed: whether the slower one was let pass.
    """

    same: Ratio
    slow: Ratio
    false_alarm: bool
    missed: bool


def judge(files: dict[str, Path]) -> Repetition:
    """Compare the runs of one repetition, as `edge bench diff --fail-over 5%` does."""
    first = read_kept(files["first"])
    same, slow = (diff(first, read_kept(files[name])) for name in ("same", "slow"))
    return Repetition(
        same=same.ratios[NAME],
        slow=slow.ratios[NAME],
        false_alarm=bool(same.regressions(FAIL_OVER)),
        missed=not slow.regressions(FAIL_OVER),
    )


def measure_once(arguments: argparse.Namespace, file: Path) -> None:
    """Be one run."""
    asked = Asked(arguments.model, arguments.engine, rebuild=False, root=SysRoot(Path("/")))
    share = arguments.slowdown / 100 if arguments.run == "slow" else 0.0
    case = Case(NAME, arguments.model, partial(open_slowed, asked, share), arguments.engine)
    request = Request(
        asked.root, Options(seconds=arguments.seconds, precision_goal=0.01), starts=False
    )
    file.write_text(to_json(bench([case], request)))


def row_of(number: int, one: Repetition) -> str:
    """Give a line of the table."""
    words = [
        f"{ratio.ratio:6.3f} [{ratio.low:.3f}, {ratio.high:.3f}] {ratio.verdict:10}"
        f" sees {ratio.detectable:5.1%}"
        for ratio in (one.same, one.slow)
    ]
    return "  ".join(
        [f"{number:3}", *words, "FALSE ALARM" * one.false_alarm, "MISSED" * one.missed]
    ).rstrip()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--slowdown", type=float, default=10.0, metavar="PERCENT")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("-o", "--output", type=Path, default=Path("alarms"))
    parser.add_argument("--run", choices=RUNS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        measure_once(arguments, arguments.output)
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    print("  n  same again                                       slower by a known share")
    found = []
    for number in range(1, arguments.repetitions + 1):
        files = {name: arguments.output / f"{number}-{name}.json" for name in RUNS}
        for name, file in files.items():
            words = [*sys.argv, "--run", name, "--output", str(file)]
            subprocess.run([sys.executable, *words], check=True)  # noqa: S603 - itself
        found.append(judge(files))
        print(row_of(number, found[-1]), flush=True)
    alarms, misses = sum(one.false_alarm for one in found), sum(one.missed for one in found)
    told = sum(one.same.verdict != "no change" for one in found)
    print(f"{len(found)} repetitions: {alarms} false alarms, {misses} misses;"
          f" {told} times the same was not called no change")  # fmt: skip
    summary = {"repetitions": [asdict(one) for one in found]}
    (arguments.output / "summary.json").write_text(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
