"""The `edge` command: loads a command when it is used, and turns errors into one line."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from importlib import import_module
from pathlib import Path

import click

from edge import __version__
from edge.errors import CheckFailedError, EdgeError
from edge.files import explain_os_error

COMMANDS = {
    "bench": "edge.cli.bench:bench",
    "build": "edge.cli.build:build",
    "cameras": "edge.cli.cameras:cameras",
    "doctor": "edge.cli.doctor:doctor",
    "eval": "edge.cli.eval:evaluate",
    "models": "edge.cli.models:models",
    "power": "edge.cli.power:power",
    "quantize": "edge.cli.quantize:quantize",
    "run": "edge.cli.run:run",
    "selftest": "edge.cli.selftest:selftest",
    "service": "edge.cli.service:service",
}
SUMMARIES = {
    "bench": "Measure how fast models run here, and compare two measurements.",
    "build": "Build a TensorRT plan from a model.",
    "cameras": "List the cameras of this machine.",
    "doctor": "Check this machine, and name the fix for what is wrong.",
    "eval": "Measure the accuracy of a model on your pictures.",
    "models": "List, show, fetch and import models.",
    "power": "Read the power of this machine, or sum up a tegrastats log.",
    "quantize": "Turn an fp32 model into an INT8 model.",
    "run": "Classify what a camera, a video or pictures show.",
    "selftest": "Test models, engine, camera and power rails on this machine.",
    "service": "Run edge at boot, as a systemd service.",
}
EXIT_REFUSED = 1
EXIT_CHECK_FAILED = 3
EXIT_BUG = 70
EXIT_INTERRUPTED = 130
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _StderrHandler(logging.Handler):
    """Writes to what is stderr at the time: the live panel puts itself in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            print(self.format(record), file=sys.stderr)
        except (OSError, ValueError):  # it was closed
            self.handleError(record)


class LazyGroup(click.Group):
    """A group whose commands are imported when one of them is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - Click's signature
        """Name the commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in sorted(COMMANDS)])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="edge")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("-v", "--verbose", count=True, help="Say more; twice for everything.")
def app(*, debug: bool, verbose: int) -> None:  # noqa: ARG001 - main looks for --debug itself
    """Classify what a camera sees, in INT8, and know what every frame cost.

    \b
    Example:
      edge run demo --seconds 10
    """
    logging.basicConfig(
        level=LEVELS[min(verbose, 2)], format="edge: %(message)s", handlers=[_StderrHandler()]
    )


def main() -> None:
    """Run the command line and exit with its code.

    0: done. 1: what was given cannot be used, or this machine lacks something. 2: usage.
    3: it ran, and the answer is no. 70: a bug in edge. 130: interrupted. Click leaves quietly
    when a pipe's reader went away.
    """
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name may be no UTF-8
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        code = app.main(arguments, prog_name="edge", standalone_mode=False)
    except (KeyboardInterrupt, click.exceptions.Abort):
        _say("interrupted")
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        if debug and not isinstance(error, click.ClickException):
            raise
        sys.exit(_explain(error))
    sys.exit(code or 0)


def _open_closed_streams() -> None:
    """Put /dev/null in the place of what is closed (`>&-`), which Python tells by None.

    Else the next file that is opened would get its number, and what libraries print.
    """
    for name in ("stdin", "stdout", "stderr"):  # in this order each gets its own number
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - for the whole process


def _explain(error: Exception) -> int:
    """Say in one line what went wrong; gives the exit code."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, EdgeError):
        _say(str(error))
        return EXIT_CHECK_FAILED if isinstance(error, CheckFailedError) else EXIT_REFUSED
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        _say(str(explain_os_error("stdout", error)))  # files have told of theirs already
        return EXIT_REFUSED
    _say(
        f"a bug in edge ({type(error).__name__}: {error})."
        " Run it again with --debug and report what it prints."
    )
    return EXIT_BUG


def _say(text: str) -> None:
    print(f"edge: {text}", file=sys.stderr)
