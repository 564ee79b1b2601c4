"""The options that decide how an fp32 network becomes INT8, of every command that makes one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., Any]


def quant_options(command: Command) -> Command:
    """Give a command the arguments `fast`, `symmetric` and `keep_float`."""
    fast = click.option(
        "--fast", is_flag=True, help="Quantise in a third of the time, a little less exactly."
    )
    symmetric = click.option(
        "--symmetric",
        is_flag=True,
        help="128 levels behind a ReLU in the place of 256, for a builder without fast kernels for"
        " the shifted form.",
    )
    keep_float = click.option(
        "--keep-float",
        metavar="LAYER",
        multiple=True,
        help="Convolution that is not to be quantised; may be given again.",
    )
    return fast(symmetric(keep_float(command)))
