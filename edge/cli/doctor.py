"""`edge doctor`: what is well on this machine, what is not, and what mends it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.check import Check

REPORT_VERSION = 1
STATUS_WIDTH, NAME_WIDTH = 9, 18
LEAST_WIDTH, MOST_WIDTH = 50, 110
COMMANDS_BEGIN = ("Run: ", "Install it with: ")
COLOURS = {"ok": "green", "warning": "yellow", "broken": "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--root", type=click.Path(path_type=Path), default="/", envvar="EDGE_ROOT", hidden=True
)
def doctor(as_json: bool, root: Path) -> None:
    """Check what edge needs on this machine, and name the fix for what is wrong.

    Board, JetPack, Python, heat, clocks, power, GPU, libraries, cameras, models, plans and
    settings. Each library is loaded in a process of its own, so that one that crashes is a line of
    the report. A warning: edge works, but worse. Exit code 3: something is broken.

    \b
    Example:
      edge doctor
    """
    from edge import __version__
    from edge.board import SysRoot
    from edge.doctor.suite import run_checks
    from edge.errors import CheckFailedError

    with _waiting():
        checks = run_checks(SysRoot(root), os.environ, frozenset(_settings()))
    if as_json:
        rows = [asdict(check) for check in checks]
        report = {"version": REPORT_VERSION, "edge": __version__, "checks": rows}
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _print_report(checks)
    broken = [check.name for check in checks if check.status == "broken"]
    if broken:
        raise CheckFailedError(
            f"doctor: broken here: {', '.join(broken)}", hint="The report says what mends it"
        )


@contextmanager
def _waiting() -> Iterator[None]:
    """Tell a person at a terminal that it takes some seconds."""
    if not sys.stderr.isatty():
        yield
        return
    click.echo("looking ...", nl=False, err=True)
    try:
        yield
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)


def _settings() -> Iterator[str]:
    """Name every variable that an option of a command obeys."""
    from edge.cli.app import COMMANDS

    for target in COMMANDS.values():
        module, attribute = target.split(":")
        yield from _variables(getattr(import_module(module), attribute))


def _variables(command: click.Command) -> Iterator[str]:
    for option in command.params:
        names = option.envvar or ()
        yield from (names,) if isinstance(names, str) else names
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from _variables(inner)


def _print_report(checks: list[Check]) -> None:
    if sys.stdout.isatty():
        _print_table(checks)
    else:
        for check in checks:
            mend = f". {check.mend}" if check.mend else ""
            click.echo(f"{check.status:{STATUS_WIDTH}}{check.name}: {check.detail}{mend}")
    found = Counter(check.status for check in checks)
    warnings = f"{found['warning']} warning{'' if found['warning'] == 1 else 's'}"
    click.echo(f"{found['ok']} ok, {warnings}, {found['broken']} broken")


def _print_table(checks: list[Check]) -> None:
    width = min(max(shutil.get_terminal_size().columns, LEAST_WIDTH), MOST_WIDTH)
    for title, group in groupby(checks, key=lambda check: check.group):
        click.echo(_styled(title, bold=True))
        for check in group:
            _print_check(check, width)
        click.echo()


def _print_check(check: Check, width: int) -> None:
    """Print a check in columns; a command that mends it stays on one line, to be copied."""
    indent = " " * (STATUS_WIDTH + NAME_WIDTH)
    lines = textwrap.wrap(check.detail, width - len(indent), break_on_hyphens=False) or [""]
    status = _styled(f"{check.status:{STATUS_WIDTH}}", fg=COLOURS[check.status])
    if len(check.name) < NAME_WIDTH:
        click.echo(f"{status}{check.name:{NAME_WIDTH}}{lines[0]}")
        lines = lines[1:]
    else:
        click.echo(f"{status}{check.name}")
    for line in lines:
        click.echo(f"{indent}{line}")
    is_command = check.mend.startswith(COMMANDS_BEGIN)
    mends = [check.mend] if is_command else textwrap.wrap(check.mend, width - STATUS_WIDTH)
    for mend in filter(None, mends):
        click.echo(_styled(f"{'':{STATUS_WIDTH}}{mend}", bold=True))


def _styled(text: str, **style: Any) -> str:  # noqa: ANN401 - Click's own styles
    return text if "NO_COLOR" in os.environ else click.style(text, **style)
