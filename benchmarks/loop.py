"""How fast our camera loop is beside the loops that other libraries document.

    python benchmarks/loop.py --model int8.onnx --fp32 fp32.onnx --pictures FOLDER
        [--video FILE] [--rounds 6] [--only LOOP,...] [--quick] [--json FILE] [--work FOLDER]
        [--docs docs/benchmark.md] [--picture docs/benchmark.svg]

One network and the same clips for all: Motion JPEG in 720p and 1080p and an H.264 file, made of a
pan over the photographs in FOLDER, or of a video. Each loop is a process of its own. The loops run
in turn, round by round, so that a noisy machine hurts all alike; a ratio is made within a round,
and the medians over the rounds are printed. Time runs from the first read to the last label, and
opening the file and compiling the network are not in it. On a Jetson the loops of jetson-inference,
torch2trt and trtexec run too, where they are installed. Wants the extras `onnxruntime` and, for the
picture, `report`. Printed is Markdown; --json keeps every run and what the machine is. --docs puts
the Markdown between the two marks of a file, and --picture draws the medians and their spread.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
from loop_clips import CLIPS, make_clip
from loop_networks import write_networks, write_views
from loop_picture import draw
from loop_results import ANYWHERE, Results, to_markdown
from loop_runs import ENGINES, OURS, PARTS, PEERS, STARTS, Bench

from edge.model.onnx_file import load_model

FRAMES, QUICK_FRAMES = 300, 60
PACKAGES = ("av", "numpy", "onnxruntime", "opencv-python", "openvino", "simplejpeg")
BEGIN, END = "<!-- measured -->", "<!-- end -->"
"""Around what `--docs` replaces."""


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
    parser.add_argument("--docs", type=Path, help="puts the tables between the marks of this file")
    parser.add_argument("--picture", type=Path, help="draws them there, .svg or .png")
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


def put_between(file: Path, text: str) -> None:
    """Put the Markdown between the marks of a file, in the place of an earlier run's."""
    before, rest = file.read_text("utf-8").split(BEGIN)
    _, after = rest.split(END)
    file.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")


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
    about = (
        f"{model.contract.name}; {machine['cpu']}, {machine['cores']} cores, load "
        f"{machine['load_before']:.1f} before; {given.rounds} rounds of {frames} frames; "
        f"Python {machine['python']}, {versions}; {machine['date']}, {machine['commit']}"
    )
    text = "\n\n".join([f"{about}.", *to_markdown(results)])
    print(text)
    if given.docs:
        put_between(given.docs, text)
    if given.picture:
        draw(results.reports, given.picture, f"{model.contract.name}, {machine['cpu']},"
             f" {machine['cores']} cores, {given.rounds} rounds of {frames} frames")  # fmt: skip
    if given.json:
        raw = {"version": 1, "machine": machine, "model": model.contract.name,
               "frames": frames, **results.raw()}  # fmt: skip
        given.json.write_text(json.dumps(raw, indent=1), "utf-8")


if __name__ == "__main__":
    main()
