"""`edge doctor`: what is well on this machine, what is not, and what mends it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.check import Check
    from edge.doctor.suite import Group

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
    """Look at all that edge needs on this machine, and name what mends what is not well.

    Board, JetPack, Python, heat, clocks, power, GPU, libraries, cameras, models, plans and
    settings. Each library is loaded in a process of its own, so that one that crashes is a line of
    the report. A warning means that edge goes on, but worse. Exit code 3 says that something is
    broken.

    \b
    Example:
      edge doctor
    """
    from edge import __version__
    from edge.board import SysRoot
    from edge.doctor.suite import count, run_checks
    from edge.errors import CheckFailedError

    groups = run_checks(SysRoot(root), os.environ, frozenset(_settings()))
    if as_json:
        rows = [{"group": group.title, **asdict(check)} for group in groups
                for check in group.checks]  # fmt: skip
        report = {"version": REPORT_VERSION, "edge": __version__, "checks": rows}
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        _print_table(groups)
    else:
        for line in _plain_lines(groups):
            click.echo(line)
    broken = count(groups, "broken")
    if not as_json:
        well, warned = count(groups, "ok"), count(groups, "warning")
        click.echo(f"{well} ok, {warned} warning{'' if warned == 1 else 's'}, {broken} broken")
    if broken:
        names = ", ".join(check.name for group in groups for check in group.checks
                          if check.status == "broken")  # fmt: skip
        raise CheckFailedError(
            f"doctor: broken here: {names}", hint="The report says what mends it"
        )


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


def _plain_lines(groups: list[Group]) -> Iterator[str]:
    for group in groups:
        for check in group.checks:
            mend = f". {check.mend}" if check.mend else ""
            yield f"{check.status:{STATUS_WIDTH}}{check.name}: {check.detail}{mend}"


def _print_table(groups: list[Group]) -> None:
    width = min(max(shutil.get_terminal_size().columns, LEAST_WIDTH), MOST_WIDTH)
    for group in groups:
        if group.checks:
            click.secho(group.title, bold=True)
        for check in group.checks:
            _print_check(check, width)
        if group.checks:
            click.echo()


def _print_check(check: Check, width: int) -> None:
    """Print a check in columns; a command that mends it stays on one line, to be copied."""
    indent = " " * (STATUS_WIDTH + NAME_WIDTH)
    lines = textwrap.wrap(check.detail, width - len(indent), break_on_hyphens=False)
    status = click.style(f"{check.status:{STATUS_WIDTH}}", fg=COLOURS[check.status])
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
        click.secho(f"{'':{STATUS_WIDTH}}{mend}", bold=True)
