"""What `edge power` shows of this machine: a table of its rails, plain lines or JSON."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import click

from edge.record import PowerReading, Unavailable
from edge.schema import power_row
from edge.sinks.text import power_text

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from rich.console import Group
    from rich.table import Table

    from edge.record import RailState
    from edge.telemetry.power import PowerSampler

FIRST_READING_S = 3.0
"""How long a first reading may take: a sleeping rail has to wake up, tegrastats to start."""

LINE_S = 1.0
REDRAW_S = 0.5


def print_once(sampler: PowerSampler, *, as_json: bool) -> None:
    """Print the first reading, or why there is none."""
    reading = sampler.wait_for_reading(FIRST_READING_S)
    if as_json or isinstance(reading, Unavailable):
        _print_line(sampler, reading, as_json=as_json)
        return
    from rich.console import Console

    Console(highlight=False).print(draw_rails(sampler, reading, is_live=False))


def print_until_stopped(sampler: PowerSampler, stop: threading.Event, *, as_json: bool) -> None:
    """Show the power until the event is set or no reading will come any more."""
    reading = sampler.wait_for_reading(FIRST_READING_S)
    if not as_json and sys.stdout.isatty() and isinstance(reading, PowerReading):
        reading = _watch_table(sampler, reading, stop)
        if isinstance(reading, Unavailable):
            _print_line(sampler, reading, as_json=False)
        return
    due_s = time.monotonic()
    while True:
        _print_line(sampler, reading, as_json=as_json)
        if isinstance(reading, Unavailable) and sampler.over:  # and why was told
            return
        due_s = max(due_s + LINE_S, time.monotonic())
        if stop.wait(due_s - time.monotonic()):
            return
        reading = sampler.read()


def _print_line(
    sampler: PowerSampler, reading: PowerReading | Unavailable, *, as_json: bool
) -> None:
    if as_json:
        click.echo(json.dumps(power_row(reading, sampler.rails(), time.time_ns())))
    else:
        click.echo(power_text(reading))
    sys.stdout.flush()


def _watch_table(
    sampler: PowerSampler, reading: PowerReading, stop: threading.Event
) -> PowerReading | Unavailable:
    """Redraw the table until it is over; gives the last reading."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    latest: PowerReading | Unavailable = reading
    with Live(console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            if isinstance(latest, PowerReading):
                live.update(draw_rails(sampler, latest, is_live=True), refresh=True)
            elif not sampler.over:  # the last table then stays
                live.update(Text(power_text(latest)), refresh=True)
            is_over = isinstance(latest, Unavailable) and sampler.over
            if is_over or stop.wait(REDRAW_S):
                return latest
            latest = sampler.read()


def draw_rails(sampler: PowerSampler, reading: PowerReading, *, is_live: bool) -> Group:
    """Draw all rails, the totals below them, and what the figures are of.

    Args:
        sampler: knows the rails.
        reading: of the total.
        is_live: whether time has gone by, so that there are more figures than those of now.
    """
    from rich.console import Group
    from rich.text import Text

    states = sampler.rails()
    totals = [state for state in states if state.kind in {"total", "other total"}]
    lines = [f"total is {reading.total}; + is counted in it"]
    if is_live:
        lines.append(
            f"{reading.energy_j:.1f} ± {reading.energy_error_j:.1f} J"
            f" in {reading.covered_s:.1f} s; sampling takes"
            f" {reading.sampler_share:.2%} of a core"
        )
    lines += [
        f"{state.name} {state.power_mw.reason}"
        for state in states
        if state not in totals and isinstance(state.power_mw, Unavailable)
    ]
    if sampler.not_connected:
        lines.append(f"not connected (NC): {', '.join(sampler.not_connected)}")
    return Group(_make_table(states, is_live=is_live), Text("\n".join(["", *lines])))


def _make_table(states: Sequence[RailState], *, is_live: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", width=1)
    table.add_column("Rail", overflow="fold")
    titles = ("now W", "min W", "mean W", "max W", "J") if is_live else ("now W",)
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for state in states:
        name = "total" if state.kind == "total" else state.name
        mark = "+" if state.kind == "counted" else ""
        style = "bold" if state.kind == "total" else ""
        figures = _figures(state)[: len(titles)]
        table.add_row(mark, Text(name), *map(Text, figures), style=style)
    return table


def _figures(state: RailState) -> list[str]:
    now = "-" if isinstance(state.power_mw, Unavailable) else f"{state.power_mw / 1000:.2f}"
    summary = state.summary
    if summary is None:
        return [now, "-", "-", "-", "-"]
    watts = (summary.min_mw, summary.mean_mw, summary.max_mw)
    return [now, *(f"{power_mw / 1000:.2f}" for power_mw in watts), f"{summary.energy_j:.1f}"]
