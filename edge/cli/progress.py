"""Progress of long work: a bar on a terminal; elsewhere nothing, or a line a tenth."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import ProgressColumn, TaskID

TENTHS = 10


@contextmanager
def phases() -> Iterator[Callable[[str, int, int], None]]:
    """Show one bar a phase on stderr; gives the function to call with (phase, done, total)."""
    from rich.progress import MofNCompleteColumn, TimeElapsedColumn

    with _bars(MofNCompleteColumn(), TimeElapsedColumn()) as show:
        yield show


@contextmanager
def counting(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while counting up to `total`; gives the function to call."""
    with phases() as show:
        yield lambda done: show(title, done, total)


@contextmanager
def steps(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr like `counting`; where that is no terminal, a line for each tenth."""
    if sys.stderr.isatty():
        with counting(title, total) as show:
            yield show
        return

    def say(done: int) -> None:
        if done * TENTHS // total > (done - 1) * TENTHS // total:
            print(f"edge: {title} {done} of {total}", file=sys.stderr)

    yield say


@contextmanager
def downloading(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show bytes, rate and time left on stderr; gives the function to call."""
    from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    with _bars(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()) as show:
        yield lambda done, total: show(title, done, total)


@contextmanager
def _bars(*columns: ProgressColumn) -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _title, _done, _total: None
        return
    title = TextColumn("{task.description}")
    with Progress(title, BarColumn(), *columns, console=console, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def show(title: str, done: int, total: int) -> None:
            if title not in tasks:
                tasks[title] = progress.add_task(title, total=total)
            progress.update(tasks[title], completed=done)

        yield show
