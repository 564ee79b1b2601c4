"""What measured loops told, put side by side; reads no clock and runs nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from statistics import median
from typing import TYPE_CHECKING

from environments import PeerError, last_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Report:
    """What one loop told of one run.

    Attributes:
        frames: labelled.
        seconds: from the first read to the last label.
        cpu_s: of all threads, over the same time.
        age_p50_ms: from the begin of reading a frame to its label, median.
        age_p99_ms: likewise, 99th percentile.
        peak_rss_mb: the most memory that the process had.
        version: of the measured library.
        answers: the most likely class of each frame.
    """

    frames: int
    seconds: float
    cpu_s: float
    age_p50_ms: float
    age_p99_ms: float
    peak_rss_mb: float
    version: str
    answers: tuple[int, ...]

    @property
    def fps(self) -> float:
        """Frames a second."""
        return self.frames / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Processor time a frame."""
        return 1000 * self.cpu_s / self.frames


def parse_report(text: str) -> Report:
    """Read the last line that a loop printed.

    Raises:
        PeerError: it is no report, or one without a frame.
    """
    line = last_line(text)
    try:
        told = json.loads(line)
        values = {field.name: told[field.name] for field in fields(Report)}
        report = Report(**{**values, "answers": tuple(values["answers"])})
        is_whole = report.frames > 0 and report.seconds > 0
    except (ValueError, KeyError, TypeError) as error:
        raise PeerError(f"told no report but {line[:80]!r}") from error
    if not is_whole:
        raise PeerError("labelled no frame")
    return report


def agreement(answers: Sequence[int], wanted: Sequence[int]) -> float:
    """Give the share of frames with the same answer, 0 to 1.

    Raises:
        PeerError: there are not as many frames, so that they cannot be put side by side.
    """
    if len(answers) != len(wanted) or not wanted:
        raise PeerError(f"labelled {len(answers)} frames, the others {len(wanted)}")
    return sum(a == b for a, b in zip(answers, wanted, strict=True)) / len(wanted)


def ratio_to_best(
    rounds: Iterable[Mapping[str, Report]], name: str, among: Sequence[str]
) -> float | None:
    """Give how many times as fast one loop is as the best of some others.

    The ratio is made in each round, whose loops ran within the same minutes, and the median of
    the ratios is given; None where no round has both sides.
    """
    ratios = []
    for reports in rounds:
        others = [reports[other].fps for other in among if other in reports]
        if name in reports and others:
            ratios.append(reports[name].fps / max(others))
    return median(ratios) if ratios else None


def best(rounds: Iterable[Mapping[str, Report]], among: Sequence[str]) -> str | None:
    """Name the loop with the highest median of frames a second; None where none ran."""
    every = list(rounds)
    speeds = {
        name: median(reports[name].fps for reports in every if name in reports)
        for name in among
        if any(name in reports for reports in every)
    }
    return max(speeds, key=lambda name: speeds[name]) if speeds else None


FIGURES = {
    "frames a second": ("fps", max),
    "median age": ("age_p50_ms", min),
    "99th percentile of the age": ("age_p99_ms", min),
    "processor time a frame": ("cpu_ms", min),
    "peak memory": ("peak_rss_mb", min),
}
"""Of a report, and which of two is better."""


def ahead(
    rounds: Iterable[Mapping[str, Report]], among: Sequence[str], ours: Sequence[str]
) -> dict[str, str]:
    """Name the figures in which the best of some loops is better than the best of ours, and it."""
    every = list(rounds)
    ran = {name for reports in every for name in reports}
    leads = {}
    for what, (figure, better) in FIGURES.items():
        medians = {name: median_of(every, name, figure) for name in (*among, *ours) if name in ran}
        winner = better(medians, key=lambda name, of=medians: of[name], default=None)
        if winner is not None and winner not in ours:
            leads[what] = winner
    return leads


def median_of(rounds: Iterable[Mapping[str, Report]], name: str, figure: str) -> float:
    """Give the median of one figure of one loop over the rounds in which it ran."""
    return median(getattr(reports[name], figure) for reports in rounds if name in reports)


def spread_of(rounds: Iterable[Mapping[str, Report]], name: str) -> str:
    """Give the slowest and the fastest round in frames a second."""
    speeds = [reports[name].fps for reports in rounds if name in reports]
    return f"{min(speeds):.0f} to {max(speeds):.0f}"


def line(cells: Iterable[str]) -> str:
    """Make one line of a Markdown table."""
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Make a Markdown table; a shorter row is filled up with dashes."""
    full = [[*row, *["-"] * (len(heads) - len(row))] for row in rows]
    return "\n".join(line(cells) for cells in (heads, ["---"] * len(heads), *full))
