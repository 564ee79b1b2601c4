"""The options that decide how an fp32 network becomes INT8, of every command that makes one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli.finite import FiniteRange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge.quant.gate import Gate
    from edge.quant.quantize import QuantOptions

    Command = Callable[..., Any]


def quant_options(command: Command) -> Command:
    """Give a command the arguments of `read_quant_options`, and `table` and `held_out`."""
    table = click.option(
        "--table",
        type=click.Path(path_type=Path),
        help="Calibration table of an earlier run, so that nothing is measured again; else the one"
        " beside the output is used if it fits.",
    )
    fast = click.option(
        "--fast", is_flag=True, help="Quantise in a third of the time, a little less exactly."
    )
    symmetric = click.option(
        "--symmetric",
        is_flag=True,
        help="128 levels behind a ReLU instead of 256, for a builder without fast kernels for the"
        " shifted form.",
    )
    keep_float = click.option(
        "--keep-float",
        metavar="LAYER",
        multiple=True,
        help="Convolution to leave in float; repeatable. auto, with --max-drop, finds the fewest"
        " that are needed.",
    )
    max_drop = click.option(
        "--max-drop",
        type=FiniteRange(min=0),
        metavar="POINTS",
        help="Refuse INT8 that loses more top-1 than this, in percentage points, and name its worst"
        " layers.",
    )
    held_out = click.option(
        "--held-out",
        metavar="PICTURES",
        help="Pictures that --max-drop is measured on, given like --calib; else every fifth of"
        " --calib. If all lie in folders named by class, wrong answers are counted; else the loss"
        " is estimated from fp32's probabilities.",
    )
    return table(fast(symmetric(keep_float(max_drop(held_out(command))))))


AUTO = "auto"


def read_quant_options(
    *, fast: bool, symmetric: bool, keep_float: tuple[str, ...], max_drop: float | None
) -> tuple[QuantOptions, Gate | None]:
    """Give what was chosen, and what INT8 may cost.

    Raises:
        InputError: --keep-float auto has no --max-drop to go by.
    """
    from edge.errors import InputError
    from edge.quant.gate import Gate
    from edge.quant.quantize import QuantOptions

    picks = AUTO in keep_float
    if picks and max_drop is None:
        raise InputError(
            "--keep-float auto: nothing says what is good enough", hint="Give --max-drop too"
        )
    named = tuple(label for label in keep_float if label != AUTO)
    options = QuantOptions(fast=fast, all_levels=not symmetric, keep_float=named)
    return options, None if max_drop is None else Gate(max_drop, may_keep_float=picks)


def say_cost(cost: Mapping[str, float]) -> str:
    """Give the line that tells what INT8 cost; see `edge.quant.quality.Quality`."""
    known = "" if cost["is_labelled"] else ", as fp32's probabilities make one expect"
    return (
        f"INT8 answers as fp32 on {100 * cost['agreement']:.1f}% of {cost['pictures']} pictures"
        f" held out and loses {cost['drop_points']:.2f} points of top-1{known}"
    )
