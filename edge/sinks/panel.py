"""The live terminal panel: what the camera sees, and what it costs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edge.sinks.text import (
    STAGE_TITLES,
    board_text,
    counts_text,
    frame_energy_text,
    power_text,
    state_text,
    throttling_text,
    top_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType

    from edge.record import (
        BoardReading,
        FrameRecord,
        Percentiles,
        Snapshot,
        SourceStatus,
        Unavailable,
    )

WIDE_COLUMNS = 84
LABEL_COLUMNS = 18
BAR_COLUMNS = 24
SEES_COLUMNS = {True: 24, False: 16}
ECHO_COLUMNS = 2
"""Free at the right edge: the terminal writes ^C behind the panel, and a line that is full would
wrap, so that the panel moves and leaves a part of itself behind."""

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


STATE_STYLES = {
    "connecting": "yellow",
    "live": "green",
    "stalled": "yellow",
    "reconnecting": "yellow",
    "ended": "dim",
    "lost": "red",
}


def sources_table(sources: Sequence[SourceStatus], *, is_wide: bool) -> Table:
    """Draw one line a source; one that is not live says why in the place of what it sees."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(width=SEES_COLUMNS[is_wide], no_wrap=True, overflow="ellipsis")
    figures = ["fps", "p50 ms", "p99 ms", "dropped"] if is_wide else ["fps"]
    for _ in figures:
        table.add_column(justify="right", no_wrap=True)
    table.add_row(*(Text(head, style="dim") for head in ("source", "", "sees", *figures)))
    for source in sources:
        age, dropped = source.age, str(source.counts.dropped)
        all_figures = [f"{source.fps:.1f}", f"{age.p50_ms:.2f}", f"{age.p99_ms:.2f}", dropped]
        if not source.frames:  # an age of zero would be a lie
            all_figures[1:3] = "", ""
        state = Text(source.state, style=STATE_STYLES[source.state])
        sees = Text(
            source.problem or top_text(source.latest), style="yellow" if source.problem else ""
        )
        table.add_row(Text(source.name), state, sees, *all_figures[: len(figures)])
    return table


def problem_line(source: SourceStatus) -> Text:
    """Say why the source is not live; an empty line where it is, as lines must not come and go."""
    text = state_text(source) if source.problem else ""
    return Text(text, style="yellow", no_wrap=True, overflow="ellipsis")


def board_line(board: BoardReading | Unavailable) -> Text:
    """Draw the state of the machine, throttling first; one line, however much it tells."""
    line = Text(no_wrap=True, overflow="ellipsis")
    throttling = throttling_text(board)
    if throttling:
        line.append(f"{throttling}   ", style="bold yellow")
    return line.append(board_text(board), style="dim")


def draw_panel(snapshot: Snapshot, title: str, *, rows: int, columns: int) -> RenderableType:
    """Draw the whole panel, so many columns wide."""
    stages = stages_table(dict(snapshot.stages))
    several = len(snapshot.sources) > 1
    if several:
        guesses: Table = sources_table(snapshot.sources, is_wide=columns >= WIDE_COLUMNS)
    else:
        guesses = guesses_table(snapshot, rows)
    if columns >= WIDE_COLUMNS and not several:
        side_by_side = Table.grid(padding=(0, 3))
        side_by_side.add_row(guesses, stages)
        middle: RenderableType = side_by_side
    else:
        middle = Group(guesses, Text(), stages)
    rate = Text.assemble(
        (f"{snapshot.fps:.1f} fps", "bold"), f"   {counts_text(snapshot)}"
        f"   {snapshot.elapsed_s:.0f} s"
    )  # fmt: skip
    costs = [f"power {power_text(snapshot.power)}"]
    if energy := frame_energy_text(snapshot):
        costs.append(f"energy {energy}")
    power = Text("\n".join(costs), style="dim")
    return Panel(
        Group(
            middle,
            Text() if several else problem_line(snapshot.sources[0]),
            rate,
            power,
            board_line(snapshot.board),
        ),
        title=Text(title),
        title_align="left",
        border_style="cyan",
        width=columns,
    )


class PanelSink:
    """Redraws the panel with each snapshot; what others write to stderr goes above it.

    Args:
        console: a terminal.
        title: model, engine and source.
        rows: how many guesses to show.
    """

    def __init__(self, console: Console, title: str, rows: int) -> None:
        self._console = console
        self._title = title
        self._rows = rows
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stderr=sys.stderr.isatty(),  # what goes to a file stays there
        )
        self._live.start()

    def take_record(self, record: FrameRecord) -> None:
        """Wait for the snapshot."""

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Redraw."""
        columns = self._console.width - ECHO_COLUMNS
        panel = draw_panel(snapshot, self._title, rows=self._rows, columns=columns)
        self._live.update(panel, refresh=True)

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()
