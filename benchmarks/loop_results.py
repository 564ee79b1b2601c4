"""What the loops of a comparison told, kept by clip and round, and the tables made of it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

from environments import PeerError
from loop_clips import CLIPS
from loop_runs import ENGINES, OURS, PARTS, PEERS, STARTS
from loop_table import (
    agreement,
    ahead,
    best,
    median_of,
    ratio_to_best,
    spread_of,
    table,
)

from edge.files import sha256_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from loop_runs import Bench, Loop
    from loop_table import Report

    Rounds = list[dict[str, Report]]

ANYWHERE = "any clip"
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
        self.absences: dict[str, str] = {}
        self.starts_s: dict[str, list[float]] = {name: [] for name in STARTS}

    def measure(self, bench: Bench, loop: Loop, place: str, clip: Path, number: int) -> None:
        """Run one loop once and keep what it told; one that failed before is left out."""
        if (place, loop.name) in self.failures:
            return
        if absence := loop.absence():
            self.absences[loop.title.strip("*")] = absence
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
        return {
            "runs": runs,
            "failures": failures,
            "absences": self.absences,
            "first_label_s": self.starts_s,
        }


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


def to_markdown(results: Results) -> Iterator[str]:
    """Give one table a clip, and one of the parts, with what is to be said of each."""
    every_peer, every_ours = [peer.name for peer in PEERS], [ours.name for ours in OURS]
    titles = {loop.name: loop.title.strip("*") for loop in (*PEERS, *OURS)}
    for clip in CLIPS:
        rounds = results.reports[clip.name]
        if rows := clip_rows(results, clip.name, [*PEERS, *OURS]):
            yield f"### {clip.title}\n\n{table(HEADS, rows)}"
        for ours in every_ours:
            ratio = ratio_to_best(rounds, ours, every_peer)
            if ratio is not None:
                winner = titles[str(best(rounds, every_peer))]
                yield f"{titles[ours]}: {ratio:.2f} times the best existing one ({winner})."
        if any(name in reports for reports in rounds for name in every_ours):
            leads = [f"{what} ({titles[name]})"
                     for what, name in ahead(rounds, every_peer, every_ours).items()]  # fmt: skip
            yield f"A peer is ahead of edge in: {', '.join(leads) or 'nothing'}."
    if parts := part_rows(results):
        yield f"### Parts\n\n{table(['what', 'median'], parts)}"
    told = {report.version for rounds in results.reports.values()
            for reports in rounds for report in reports.values()}  # fmt: skip
    if told:
        yield f"Measured: {', '.join(sorted(told, key=str.casefold))}."
    if results.absences:
        reasons = "; ".join(f"{title}: {why}" for title, why in results.absences.items())
        yield f"Not measured, for lack of something on this machine: {reasons}."
