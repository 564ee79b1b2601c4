"""Where a run's results go beside the terminal: the options that say so, and their sinks."""

from __future__ import annotations

import functools
import os
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from edge.record import RunInfo
    from edge.sinks.address import Address
    from edge.sinks.background import BackgroundLines
    from edge.sinks.base import Sink
    from edge.sinks.line_file import Rotation
    from edge.sinks.listening import Port
    from edge.sinks.mqtt_url import Broker

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
        mqtt: a broker.
        web: where the live view listens, as `:8080`; None where there is none.
    """

    json_file: str | None
    csv_file: str | None
    rotate: Rotation | None
    metrics: Address | None
    show: bool
    mqtt: Broker | None
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


def _read_broker(_context: object, _option: object, text: str | None) -> Broker | None:
    from edge.sinks.mqtt_url import parse_broker

    return None if text is None else parse_broker(text, os.environ)


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
                 callback=_read_broker,
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


@dataclass(frozen=True, slots=True)
class Ports:
    """What the servers among the outputs listen on; a field is the option of the same name."""

    metrics: Port | None
    web: Port | None


@contextmanager
def take_ports(outputs: Outputs) -> Iterator[Ports]:
    """Take the ports that were asked for, for the length of a `with` block.

    Early, for a plan that is built may take minutes, and a port that is taken ends all.

    Raises:
        InputError: one cannot be had.
    """
    from edge.sinks.listening import listen

    with ExitStack() as stack:

        def take(address: Address | None, option: str) -> Port | None:
            if address is None:
                return None
            return stack.enter_context(closing(listen(address, option)))

        yield Ports(take(outputs.metrics, "--metrics"), take(outputs.web, "--web"))


def open_outputs(
    outputs: Outputs,
    ports: Ports,
    stack: ExitStack,
    stop: threading.Event,
    *,
    live: bool,
    describe: Callable[[], RunInfo],
) -> list[Sink]:
    """Open what was asked for, by options or by systemd; the stack closes it.

    Args:
        outputs: as given.
        ports: of them.
        stack: of the run.
        stop: ends the run when a person closes the window.
        live: whether frames are lost while the loop waits.
        describe: says what runs now; asked again and again, for the engine may be replaced.

    Raises:
        EdgeError: one of them cannot be opened.
    """
    sinks: list[Sink] = []
    if outputs.show:
        from edge.sinks.window import WindowSink

        sinks.append(stack.enter_context(closing(WindowSink("edge", stop))))
    if outputs.mqtt is not None:
        from edge.sinks.mqtt import MQTTSink

        sinks.append(stack.enter_context(closing(MQTTSink(outputs.mqtt))))
    if os.environ.get("NOTIFY_SOCKET"):
        from edge.sinks.systemd import SystemdSink

        sinks.append(stack.enter_context(closing(SystemdSink(os.environ["NOTIFY_SOCKET"]))))
    if ports.web is not None:
        from edge.sinks.web.sink import WebSink

        token = os.environ.get("EDGE_WEB_TOKEN")
        web = stack.enter_context(closing(WebSink(ports.web, describe, token)))
        click.echo(f"edge: live view at {web.url}", err=True)
        sinks.append(web)
    # Last: they replace files of an earlier run, which a refusal of the others must not cost.
    rows, threads = _open_rows(outputs, stack, live=live)
    sinks += rows
    if ports.metrics is not None:
        from edge.sinks.prometheus import PrometheusSink

        told = PrometheusSink(
            ports.metrics, describe, lambda: {lines.name: lines.dropped for lines in threads}
        )
        sinks.append(stack.enter_context(closing(told)))
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

    given = [file for file in (outputs.json_file, outputs.csv_file) if file is not None]
    if len({"-" if file == "-" else Path(file).absolute() for file in given}) < len(given):
        raise InputError(
            f"--json and --csv: both write {outputs.json_file}", hint="Give each its own file"
        )
    if outputs.rotate is not None and set(given) <= {"-"}:
        raise InputError(
            "--rotate: there is no file to rotate", hint="Give one with --json or --csv"
        )
