"""`edge selftest`: what of edge works on this machine, check by check."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from typing import TextIO

    from edge.selftest.check import Check
    from edge.selftest.suite import Report

NAME_WIDTH, STATUS_WIDTH = 24, 11
LEAST_WIDTH, MOST_WIDTH = 60, 110
STDOUT = "-"


@click.command()
@click.option("--engine", default="auto", show_default=True, envvar="EDGE_ENGINE",
              show_envvar=True, help="auto, tensorrt or openvino.")  # fmt: skip
@click.option("--json", "json_file", metavar="FILE",
              help="Write the whole report as JSON; - is stdout.")  # fmt: skip
@click.option(
    "--root", type=click.Path(path_type=Path), default="/", envvar="EDGE_ROOT", hidden=True
)
def selftest(engine: str, json_file: str | None, root: Path) -> None:
    """Test every bundled model, the engine, the camera and the power rails on this machine.

    With TensorRT and a GPU each model is built in every precision into a temporary folder, which
    takes minutes; elsewhere the CPU engine runs. What this machine cannot test is called not
    tested. Exit code 3: a check failed.

    \b
    Example:
      edge selftest --json selftest.json
    """
    from edge.board import SysRoot
    from edge.errors import CheckFailedError
    from edge.files import check_target, write_atomic
    from edge.selftest.suite import Tell, run_selftest

    if json_file is not None and json_file != STDOUT:
        check_target(Path(json_file))
    table = _Table(sys.stderr if json_file == STDOUT else sys.stdout)
    report = run_selftest(engine, SysRoot(root), Tell(table.start, table.add))
    click.echo("\n".join(_closing_lines(report)), file=table.text)
    if json_file == STDOUT:
        click.echo(report.to_json())
    elif json_file is not None:
        write_atomic(Path(json_file), f"{report.to_json()}\n".encode())
    failed = report.named("failed")
    if failed:
        raise CheckFailedError(
            f"selftest: {len(failed)} of {len(report.checks)} checks failed: {', '.join(failed)}",
            hint="The table says why",
        )


class _Table:
    """Prints a row when its check is done; a terminal also sees which one runs."""

    def __init__(self, text: TextIO) -> None:
        self.text = text
        width = min(max(shutil.get_terminal_size().columns, LEAST_WIDTH), MOST_WIDTH)
        self._detail_width = width - NAME_WIDTH - STATUS_WIDTH

    def start(self, name: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"{name} ...", nl=False, err=True)

    def add(self, check: Check) -> None:
        if sys.stderr.isatty():
            click.echo("\r\x1b[K", nl=False, err=True)
        details = textwrap.wrap(check.detail, self._detail_width) or [""]
        head = f"{check.name:{NAME_WIDTH}}{check.status:{STATUS_WIDTH}}"
        for start, detail in zip([head, *[""] * len(details)], details, strict=False):
            click.echo(f"{start:{NAME_WIDTH + STATUS_WIDTH}}{detail}".rstrip(), file=self.text)


def _closing_lines(report: Report) -> list[str]:
    counts = ", ".join(
        f"{len(report.named(status))} {status}" for status in ("passed", "failed", "not tested")
    )
    ran = report.ran
    if ran is None:
        where = "No network ran."
    else:
        name = f"{ran.engine} {ran.version}" if ran.version else ran.engine
        where = f"The networks ran with {name} on {ran.device}."
        if not ran.on_gpu:
            where += " That is the CPU: nothing here was proven or timed on a GPU."
    missing = ", ".join(report.named("not tested"))
    untested = f"Not tested here: {missing}." if missing else "Everything was tested."
    width = min(max(shutil.get_terminal_size().columns, LEAST_WIDTH), MOST_WIDTH)
    return ["", counts, *textwrap.wrap(where, width), *textwrap.wrap(untested, width)]
