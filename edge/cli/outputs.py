"""Where a run's results go beside the terminal: the options that say so, and their sinks."""

from __future__ import annotations

import functools
import os
from contextlib import closing
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from contextlib import ExitStack

    from edge.sinks.base import Sink
    from edge.sinks.web.address import Address
    from edge.sinks.web.state import RunInfo

    Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What was asked for; a field is the option of the same name.

    Attributes:
        json_file: a path, or - for stdout.
        show: whether a window is opened.
        web: where the live view listens, as `:8080`; None where there is none.
    """

    json_file: str | None
    show: bool
    web: Address | None

    @property
    def takes_stdout(self) -> bool:
        """Whether text for people has to go elsewhere."""
        return self.json_file == "-"


def _parse_web(_: click.Context, __: click.Parameter, word: str | None) -> Address | None:
    """Refuse what is no address before anything is opened."""
    if word is None:
        return None
    from edge.sinks.web.address import parse_address

    return parse_address(word)


OPTIONS = (
    click.option("--json", "json_file", metavar="FILE",
                 help="Write one JSON object a frame; - is stdout."),
    click.option("--show", is_flag=True, help="Open a window with the picture and its guesses."),
    click.option("--web", metavar="ADDRESS", callback=_parse_web,
                 help="Show the run in a browser: :8080 on this machine, 0.0.0.0:8080 with a"
                      " token in its network (yours, if EDGE_WEB_TOKEN has one)."),
)  # fmt: skip


def output_options(command: Command) -> Command:
    """Give a command the options of `Outputs`, and hand them over as its argument `outputs`."""

    @functools.wraps(command)
    def with_outputs(**given: Any) -> Any:  # noqa: ANN401 - Click's own arguments
        outputs = Outputs(**{field.name: given.pop(field.name) for field in fields(Outputs)})
        return command(outputs=outputs, **given)

    for option in reversed(OPTIONS):
        with_outputs = option(with_outputs)
    return with_outputs


def open_outputs(
    outputs: Outputs, stack: ExitStack, stop: threading.Event, describe: Callable[[], RunInfo]
) -> list[Sink]:
    """Open what was asked for; the stack closes it.

    Args:
        outputs: as given.
        stack: of the run.
        stop: ends the run when a person closes the window.
        describe: says what runs now; the engine may change meanwhile.

    Raises:
        EdgeError: one of them cannot be opened.
    """
    sinks: list[Sink] = []
    if outputs.json_file is not None:
        from edge.sinks.rows import JSONLinesSink

        sinks.append(stack.enter_context(closing(JSONLinesSink(outputs.json_file))))
    if outputs.show:
        from edge.sinks.window import WindowSink

        sinks.append(stack.enter_context(closing(WindowSink("edge", stop))))
    if outputs.web is not None:
        from edge.sinks.web.sink import WebSink

        token = os.environ.get("EDGE_WEB_TOKEN")
        web = stack.enter_context(closing(WebSink(outputs.web, describe, token)))
        click.echo(f"edge: live view at {web.url}", err=True)
        sinks.append(web)
    return sinks
