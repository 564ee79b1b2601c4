"""`edge power`: what this machine draws now, or what a log of tegrastats comes to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from edge.cli.finite import FiniteRange

if TYPE_CHECKING:
    from edge.telemetry.power import PowerFrom

OF_A_LOG = {"interval_ms": "--interval", "report": "--report"}
OF_THIS_MACHINE = {"watch": "--watch", "power_from": "--power", "hz": "--hz"}
"""Options by the name of their parameter."""


@click.command()
@click.option("--watch", is_flag=True, help="Go on until Ctrl-C: a table, or a line per second.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON; one object per line with --watch."
)
@click.option("--power", "power_from", type=click.Choice(["auto", "tegrastats"]), default="auto",
              show_default=True,
              help="Who reads it: edge from kernel and drivers, or tegrastats.")  # fmt: skip
@click.option("--hz", type=FiniteRange(1, 100), metavar="HZ",
              help="Samples per second; by default 20, with tegrastats 10.")  # fmt: skip
@click.option("--log", "log_file", metavar="FILE",
              help="Sum up a log of tegrastats instead; - is stdin.")  # fmt: skip
@click.option("--interval", "interval_ms", type=click.IntRange(1), default=1000,
              show_default=True, metavar="MS",
              help="Time between lines of a log without time stamps.")  # fmt: skip
@click.option("--report", type=click.Path(path_type=Path), metavar="DIR",
              help="Write a page with the curves of a log.")  # fmt: skip
@click.option(
    "--root", type=click.Path(path_type=Path), default="/", envvar="EDGE_ROOT", hidden=True
)
def power(
    watch: bool,
    as_json: bool,
    power_from: PowerFrom,
    hz: float | None,
    log_file: str | None,
    interval_ms: int,
    report: Path | None,
    root: Path,
) -> None:
    """Read the power of this machine, or sum up a log of tegrastats.

    All rails are read; the output says which of them make the total, what the energy may be off
    by, and what the sampling itself takes. A log gives the same, and the heat and the load.

    \b
    Example:
      edge power
      edge power --watch
      edge power --log tegrastats.log --report curves
    """
    _check_together(is_log=log_file is not None)
    if log_file is not None:
        from edge.cli.power_log import print_log

        print_log(log_file, interval_ms, report, as_json=as_json)
        return
    from edge.board import SysRoot
    from edge.cli.power_live import print_once, print_until_stopped
    from edge.cli.signals import stopped_by_signals
    from edge.telemetry.power import PowerSampler

    with (
        stopped_by_signals() as stop,
        PowerSampler(SysRoot(root), source=power_from, hz=hz) as sampler,
    ):
        if watch:
            print_until_stopped(sampler, stop, as_json=as_json)
        else:
            print_once(sampler, as_json=as_json)


def _check_together(*, is_log: bool) -> None:
    """Refuse an option that would not be obeyed.

    Raises:
        click.UsageError: it is of a log where there is none, or of this machine beside one.
    """
    if is_log:
        refused, why = OF_THIS_MACHINE, "reads this machine; it does not go with --log"
    else:
        refused, why = OF_A_LOG, "is of a log; give one with --log"
    context = click.get_current_context()
    for name, option in refused.items():
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option} {why}.")
