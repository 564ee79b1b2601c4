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

    from edge.record import RunInfo
    from edge.sinks.address import Address
    from edge.sinks.background import BackgroundLines
    from edge.sinks.base import Sink
    from edge.sinks.line_file import Rotation

    Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What was asked for; a field is the option of the same name.

    Attributes:
        json_file: a path, or - for stdout.
        csv_file: the same.
        rotate: size of those files and how many old ones are kept.
        metrics: where Prometheus is answered.
        show: whether a window is opened.
        mqtt: the address of a broker.
        web: where the live view listens, as `:8080`; None where there is none.
    """

    json_file: str | None
    csv_file: str | None
    rotate: Rotation | None
    metrics: Address | None
    show: bool
    mqtt: str | None
    web: Address | None

    @property
    def takes_stdout(self) -> bool:
        """Whether text for people has to go elsewhere."""
        return "-" in {self.json_file, self.csv_file}


def _read_rotation(_context: object, _option: object, text: str | None) -> Rotation | None:
    from edge.sinks.line_file import parse_rotation

    return None if text is None else parse_rotation(text)


def _read_metrics(_context: object, _option: object, text: str | None) -> Address | None:
    from edge.sinks.address import parse_address

    return None if text is None else parse_address(text, "--metrics")


def _read_web(_context: object, _option: object, text: str | None) -> Address | None:
    from edge.sinks.address import parse_address

    return None if text is None else parse_address(text, "--web")


OPTIONS = (
    click.option("--json", "json_file", metavar="FILE",
                 help="Write one JSON object per frame; - is stdout."),
    click.option("--csv", "csv_file", metavar="FILE",
                 help="Write one CSV row per frame, with its best guess; - is stdout."),
    click.option("--rotate", metavar="SIZE[:KEEP]", callback=_read_rotation,
                 help="Rotate these files at this size to FILE.1, FILE.2 and so on, and keep KEEP"
                      " of those, 5 by default, as in 100MB:5."),
    click.option("--metrics", metavar="[HOST]:PORT", callback=_read_metrics,
                 help="Answer Prometheus: :9464 for this machine alone, 0.0.0.0:9464 for its"
                      " network."),
    click.option("--show", is_flag=True, help="Open a window with the picture and its guesses."),
    click.option("--mqtt", metavar="URL", envvar="EDGE_MQTT", show_envvar=True,
                 help="Publish to a broker, mqtt://host/topic or mqtts://host/topic."),
    click.option("--web", metavar="[HOST]:PORT", callback=_read_web,
                 help="Show the run in a browser: :8080 for this machine alone, 0.0.0.0:8080 for"
                      " its network, with a token (that of EDGE_WEB_TOKEN, if it is set)."),
)  # fmt: skip


def output_options(command: Command) -> Command:
    """Give a command the options of `Outputs`, and hand them over as its argument `outputs`."""

    @functools.wraps(command)
    def with_outputs(**given: Any) -> Any:  # noqa: ANN401 - Click's own arguments
        outputs = Outputs(**{field.name: given.pop(field.name) for field in fields(Outputs)})
        _check_together(outputs)
        return command(outputs=outputs, **given)

    for option in reversed(OPTIONS):
        with_outputs = option(with_outputs)
    return with_outputs


def open_outputs(
    outputs: Outputs,
    stack: ExitStack,
    stop: threading.Event,
    *,
    live: bool,
    describe: Callable[[], RunInfo],
) -> list[Sink]:
    """Open what was asked for, by options or by systemd; the stack closes it.

    Args:
        outputs: as given.
        stack: of the run.
        stop: ends the run when a person closes the window.
        live: whether frames are lost while the loop waits.
        describe: says what runs now; asked again and again, for the engine may be replaced.

    Raises:
        EdgeError: one of them cannot be opened.
    """
    sinks, threads = _open_rows(outputs, stack, live=live)
    if outputs.metrics is not None:
        from edge.sinks.prometheus import PrometheusSink

        told = PrometheusSink(
            outputs.metrics, describe, lambda: {lines.name: lines.dropped for lines in threads}
        )
        sinks.append(stack.enter_context(closing(told)))
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
    if outputs.web is not None:
        from edge.sinks.web.sink import WebSink

        token = os.environ.get("EDGE_WEB_TOKEN")
        web = stack.enter_context(closing(WebSink(outputs.web, describe, token)))
        click.echo(f"edge: live view at {web.url}", err=True)
        sinks.append(web)
    return sinks


def _open_rows(
    outputs: Outputs, stack: ExitStack, *, live: bool
) -> tuple[list[Sink], list[BackgroundLines]]:
    """Open the files of frames, and give the threads that write them too.

    A camera does not wait, so neither does the loop: a thread writes, and what does not fit is
    dropped and counted. A video or a folder waits, so the loop does too, and nothing is dropped.
    """
    from edge.sinks.background import BackgroundLines
    from edge.sinks.line_file import LineFile, Lines
    from edge.sinks.rows import RowsSink, csv_head, csv_line, json_line

    sinks: list[Sink] = []
    threads: list[BackgroundLines] = []
    for target, head, to_line in (
        (outputs.json_file, b"", json_line),
        (outputs.csv_file, csv_head(), csv_line),
    ):
        if target is None:
            continue
        lines: Lines = LineFile(target, head, outputs.rotate)
        if live:
            lines = BackgroundLines(lines, "stdout" if target == "-" else target)
            threads.append(lines)
        sinks.append(stack.enter_context(closing(RowsSink(lines, to_line))))
    return sinks, threads


def _check_together(outputs: Outputs) -> None:
    """Refuse what does not go together.

    Raises:
        InputError: two outputs share a file, or there is no file to rotate.
    """
    from edge.errors import InputError

    if outputs.json_file is not None and outputs.json_file == outputs.csv_file:
        raise InputError(
            f"--json and --csv: both write {outputs.json_file}", hint="Give each its own file"
        )
    files = {outputs.json_file, outputs.csv_file} - {None, "-"}
    if outputs.rotate is not None and not files:
        raise InputError(
            "--rotate: there is no file to rotate", hint="Give one with --json or --csv"
        )
