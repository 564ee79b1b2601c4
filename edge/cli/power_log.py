"""What `edge power --log` prints: a log of tegrastats, summed up."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.errors import InputError
from edge.files import check_target_folder, explain_os_error
from edge.record import Unavailable
from edge.report import check_plotting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from edge.telemetry.power_log import LoadSummary, LogSummary

LOG_VERSION = 1
STDIN = "-"


def print_log(file: str, interval_ms: int, report: Path | None, *, as_json: bool) -> None:
    """Sum up a log of tegrastats, and write a page with its curves if one is asked for.

    Args:
        file: its path, or - for stdin.
        interval_ms: between two lines that tell no time.
        report: the page's folder.
        as_json: for programs.

    Raises:
        InputError: there is no such file, it is no log, or the page cannot be written.
        MissingExtraError: the page wants matplotlib.
    """
    from edge.telemetry.power_log import read_log

    name = "stdin" if file == STDIN else file
    if report is not None:
        check_target_folder(report)
        check_plotting()
    with _open_lines(file) as lines:
        log = read_log(lines, interval_ms)
    if isinstance(log, Unavailable):
        raise InputError(
            f"{name}: {log.reason}",
            hint="Record one with: tegrastats --interval 1000 --logfile FILE",
        )
    if as_json:
        row = {"version": LOG_VERSION, **asdict(log.summary)}
        row["interval_ms"] = interval_ms if log.summary.timed_by == "interval" else None
        click.echo(json.dumps(row, indent=2))
    else:
        _print_summary(name, log.summary, interval_ms)
    if report is not None:
        from edge.cli.power_report import write_report

        lead = f"{name}: {_samples_text(log.summary, interval_ms)}"
        page = write_report(log, lead, list(_doubts(log.summary)), report)
        click.echo(f"report in {page}", err=as_json)


@contextmanager
def _open_lines(file: str) -> Iterator[Iterator[str]]:
    """Open a log; what is no text in it becomes unreadable lines."""
    try:
        if file == STDIN:
            yield (line.decode(errors="replace") for line in sys.stdin.buffer)
        else:
            with Path(file).open(encoding="utf-8", errors="replace") as lines:
                yield lines
    except OSError as error:
        raise explain_os_error(file, error) from error


def _print_summary(name: str, summary: LogSummary, interval_ms: int) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.soft_wrap = not console.is_terminal  # a pipe has no width
    console.print(Text(f"{name}: {_samples_text(summary, interval_ms)}"))
    for doubt in _doubts(summary):
        console.print(Text(doubt))
    console.print()
    if summary.rails:
        console.print(_make_table(summary), soft_wrap=False)
    if isinstance(summary.total, Unavailable):
        console.print(Text(f"total not available: {summary.total.reason}"))
    else:
        error = f"energy within ± {summary.total.energy_error_j:.1f} J"
        console.print(Text(f"total is {summary.total.name}, {error}"))
        if summary.timed_by == "timestamps":
            second_j = summary.total.mean_mw / 1000
            console.print(Text(f"and {second_j:.1f} J for each second that the stamps are off"))
    console.print()
    for title, load in (("GPU", summary.gpu), ("EMC", summary.emc), ("CPU", summary.cpu)):
        console.print(Text(f"{title} load  {_load_text(load)}"))
    if summary.max_temperatures_c:
        zones = summary.max_temperatures_c.items()
        heat = ", ".join(f"{zone} {hottest_c:.1f} °C" for zone, hottest_c in zones)
        console.print(Text(f"hottest   {heat}"))


def _samples_text(summary: LogSummary, interval_ms: int) -> str:
    if summary.timed_by == "interval":
        apart = f"{interval_ms} ms apart (--interval; the log does not tell the time)"
        return f"{summary.samples} samples, {summary.duration_s:.1f} s if they are {apart}"
    apart = f"at most {summary.longest_step_s:.1f} s apart"
    return f"{summary.samples} samples in {summary.duration_s:.1f} s by its time stamps, {apart}"


def _doubts(summary: LogSummary) -> Iterator[str]:
    counts = (
        (summary.unreadable_lines, "lines that could not be read"),
        (summary.unknown_words, "unknown words in the other lines"),
        (summary.clock_set_back, "times that the clock was set back (counted as 0 s)"),
    )
    for count, what in counts:
        if count:
            yield f"{what}: {count}"


def _load_text(load: LoadSummary | Unavailable) -> str:
    if isinstance(load, Unavailable):
        return f"not available: {load.reason}"
    return f"{load.mean_percent:.0f} % mean, {load.max_percent:.0f} % max"


def _make_table(summary: LogSummary) -> Table:
    from rich.table import Table

    from edge.cli.power_report import figures_of

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Rail", overflow="fold")
    for title in ("min W", "mean W", "max W", "energy J"):
        table.add_column(title, justify="right", no_wrap=True)
    for rail in summary.rails:
        table.add_row(rail.name, *figures_of(rail))
    if not isinstance(summary.total, Unavailable):
        table.add_row("total", *figures_of(summary.total))
    return table
