"""How fast our camera loop is beside the loops that other libraries document.

    python benchmarks/loop.py --model int8.onnx --fp32 fp32.onnx --pictures FOLDER
        [--video FILE] [--rounds 6] [--only LOOP,...] [--quick] [--json FILE] [--work FOLDER]

One network and the same clips for all: Motion JPEG in 720p and 1080p and an H.264 file, made of a
pan over the photographs in FOLDER, or of a video. Each loop is a process of its own. The loops run
in turn, round by round, so that a noisy machine hurts all alike; a ratio is made within a round,
and the medians over the rounds are printed. Time runs from the first read to the last label, and
opening the file and compiling the network are not in it. Wants the packages `av` and
`onnxruntime`. Printed is Markdown; --json keeps every run and what the machine is.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import cv2
from environments import PeerError
from loop_clips import CLIPS, make_clip
from loop_networks import write_networks, write_views
from loop_runs import ENGINES, OURS, PARTS, PEERS, STARTS, Bench
from loop_table import agreement, best, median_of, ratio_to_best, spread_of, table

from edge.files import sha256_bytes
from edge.model.onnx_file import load_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loop_runs import Loop
    from loop_table import Report

    Rounds = list[dict[str, Report]]

ANYWHERE = "any clip"
FRAMES, QUICK_FRAMES = 300, 60
PACKAGES = ("av", "numpy", "onnxruntime", "opencv-python", "openvino", "simplejpeg")
REFERENCE = "onnxruntime-int8"
"""Whose answers the others are compared with, as it resizes and computes in the plainest way."""

HEADS = [
    "loop", "fps", "slowest to fastest", "times the best documented",
    "times the best with tuning", "age p50, ms", "age p99, ms", "CPU, ms a frame",
    "peak memory, MB", "same answers",
]  # fmt: skip


class Results:
    """Everything that was measured, by clip and round."""

    def __init__(self, rounds: int) -> None:
        self.reports: dict[str, Rounds] = {
            place: [{} for _ in range(rounds)] for place in (*(c.name for c in CLIPS), ANYWHERE)
        }
        self.failures: dict[tuple[str, str], str] = {}
        self.starts_s: dict[str, list[float]] = {name: [] for name in STARTS}

    def measure(self, bench: Bench, loop: Loop, place: str, clip: Path, number: int) -> None:
        """Run one loop once and keep what it told; one that failed before is left out."""
        if (place, loop.name) in self.failures:
            return
        print(f"round {number + 1}, {place}, {loop.name}", file=sys.stderr, flush=True)
        try:
            self.reports[place][number][loop.name] = bench.run(loop, clip)
        except PeerError as error:
            self.failures[place, loop.name] = str(error)

    def measure_start(self, bench: Bench, name: str, picture: Path) -> None:
        """Start one process once and keep how long it took to its first label."""
        try:
            self.starts_s[name].append(bench.start_s(name, picture))
        except PeerError as error:
            self.failures[ANYWHERE, name] = str(error)

    def raw(self) -> dict[str, Any]:
        """Give what `--json` keeps; of the answers their hash, which says whether they differ."""
        runs = []
        for place, rounds in self.reports.items():
            for number, reports in enumerate(rounds):
                for name, report in reports.items():
                    told = asdict(report)
                    digest = sha256_bytes(json.dumps(told.pop("answers")).encode())
                    about = {"clip": place, "round": number + 1, "loop": name}
                    runs.append({**about, "fps": report.fps, **told, "answers_sha256": digest})
        failures = [
            {"clip": place, "loop": name, "error": error}
            for (place, name), error in self.failures.items()
        ]
        return {"runs": runs, "failures": failures, "first_label_s": self.starts_s}


def clip_rows(results: Results, place: str, loops: Sequence[Loop]) -> list[list[str]]:
    """Make the rows of one clip."""
    rounds = results.reports[place]
    documented = [peer.name for peer in PEERS if peer.is_documented]
    every_peer = [peer.name for peer in PEERS]
    rows = []
    for loop in loops:
        if error := results.failures.get((place, loop.name)):
            rows.append([loop.title, f"failed: {error}"])
        if not any(loop.name in reports for reports in rounds):
            continue
        figures = ("age_p50_ms", "age_p99_ms", "cpu_ms", "peak_rss_mb")
        values = [median_of(rounds, loop.name, figure) for figure in figures]
        rows.append(
            [
                loop.title,
                f"{median_of(rounds, loop.name, 'fps'):.0f}",
                spread_of(rounds, loop.name),
                times(ratio_to_best(rounds, loop.name, documented)),
                times(ratio_to_best(rounds, loop.name, every_peer)),
                *(f"{value:.1f}" for value in values[:3]),
                f"{values[3]:.0f}",
                same_answers(rounds, loop.name),
            ]
        )
    return rows


def times(ratio: float | None) -> str:
    """Write a ratio."""
    return "-" if ratio is None else f"{ratio:.2f}"


def same_answers(rounds: Rounds, name: str) -> str:
    """Say on how many frames a loop agrees with the reference, in the first round of both."""
    for reports in rounds:
        if name in reports and REFERENCE in reports:
            try:
                share = agreement(reports[name].answers, reports[REFERENCE].answers)
            except PeerError as error:
                return str(error)
            return f"{100 * share:.1f} %"
    return "-"


def part_rows(results: Results) -> list[list[str]]:
    """Make the rows of what a loop is made of."""
    rows = []
    for place, rounds in results.reports.items():
        for part in (*PARTS, *ENGINES):
            title = part.title if part in ENGINES else f"{part.title}, {place}"
            if error := results.failures.get((place, part.name)):
                rows.append([title, f"failed: {error}"])
            if not any(part.name in reports for reports in rounds):
                continue
            fps = median_of(rounds, part.name, "fps")
            value = f"{1e6 / fps:.0f} µs a frame" if part.name == "null" else f"{fps:.0f} fps"
            rows.append([title, value])
    for name, took_s in results.starts_s.items():
        title = f"process start to first label, {name.removeprefix('start-')}"
        if error := results.failures.get((ANYWHERE, name)):
            rows.append([title, f"failed: {error}"])
        elif took_s:
            rows.append([title, f"{median(took_s):.2f} s"])
    return rows


def print_results(results: Results) -> None:
    """Print one table a clip, and one of the parts."""
    every_peer = [peer.name for peer in PEERS]
    for clip in CLIPS:
        rounds = results.reports[clip.name]
        if rows := clip_rows(results, clip.name, [*PEERS, *OURS]):
            print(f"\n### {clip.title}\n\n{table(HEADS, rows)}")
        for ours in OURS:
            ratio = ratio_to_best(rounds, ours.name, every_peer)
            if ratio is not None:
                winner = best(rounds, every_peer)
                print(f"\n{ours.name}: {ratio:.2f} times the best existing one ({winner})")
    if parts := part_rows(results):
        print(f"\n### Parts\n\n{table(['what', 'median'], parts)}")


def describe_machine() -> dict[str, Any]:
    """Say what ran the loops, and when."""
    cpuinfo = Path("/proc/cpuinfo").read_text("utf-8")
    names = [line.split(":")[1].strip() for line in cpuinfo.splitlines() if "model name" in line]
    git = shutil.which("git") or "git"
    here = Path(__file__).resolve().parent
    commit = subprocess.run(  # noqa: S603 - our own command
        [git, "describe", "--always", "--dirty"],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit or "unknown",
    }


def read_command_line() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="what edge quantize wrote")
    parser.add_argument("--fp32", type=Path, required=True, help="the network that it was made of")
    content = parser.add_mutually_exclusive_group(required=True)
    content.add_argument("--pictures", type=Path, help="photographs to pan over")
    content.add_argument("--video", type=Path, help="what the clips show")
    parser.add_argument("--rounds", type=int, default=6)
    every = [loop.name for loop in (*PEERS, *OURS, *PARTS, *ENGINES)]
    names = [*every, *STARTS, *(clip.name for clip in CLIPS)]
    parser.add_argument("--only", default="", help=f"loops and clips of {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="one round over short clips")
    parser.add_argument("--json", type=Path, help="keeps every run and what the machine is")
    work = Path(tempfile.gettempdir()) / "edge-loop"
    parser.add_argument("--work", type=Path, default=work)
    given = parser.parse_args()
    asked = given.only.split(",") if given.only else []
    if unknown := [name for name in asked if name not in names]:
        parser.error(f"--only: {unknown[0]} is none of {', '.join(names)}")
    places = [clip.name for clip in CLIPS]
    given.clips = [clip for clip in CLIPS if clip.name in asked] or list(CLIPS)
    given.asked = [name for name in asked if name not in places] or [*every, *STARTS]
    given.rounds = 1 if given.quick else given.rounds
    return given


def write_picture(clip: Path, picture: Path) -> None:
    """Keep the first frame of a clip, for the first label."""
    capture = cv2.VideoCapture(str(clip))
    _, pixels = capture.read()
    capture.release()
    cv2.imwrite(str(picture), pixels)


def measure(given: argparse.Namespace, bench: Bench, clips: dict[str, Path]) -> Results:
    """Run everything that was asked for, round by round."""
    results = Results(given.rounds)
    picture = bench.folder / "picture.png"
    for number in range(given.rounds):
        for place, clip in clips.items():
            for loop in (*PEERS, *OURS, *PARTS):
                if loop.name in given.asked:
                    results.measure(bench, loop, place, clip, number)
        for loop in ENGINES:
            if loop.name in given.asked:
                results.measure(bench, loop, ANYWHERE, next(iter(clips.values())), number)
        for name in STARTS:
            if name in given.asked:
                results.measure_start(bench, name, picture)
    return results


def main() -> None:
    """Make networks and clips, measure, and print the tables."""
    given = read_command_line()
    machine = describe_machine()
    model = load_model(given.model)
    folder = given.work / f"{model.contract.name}-{model.sha256()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    content, frames = given.pictures or given.video, QUICK_FRAMES if given.quick else FRAMES
    clips = {clip.name: make_clip(clip, content, frames, given.work) for clip in given.clips}
    first, views = next(iter(clips.values())), folder / "views.npy"
    write_picture(first, folder / "picture.png")
    write_views(first, model.contract, views)
    networks = write_networks(model, given.fp32, folder)
    bench = Bench(networks, model.contract, views, folder, given.work / "venvs")
    results = measure(given, bench, clips)
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    print(
        f"{model.contract.name}; {machine['cpu']}, {machine['cores']} cores, load "
        f"{machine['load_before']:.1f} before; {given.rounds} rounds of {frames} frames; "
        f"Python {machine['python']}, {versions}; {machine['date']}, {machine['commit']}"
    )
    print_results(results)
    if given.json:
        raw = {"version": 1, "machine": machine, "model": model.contract.name,
               "frames": frames, **results.raw()}  # fmt: skip
        given.json.write_text(json.dumps(raw, indent=1), "utf-8")


if __name__ == "__main__":
    main()
