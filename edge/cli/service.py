"""`edge service`: `edge run` at boot, as a service of systemd."""

from __future__ import annotations

import json
import os
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.board import SysRoot
from edge.errors import CheckFailedError, InputError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

STATUS_VERSION = 1

root_option = click.option(
    "--root", type=click.Path(path_type=Path), default="/", envvar="EDGE_ROOT", hidden=True
)


@click.group()
def service() -> None:
    """Run edge at boot, as a systemd service.

    \b
    Example:
      edge service install -- rtsp://user:password@host/path --mqtt mqtt://host/yard
      edge service status
    """


@service.command()
@click.argument("words", metavar="[--] SOURCE... [OPTIONS]", nargs=-1, type=click.UNPROCESSED)
@click.option("--print", "as_text", is_flag=True, help="Print the unit, and change nothing.")
@root_option
def install(words: tuple[str, ...], as_text: bool, root: Path) -> None:
    """Install the service, or bring it up to date, and start it.

    What follows -- is what `edge run` gets. It lies with its passwords in /etc/edge/edge.env, which
    only root reads; without any, the arguments there stay as they are. The service is a user of its
    own that sees cameras, GPU and network, and nothing of anybody's home but edge itself.

    \b
    Example:
      edge service install --print -- demo
    """
    from edge.cli.service_arguments import absolute_arguments, unit_options
    from edge.service.settings import format_settings, parse_settings
    from edge.service.systemd import check_systemd, install_service, is_live, read_settings
    from edge.service.unit import unit_text

    at = SysRoot(root)
    if not as_text:
        check_systemd(at)
        _check_root(at, "install", words)
    before = None if as_text and words else read_settings(at)
    if before is None and not words:
        raise InputError(
            "edge service install: nothing says what to run",
            hint="Give it as in: edge service install -- demo",
        )
    given = absolute_arguments(words) if words else parse_settings(before or "")
    unit = unit_text(unit_options(at, given))
    if as_text:
        click.echo(unit, nl=False)
        return
    settings = format_settings(given, before) if words or before is None else before
    is_new = install_service(at, unit, settings)
    did = "installed" if is_new else "is up to date"
    starts = "Look at it with: edge service status" if is_live(at) else "It starts at the next boot"
    click.echo(f"edge.service: {did}. {starts}")


@service.command()
@root_option
def remove(root: Path) -> None:
    """Stop the service, and remove it with its settings and its folders.

    \b
    Example:
      edge service remove
    """
    from edge.service.systemd import check_systemd, remove_service

    at = SysRoot(root)
    check_systemd(at)
    _check_root(at, "remove", ())
    was_here = remove_service(at)
    click.echo(f"edge.service: {'removed' if was_here else 'was not installed'}")


@service.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@root_option
def status(as_json: bool, root: Path) -> None:
    """Show the state of the service; exit code 3 if it is not active.

    \b
    Example:
      edge service status
    """
    from edge.service.systemd import check_systemd, read_status

    at = SysRoot(root)
    check_systemd(at)
    found = read_status(at)
    if as_json:
        click.echo(json.dumps({"version": STATUS_VERSION, **asdict(found)}, indent=2))
    elif found.installed:
        since = f" since {found.since}" if found.active and found.since else ""
        boot = "starts at boot" if found.enabled else "does not start at boot"
        click.echo(f"edge.service: {found.state}{since}, {found.restarts} restarts, {boot}")
        if found.text:
            click.echo(f"  {found.text}")
        click.echo("  log: journalctl -u edge -n 20")
    if not found.installed:
        raise CheckFailedError(
            "edge.service: not installed",
            hint=f"Install it with: sudo {sys.executable} -m edge service install -- SOURCE",
        )
    if not found.active:
        why = f" ({found.result})" if found.result not in {"", "success"} else ""
        raise CheckFailedError(
            f"edge.service: not active{why}", hint="See: journalctl -u edge -n 20"
        )


@service.command("exec", hidden=True)
def exec_command() -> None:
    """Be the service: `edge run` with the arguments of its settings.

    \b
    Example:
      edge service exec
    """
    from edge.cli.run import run
    from edge.service.settings import read_words

    # Not as arguments of a process: `ps` would show the passwords to everyone.
    run.main(args=read_words(os.environ), prog_name="edge run", standalone_mode=False)


def _check_root(root: SysRoot, command: str, words: Sequence[str]) -> None:
    from edge.camera.url import redact
    from edge.service.systemd import is_live

    if os.geteuid() == 0 or not is_live(root):
        return
    again = [sys.executable, "-m", "edge", "service", command]
    told = [redact(word) for word in words]
    if words:
        again += ["--", *told]
    secret = "" if told == list(words) else "Put the password back that is left out here. "
    raise UnavailableError(
        f"edge service {command}: only root may", hint=f"{secret}Run: sudo {shlex.join(again)}"
    )
