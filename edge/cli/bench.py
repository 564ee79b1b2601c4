"""`edge bench`: how fast a model runs here and how well that is known, and what changed since."""

from __future__ import annotations

import math
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from edge.cli.finite import FiniteRange
from edge.cli.run import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from edge.bench.bench import Request
    from edge.bench.case import Case
    from edge.camera.round_robin import RoundRobin

STDOUT = "-"
DEFAULT = "measure"
TAKEN_BY_PREDICT = ("models", "predicted", "json_file", "root")


class BenchGroup(click.Group):
    """A group whose words name models where they name no command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Measure the default model where nothing is said."""
        return super().parse_args(ctx, args or [DEFAULT])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Give the command that is named, or the measurement of what is named."""
        if args[0] not in self.commands:
            args = [DEFAULT, *args]
        return super().resolve_command(ctx, args)


def parse_numbers(words: str) -> tuple[int, ...]:
    """Give whole numbers from 1 on, each once, in the order in which they are given."""
    numbers = [word.strip() for word in words.split(",")]
    if not all(number.isdecimal() and int(number) > 0 for number in numbers):
        raise click.BadParameter(f"{words!r} is no list of whole numbers, such as 1,2,4.")
    return tuple(dict.fromkeys(map(int, numbers)))


def parse_engines(words: str) -> tuple[str, ...]:
    """Give the names of engines, each once, in the order in which they are given."""
    names = tuple(dict.fromkeys(word.strip() for word in words.split(",")))
    if not all(names):
        raise click.BadParameter(f"{words!r} is no list of engines, such as openvino,onnxruntime.")
    return names


def parse_share(words: str) -> float:
    """Give a percentage, with its sign or without, as a share: 0.05 for 5%."""
    try:
        percent = float(words.removesuffix("%"))
    except ValueError:
        percent = math.nan
    if not 0 < percent <= 1000:
        raise click.BadParameter(f"{words!r} is no percentage, such as 5%.")
    return percent / 100


@click.group(
    cls=BenchGroup,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def bench() -> None:
    """Measure how fast models run here, and compare two measurements.

    `edge bench MODEL` is `edge bench measure MODEL`.

    \b
    Example:
      edge bench measure squeezenet8-int8 --seconds 10 --json before.json
      edge bench diff before.json after.json
    """


@bench.command()
@click.argument("models", metavar="[MODEL]...", nargs=-1)
@click.option("--engine", "engines", type=parse_engines, default="auto", show_default=True,
              envvar="EDGE_ENGINE", show_envvar=True, metavar="NAME,NAME",
              help="auto, tensorrt, openvino, onnxruntime, null; several take turns.")  # fmt: skip
@click.option("--batch", "batches", type=parse_numbers, metavar="N,N", default="1",
              show_default=True,
              help="Batch sizes, where the engine takes several pictures at once.")  # fmt: skip
@click.option("--threads", type=parse_numbers, metavar="N,N",
              help="Threads of a CPU engine; else the engine's own choice.")  # fmt: skip
@click.option("--throughput", is_flag=True,
              help="Keep as many pictures in flight as the engine takes.")  # fmt: skip
@click.option("--compare", is_flag=True, help="Compare each with the first, with intervals.")
@click.option("--source", metavar="SOURCE",
              help="Run the whole camera loop too: demo, a video, a folder, a camera.")  # fmt: skip
@click.option("--layers", is_flag=True, help="Time each layer, where the engine can.")
@click.option("--seconds", type=FiniteRange(0, min_open=True), default=20.0,
              show_default=True,
              help="Time limit of each; it ends sooner when the goal is reached.")  # fmt: skip
@click.option("--precision-goal", "goal", type=parse_share, metavar="PERCENT", default="1%",
              show_default=True,
              help="Half the 95 % interval of the median to reach.")  # fmt: skip
@click.option("--no-start", is_flag=True, help="Do not time the start of fresh processes.")
@click.option("--json", "json_file", metavar="FILE",
              help="Write everything as JSON, raw values too; - is stdout.")  # fmt: skip
@click.option("--report", "report_folder", type=click.Path(path_type=Path), metavar="FOLDER",
              help="Write a page with plots, and the plots.")  # fmt: skip
@click.option("--predict", "predicted", metavar="BOARD",
              help="Measure nothing: give a Jetson's bound on paper, say orin-nano.")  # fmt: skip
@click.option(
    "--root", type=click.Path(path_type=Path), default="/", envvar="EDGE_ROOT", hidden=True
)
def measure(
    models: tuple[str, ...],
    engines: tuple[str, ...],
    batches: tuple[int, ...],
    threads: tuple[int, ...] | None,
    throughput: bool,
    compare: bool,
    source: str | None,
    layers: bool,
    seconds: float,
    goal: float,
    no_start: bool,
    json_file: str | None,
    report_folder: Path | None,
    predicted: str | None,
    root: Path,
) -> None:
    """Measure each MODEL on each engine, taking turns.

    The engine alone is timed, its input in place, until the 95 % interval of the median is as
    narrow as the goal or the time is over. What speaks against the figures is listed. MODEL is
    squeezenet8-int8 by default.

    \b
    Example:
      edge bench measure squeezenet8-int8 squeezenet8 --compare --seconds 5
      edge bench measure squeezenet8-int8 --predict orin-nano
    """
    from edge.bench.bench import Request
    from edge.bench.measure import Options
    from edge.board import SysRoot
    from edge.cli.bench_cases import Sweep, bounds_here, layer_openers, list_cases
    from edge.files import check_target, check_target_folder
    from edge.report import check_plotting

    models = tuple(dict.fromkeys(models or (DEFAULT_MODEL,)))
    if json_file not in {None, STDOUT}:
        check_target(Path(str(json_file)))
    if predicted is not None:
        _refuse_beside_predict()
        _predict(models, predicted, json_file)
        return
    if report_folder is not None:
        check_plotting()
        check_target_folder(report_folder)
    sweep = Sweep(
        models=models,
        engines=engines,
        batches=batches,
        threads=threads or (None,),
        aim="throughput" if throughput else "latency",
        root=SysRoot(root),
    )
    cases = list_cases(sweep)
    text = sys.stderr if json_file == STDOUT else sys.stdout
    with _telling() as tell:
        request = Request(
            root=sweep.root,
            options=Options(seconds=seconds, precision_goal=goal, tell=tell),
            starts=not no_start,
            layers=layer_openers(sweep) if layers else {},
            open_sources=_source_opener(source),
            bounds=bounds_here(sweep),
        )
        _measure(cases, request, _Outputs(text, json_file, report_folder, compare))


@dataclass(frozen=True, slots=True)
class _Outputs:
    """Where the figures go, and whether cases are compared there."""

    text: TextIO
    json_file: str | None
    folder: Path | None
    compares: bool


def _measure(cases: list[Case], request: Request, outputs: _Outputs) -> None:
    from edge.bench.bench import bench as run_bench
    from edge.bench.document import to_json
    from edge.cli.bench_text import print_ratios, print_report

    report = run_bench(cases, request)
    try:
        print_report(report, outputs.text)
        if outputs.compares:
            print_ratios(report.measured, outputs.text)
    finally:  # a reader of the text that went away takes nothing else along
        _keep(to_json(report), outputs.json_file)
    if outputs.folder is not None:
        from edge.bench.page import make_page

        page = make_page(report).write(outputs.folder)
        click.echo(f"{page}: the report", file=outputs.text)
    if report.measured.interrupted:
        raise KeyboardInterrupt  # all is written; the exit code says what befell it


def _keep(text: str, file: str | None) -> None:
    from edge.files import write_atomic

    if file == STDOUT:
        click.echo(text, nl=False)
    elif file is not None:
        write_atomic(Path(file), text.encode())


def _refuse_beside_predict() -> None:
    """Refuse options that say how to measure, of which a bound would take no notice."""
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        if given and option.name not in TAKEN_BY_PREDICT:
            raise click.UsageError(f"--predict measures nothing, so {option.opts[0]} says nothing.")


def _predict(models: tuple[str, ...], board: str, json_file: str | None) -> None:
    from edge.bench.document import bounds_to_json
    from edge.bench.limits import find_limits
    from edge.bench.roofline import bound
    from edge.cli.bench_text import print_bound
    from edge.model.onnx_file import load_model
    from edge.model.zoo import resolve_model

    limits = find_limits(board)
    networks = {name: load_model(resolve_model(name)) for name in models}
    bounds = {name: bound(one, limits, is_int8=one.is_int8) for name, one in networks.items()}
    for name, found in bounds.items():
        print_bound(name, found, sys.stderr if json_file == STDOUT else sys.stdout)
    _keep(bounds_to_json(bounds), json_file)


def _source_opener(source: str | None) -> Callable[[], RoundRobin] | None:
    if source is None:
        return None
    from edge.camera.url import parse_source
    from edge.cli.sources import open_sources

    return partial(open_sources, [parse_source(source)], realtime=False)


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is being done, in one line that goes again."""
    if not sys.stderr.isatty():
        yield lambda _words: None
        return
    try:
        yield lambda words: click.echo(f"\r\x1b[K{words} ...", nl=False, err=True)
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)


@bench.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--fail-over", type=parse_share, metavar="PERCENT",
              help="Exit with 3 where something became slower by more than this.")  # fmt: skip
def diff(before: Path, after: Path, fail_over: float | None) -> None:
    """Say what changed from BEFORE to AFTER, and whether it is more than noise.

    Both are files that `edge bench measure --json` wrote.

    \b
    Example:
      edge bench diff before.json after.json --fail-over 5%
    """
    from edge.bench.diff import diff as compare
    from edge.bench.document import read_kept
    from edge.cli.bench_text import print_diff
    from edge.errors import CheckFailedError, InputError

    kept = read_kept(before), read_kept(after)
    found = compare(*kept)
    if not found.ratios:
        raise InputError(
            f"{before} and {after}: have no case in common",
            hint="Measure the same models, engines, batches and threads",
        )
    print_diff(found, kept, fail_over, sys.stdout)
    slower = found.regressions(fail_over) if fail_over is not None else ()
    if slower:
        raise CheckFailedError(
            f"{after}: slower by more than {fail_over:.0%}: {', '.join(slower)}",
            hint="The table says by how much",
        )
