"""The page of `edge power --report`: the rails of a log over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.record import Unavailable
from edge.report import Page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.figure import Figure

    from edge.record import RailSummary
    from edge.report import Colors
    from edge.telemetry.power_log import PowerLog, RailCurve

LEGEND_COLUMNS = 3
HEIGHT_IN = 3.6


def write_report(log: PowerLog, lead: str, notes: list[str], folder: Path) -> Path:
    """Write the page of a log into a folder, and give its file.

    Args:
        log: as it was read.
        lead: its name, and how many samples over which time it has.
        notes: what in it was not as it should be.
        folder: made where it is missing.

    Raises:
        InputError: the folder cannot be written to.
        MissingExtraError: matplotlib is not installed.
    """
    summary = log.summary
    page = Page("Power over time", lead)
    if isinstance(summary.total, Unavailable):
        notes = [*notes, f"total not available: {summary.total.reason}"]
    else:
        total = summary.total
        page.add_figures({
            "mean": f"{total.mean_mw / 1000:.2f} W",
            "largest": f"{total.max_mw / 1000:.2f} W",
            "energy": f"{total.energy_j:.1f} ± {total.energy_error_j:.1f} J",
        })  # fmt: skip
        page.add_text(f"The total is {total.name}.")
    page.add_warnings(notes)
    if log.rails:
        caption = "Power over time; the rails overlap, the total counts each watt once."
        page.add_plot("rails", caption, lambda figure, colors: _draw(figure, colors, log),
                      height_in=HEIGHT_IN)  # fmt: skip
    rows = [[rail.name, *figures_of(rail)] for rail in summary.rails]
    if not isinstance(summary.total, Unavailable):
        rows.append(["total", *figures_of(summary.total)])
    page.add_table(["Rail", "min W", "mean W", "max W", "energy J"], rows)
    return page.write(folder)


def figures_of(rail: RailSummary) -> Iterator[str]:
    """Give least, mean and largest W, and J."""
    for power_mw in (rail.min_mw, rail.mean_mw, rail.max_mw):
        yield f"{power_mw / 1000:.2f}"
    yield f"{rail.energy_j:.1f}"


def _draw(figure: Figure, colors: Colors, log: PowerLog) -> None:
    axes = figure.add_subplot()
    total = log.total
    for curve in log.rails:
        if total is None or not total.name.startswith(f"{curve.name} ("):  # that is the total
            axes.plot(curve.times_s, _watts(curve), label=curve.name)
    if total is not None:
        label = "total" if " + " in total.name else total.name
        axes.plot(total.times_s, _watts(total), label=label, color=colors.ink, linewidth=1.8)
    axes.set_xlabel("seconds")
    axes.set_ylabel("W")
    axes.margins(x=0)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    figure.legend(loc="outside upper left", ncols=LEGEND_COLUMNS)


def _watts(curve: RailCurve) -> list[float]:
    return [power_mw / 1000 for power_mw in curve.power_mw]
