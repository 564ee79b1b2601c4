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

    Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What was asked for; a field is the option of the same name.

    Attributes:
        json_file: a path, or - for stdout.
        show: whether a window is opened.
        mqtt: the address of a broker.
    """

    json_file: str | None
    show: bool
    mqtt: str | None

    @property
    def takes_stdout(self) -> bool:
        """Whether text for people has to go elsewhere."""
        return self.json_file == "-"


OPTIONS = (
    click.option("--json", "json_file", metavar="FILE",
                 help="Write one JSON object a frame; - is stdout."),
    click.option("--show", is_flag=True, help="Open a window with the picture and its guesses."),
    click.option("--mqtt", metavar="URL", envvar="EDGE_MQTT", show_envvar=True,
                 help="Publish to a broker, mqtt://host/topic or mqtts://host/topic."),
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


def open_outputs(outputs: Outputs, stack: ExitStack, stop: threading.Event) -> list[Sink]:
    """Open what was asked for, by options or by systemd; the stack closes it.

    Args:
        outputs: as given.
        stack: of the run.
        stop: ends the run when a person closes the window.

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
    if outputs.mqtt is not None:
        from edge.sinks.mqtt import MQTTSink
        from edge.sinks.mqtt_url import parse_broker

        broker = parse_broker(outputs.mqtt, os.environ)
        sinks.append(stack.enter_context(closing(MQTTSink(broker))))
    if os.environ.get("NOTIFY_SOCKET"):
        from edge.sinks.systemd import SystemdSink

        sinks.append(stack.enter_context(closing(SystemdSink(os.environ["NOTIFY_SOCKET"]))))
    return sinks
