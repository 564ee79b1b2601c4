"""Draws how fast the loops of a comparison were: medians, and the slowest and fastest round."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from loop_clips import CLIPS
from loop_runs import OURS, PEERS

from edge.report import COLORS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from loop_table import Report
    from matplotlib.axes import Axes

    Rounds = Sequence[Mapping[str, Report]]

WIDTH_IN, ROW_IN, FRAME_IN = 10.0, 0.26, 1.2
COLOR = COLORS["light"]


def draw(by_clip: Mapping[str, Rounds], file: Path, about: str) -> None:
    """Write one picture with a column of bars a clip.

    Args:
        by_clip: name of a clip to its rounds.
        file: .svg or .png.
        about: the line below, which says what ran where and how often.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    ran = {name for rounds in by_clip.values() for reports in rounds for name in reports}
    loops = [loop for loop in (*PEERS, *OURS) if loop.name in ran]
    clips = [clip for clip in CLIPS if any(by_clip[clip.name])]
    settings = {"font.size": 9, "svg.hashsalt": "edge", "text.color": COLOR.ink}
    with mpl.rc_context(settings):
        figure = Figure(
            figsize=(WIDTH_IN, FRAME_IN + ROW_IN * len(loops)),
            layout="constrained",
            facecolor=COLOR.paper,
        )
        columns = figure.subplots(1, len(clips), sharey=True, squeeze=False)[0]
        for axes, clip in zip(columns, clips, strict=True):
            style(axes, clip.title)
            for place, loop in enumerate(loops):
                color = COLOR.cycle[1] if loop in OURS else COLOR.cycle[0]
                draw_bar(axes, place, speeds_of(by_clip[clip.name], loop.name), color)
        names = [loop.title.strip("*") for loop in loops]
        columns[0].set_yticks(range(len(loops)), names)
        columns[0].invert_yaxis()
        figure.supxlabel(f"frames a second, median and slowest to fastest round\n{about}",
                         fontsize=8, color=COLOR.quiet)  # fmt: skip
        made = {"Date": None} if file.suffix == ".svg" else None
        figure.savefig(file, dpi=160, metadata=made)


def speeds_of(rounds: Rounds, name: str) -> list[float]:
    """Give the frames a second of one loop in each round in which it ran."""
    return [reports[name].fps for reports in rounds if name in reports]


def style(axes: Axes, title: str) -> None:
    """Give a column its title, without a frame around it."""
    axes.set_title(title, loc="left", fontsize=9)
    axes.set_facecolor(COLOR.paper)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color=COLOR.line, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.14)


def draw_bar(axes: Axes, place: int, speeds: Sequence[float], color: str) -> None:
    """Draw the median of a loop's rounds with its spread; nothing where it did not run."""
    if not speeds:
        return
    middle = median(speeds)
    spread = [[middle - min(speeds)], [max(speeds) - middle]]
    axes.barh(place, middle, height=0.7, color=color)
    axes.errorbar(middle, place, xerr=spread, color=COLOR.ink, capsize=2, linewidth=1)
    axes.annotate(f"{middle:.0f}", (max(speeds), place), xytext=(4, 0),
                  textcoords="offset points", va="center", fontsize=8)  # fmt: skip
