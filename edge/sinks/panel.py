"""The live terminal panel: what the camera sees, and what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edge.sinks.text import STAGE_TITLES, counts_text, power_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from edge.record import FrameRecord, Percentiles, Snapshot

WIDE_COLUMNS = 84
LABEL_COLUMNS = 18
BAR_COLUMNS = 24
EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


def bar_text(share: float, columns: int) -> str:
    """Draw a share, 0 to 1, in eighths of a column; readable without colour too."""
    eighths = round(share * columns * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8]


def guesses_table(snapshot: Snapshot, rows: int) -> Table:
    """Draw the newest frame's guesses with bars; always the same height."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=LABEL_COLUMNS, no_wrap=True, overflow="ellipsis")
    table.add_column(width=BAR_COLUMNS)
    table.add_column(justify="right", width=6)
    guesses = snapshot.latest.result.top if snapshot.latest else ()
    for place in range(rows):
        if place >= len(guesses):
            table.add_row("", "", "")
            continue
        guess = guesses[place]
        weight = "bold" if place == 0 else ""
        bar = Text(bar_text(guess.p, BAR_COLUMNS), style="green")
        table.add_row(Text(guess.label, style=weight), bar, Text(f"{guess.p:.1%}", style=weight))
    return table


def stages_table(stages: dict[str, Percentiles]) -> Table:
    """Draw the percentiles of each stage in milliseconds."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=11)
    for _ in range(3):
        table.add_column(justify="right", width=8)
    table.add_row(
        Text("ms", style="dim"), *(Text(name, style="dim") for name in ("p50", "p90", "p99"))
    )
    for name, title in STAGE_TITLES.items():
        stage = stages.get(name)
        if stage is not None:
            style = "bold" if name == "end_to_end" else ""
            figures = (f"{ms:.2f}" for ms in (stage.p50_ms, stage.p90_ms, stage.p99_ms))
            table.add_row(Text(title, style=style), *(Text(text, style=style) for text in figures))
    return table


def draw_panel(snapshot: Snapshot, title: str, *, rows: int, columns: int) -> RenderableType:
    """Draw the whole panel for a terminal of so many columns."""
    guesses = guesses_table(snapshot, rows)
    stages = stages_table(dict(snapshot.stages))
    if columns >= WIDE_COLUMNS:
        side_by_side = Table.grid(padding=(0, 3))
        side_by_side.add_row(guesses, stages)
        middle: RenderableType = side_by_side
    else:
        middle = Group(guesses, Text(), stages)
    rate = Text.assemble(
        (f"{snapshot.fps:.1f} fps", "bold"), f"   {counts_text(snapshot)}"
        f"   {snapshot.elapsed_s:.0f} s"
    )  # fmt: skip
    power = Text(f"power {power_text(snapshot.power)}", style="dim")
    return Panel(
        Group(middle, Text(), rate, power),
        title=Text(title),
        title_align="left",
        border_style="cyan",
    )


class PanelSink:
    """Redraws the panel with each snapshot.

    Args:
        console: a terminal.
        title: model, engine and source.
        rows: how many guesses to show.
    """

    def __init__(self, console: Console, title: str, rows: int) -> None:
        self._console = console
        self._title = title
        self._rows = rows
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def take_record(self, record: FrameRecord) -> None:
        """Wait for the snapshot."""

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Redraw."""
        panel = draw_panel(snapshot, self._title, rows=self._rows, columns=self._console.width)
        self._live.update(panel, refresh=True)

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()
