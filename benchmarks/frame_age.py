"""How old a frame is when it gets its label, where the engine is slower than the camera.

    python benchmarks/frame_age.py --model int8.onnx [--source demo] [--delay-ms 80] [--seconds 10]

The engine is the null engine, slowed to --delay-ms a frame. A loop with a queue would fall behind
further and further; ours drops what is too old. Printed are a histogram of the ages, the number
of dropped frames, and whether every age stayed below one capture interval, one inference and what
reading and resizing a frame took. The exit status is 1 if not.
"""

from __future__ import annotations

import argparse
import math
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge.board import SysRoot
from edge.camera.base import open_source
from edge.camera.capture import Capture
from edge.camera.round_robin import RoundRobin
from edge.engine.base import open_engine
from edge.loop import LoopOptions, run_loop
from edge.model.onnx_file import load_model
from edge.telemetry.power import PowerSampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.record import FrameRecord, Snapshot, StageTimes

BAR_WIDTH = 50
BINS = 12


@dataclass(slots=True, eq=False)
class AgeSink:
    """Keeps the times of each frame; see `edge.sinks.base.Sink`."""

    times: list[StageTimes] = field(default_factory=list)
    intervals_ms: list[float] = field(default_factory=list)
    _last: tuple[int, int] | None = None

    def take_record(self, record: FrameRecord) -> None:
        """Keep what the frame took, and how long its source took since the one before."""
        frame = record.frame
        if self._last is not None:
            seq, captured_ns = self._last
            passed_ns = frame.captured_ns - captured_ns
            self.intervals_ms.append(passed_ns / 1e6 / max(1, frame.seq - seq))
        self._last = frame.seq, frame.captured_ns
        self.times.append(record.times)

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Want none."""

    def close(self) -> None:
        """Hold nothing."""


def histogram(values: Sequence[float], bins: int = BINS) -> list[str]:
    """Draw values in milliseconds as lines of bars, one line a bin."""
    low, high = math.floor(min(values)), math.ceil(max(values))
    step = max(1, math.ceil((high - low) / bins))
    counts: dict[int, int] = {}
    for value in values:
        place = int((value - low) // step)
        counts[place] = counts.get(place, 0) + 1
    most = max(counts.values())
    lines = []
    for place in range(max(counts) + 1):
        count, start = counts.get(place, 0), low + place * step
        bar = "#" * math.ceil(BAR_WIDTH * count / most)
        lines.append(f"{start:5d} to {start + step:5d} ms {count:6d} {bar}".rstrip())
    return lines


def bound_ms(times: StageTimes, interval_ms: float) -> float:
    """Give the oldest that a frame may be: an interval, an inference, and reading and resizing."""
    work_ns = times.infer_ns + times.capture_ns + times.preprocess_ns
    return interval_ms + work_ns / 1e6


def verdict(times: Sequence[StageTimes], interval_ms: float) -> tuple[bool, str]:
    """Say whether every frame was younger than `bound_ms`, and how far the worst one was off."""
    over_ms = [one.age_ns / 1e6 - bound_ms(one, interval_ms) for one in times]
    late = sum(over > 0 for over in over_ms)
    oldest_ms = max(one.age_ns for one in times) / 1e6
    most_ms = max(bound_ms(one, interval_ms) for one in times)
    told = f"oldest {oldest_ms:.1f} ms, bound {most_ms:.1f} ms"
    if late:
        worst = f"{late} of {len(times)} frames were older, the worst by {max(over_ms):.1f} ms"
        return False, f"no: {told}; {worst}"
    return True, f"yes: {told}"


def read_command_line() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--source", default="demo", help="a live one, as edge run takes it")
    parser.add_argument("--delay-ms", type=float, default=80.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    return parser.parse_args()


def main() -> int:
    """Run the loop, print what became of the frames and give the exit status."""
    given = read_command_line()
    model = load_model(given.model)
    sink, changed = AgeSink(), threading.Condition()
    with (
        open_engine(f"null:{given.delay_ms:g}", model) as engine,
        open_source(given.source) as source,
        PowerSampler(SysRoot(Path("/"))) as power,
        RoundRobin([Capture(source, changed=changed)], changed) as sources,
    ):
        rate_fps = source.info.fps
        options = LoopOptions(read_power=power.read, seconds=given.seconds)
        final = run_loop(sources, engine, model.contract, [sink], options).final
    if not sink.intervals_ms:
        sys.exit("fewer than two frames: give more --seconds")
    longest_ms = max(sink.intervals_ms)
    interval_ms = max(1000 / rate_fps, longest_ms) if rate_fps else longest_ms
    print(
        f"{given.source}: a frame each {interval_ms:.1f} ms at most, an engine that takes "
        f"{given.delay_ms:g} ms; {final.frames} frames labelled, {final.dropped} dropped\n"
    )
    print("\n".join(histogram([one.age_ns / 1e6 for one in sink.times])))
    holds, word = verdict(sink.times, interval_ms)
    print(f"\nnever older than an interval, an inference and its reading and resizing? {word}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
