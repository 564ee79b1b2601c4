"""`edge run`: a source goes through the network, live, and what it costs is shown."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from dataclasses import astuple
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

from edge import __version__
from edge.board import SysRoot
from edge.cli.finite import FiniteRange
from edge.cli.outputs import Outputs, open_outputs, output_options, take_ports

if TYPE_CHECKING:
    from typing import TextIO

    from edge.camera.round_robin import RoundRobin
    from edge.engine.base import Engine
    from edge.loop import LoopOptions
    from edge.model.contract import Contract
    from edge.record import SourceStatus, Summary
    from edge.sinks.base import Sink
    from edge.telemetry.power import PowerFrom

DEFAULT_MODEL = "squeezenet8-int8"


@click.command()
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.option("--model", default=DEFAULT_MODEL, show_default=True, envvar="EDGE_MODEL",
              show_envvar=True,
              help="Plan, ONNX with a contract, or a name of `edge models list`.")  # fmt: skip
@click.option("--engine", default="auto", show_default=True, envvar="EDGE_ENGINE",
              show_envvar=True,
              help="auto, tensorrt, openvino, onnxruntime or null.")  # fmt: skip
@click.option("--throughput", is_flag=True,
              help="Aim at frames per second, not at the latency of each.")  # fmt: skip
@click.option("--realtime", is_flag=True,
              help="Play a video at its own speed, as a camera would.")  # fmt: skip
@click.option("--rebuild", is_flag=True, help="Build the plan again even if it fits.")
@click.option("--seconds", type=FiniteRange(0, min_open=True),
              help="Stop after this long; else at the source's end or Ctrl-C.")  # fmt: skip
@click.option("--top", "top_k", type=click.IntRange(1), default=5, show_default=True,
              help="Guesses per frame.")  # fmt: skip
@click.option("--power", "power_from", type=click.Choice(["auto", "tegrastats"]),
              default="auto", show_default=True,
              help="Who reads power: edge from kernel and drivers, or tegrastats.")  # fmt: skip
@click.option("--idle", "idle_s", type=FiniteRange(0, 600), default=0.0, metavar="SECONDS",
              help="Measure idle power for this long before the run, and report the energy above it"
                   " too.")  # fmt: skip
@output_options
@click.option(
    "--root", type=click.Path(path_type=Path), default="/", envvar="EDGE_ROOT", hidden=True
)
def run(
    sources: tuple[str, ...],
    model: str,
    engine: str,
    throughput: bool,
    realtime: bool,
    rebuild: bool,
    seconds: float | None,
    top_k: int,
    power_from: PowerFrom,
    idle_s: float,
    outputs: Outputs,
    root: Path,
) -> None:
    """Classify what each SOURCE shows, several at once if you like.

    \b
    demo                                photographs, to try edge without a camera
    0, /dev/video0                      a USB camera
    v4l2:///dev/video0?format=MJPG&size=1280x720&fps=30
    csi://0?size=1920x1080&fps=30       a camera on a Jetson's CSI connector
    rtsp://user:password@host/path      #transport=udp&decoder=gstreamer&latency=100
    http://host/stream                  an MJPEG stream
    drive.mp4, photo.jpg, folder, 'night/*.jpg'
    gst:'videotestsrc is-live=true'     any GStreamer pipeline

    A camera that is lost is opened again until it comes back. On a terminal a live panel shows the
    guesses, the latency and the power; elsewhere one plain line per second. Ctrl-C ends the run
    with its summary.

    \b
    Example:
      edge run demo --seconds 10
    """
    from edge.camera.url import parse_source
    from edge.cli.asked import Asked
    from edge.cli.engine import open_asked, open_on_cpu
    from edge.cli.signals import stopped_by_signals
    from edge.cli.sources import open_sources
    from edge.engine.base import AUTO, TENSORRT
    from edge.errors import EngineLostError
    from edge.loop import LoopOptions
    from edge.record import RunInfo
    from edge.telemetry.board_state import BoardSampler
    from edge.telemetry.power import PowerSampler

    urls = [parse_source(source) for source in sources]
    asked = Asked(model, engine, rebuild, SysRoot(root), "throughput" if throughput else "latency")
    with ExitStack() as stack:
        ports = stack.enter_context(take_ports(outputs))
        ready = stack.enter_context(ExitStack())
        opened, contract = ready.enter_context(open_asked(asked))
        power = stack.enter_context(PowerSampler(SysRoot(root), source=power_from))
        if idle_s and not power.over:  # before a camera is opened, as some run from then on
            click.echo(f"edge: measuring the idle power for {idle_s:g} s", err=True)
            power.measure_idle(idle_s, Event())
        played = open_sources(urls, realtime=realtime)
        # Not earlier: a plan that is built, or a camera that is awaited, would not see the event.
        stop = stack.enter_context(stopped_by_signals())
        stack.enter_context(played)  # before what can be refused, so that it is closed then
        sinks = open_outputs(
            outputs, ports, stack, stop, live=played.live,
            describe=lambda: RunInfo(
                _what(played), contract.name, opened.info.name, top_k, __version__
            ),
        )  # fmt: skip
        board = stack.enter_context(BoardSampler(SysRoot(root)))
        options = LoopOptions(
            read_power=power.read, read_board=board.read, top_k=top_k, seconds=seconds, stop=stop
        )
        text = sys.stderr if outputs.takes_stdout else sys.stdout
        power.start_over()
        try:
            summary = _classify(played, opened, contract, sinks, text, options)
        except EngineLostError as error:
            if engine != AUTO or opened.info.name != TENSORRT:
                raise
            ready.close()
            opened, contract = ready.enter_context(open_on_cpu(asked, error))
            power.start_over()
            summary = _classify(played, opened, contract, sinks, text, options)
    if summary.lost is not None:
        raise summary.lost


def _classify(
    played: RoundRobin,
    engine: Engine,
    contract: Contract,
    sinks: list[Sink],
    text: TextIO,
    options: LoopOptions,
) -> Summary:
    """Run the loop under its title, and print its summary."""
    from edge.loop import run_loop
    from edge.sinks.base import tell_summary

    title = f"{_what(played)} · {contract.name} · {engine.info.name}"
    with closing(_open_text(text, title, options.top_k)) as live:
        summary = run_loop(played, engine, contract, [*sinks, live], options)
        tell_summary(sinks, summary)
    click.echo(summary_text(summary, title), file=text)
    return summary


def _what(played: RoundRobin) -> str:
    names = [capture.name for capture in played.captures]
    return names[0] if len(names) == 1 else f"{len(names)} sources"


def _open_text(text: TextIO, title: str, top_k: int) -> Sink:
    """Give the live panel on a terminal, plain lines elsewhere."""
    if text.isatty():
        from rich.console import Console

        from edge.sinks.panel import PanelSink

        return PanelSink(Console(file=text), title, top_k)
    from edge.sinks.lines import LinesSink

    return LinesSink(text)


def summary_text(summary: Summary, title: str) -> str:
    """Give the lines that a run ends with."""
    from edge.record import BoardReading
    from edge.sinks.text import (
        STAGE_TITLES,
        board_summary_text,
        counts_text,
        frame_energy_text,
        power_text,
    )

    final = summary.final
    lines = [
        title,
        f"  {counts_text(final)} in {final.elapsed_s:.1f} s, {final.fps:.1f} fps",
    ]
    if final.frames:
        lines.append(f"  {'latency in ms':14}{'p50':>8}{'p90':>9}{'p99':>9}{'p99.9':>9}{'max':>9}")
        for name, stage in final.stages.items():
            figures = " ".join(f"{ms:8.2f}" for ms in astuple(stage))
            lines.append(f"    {STAGE_TITLES[name]:12}{figures}")
    lines.append(f"  power {power_text(final.power)}")
    if energy := frame_energy_text(final):
        lines.append(f"  energy {energy}")
    if isinstance(final.board, BoardReading):
        lines.append(f"  {board_summary_text(final.board, summary.max_temperatures_c)}")
    if len(final.sources) > 1:
        lines += [f"  {_source_text(source)}" for source in final.sources]
    lines += [
        f"  {seen.what}: {seen.label} in {seen.share:.0%} of {seen.frames} frames"
        for seen in summary.seen
    ]
    return "\n".join(lines)


def _source_text(source: SourceStatus) -> str:
    from edge.sinks.text import source_counts_text, state_text

    text = f"{source.name}: {state_text(source)}; {source_counts_text(source)}"
    if not source.frames:
        return text
    return f"{text}, end to end p50 {source.age.p50_ms:.2f} p99 {source.age.p99_ms:.2f} ms"
