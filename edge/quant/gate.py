"""INT8 only where it costs no more than a person allows, measured on pictures held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from edge.errors import CalibrationError, CheckFailedError
from edge.quant.quantize import QuantOptions, quantize

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet
    from edge.quant.measure import Measured
    from edge.quant.quality import Quality
    from edge.quant.quantize import Quantized

T = TypeVar("T")

HOLD_OUT_EVERY = 5
FEWEST_HELD_OUT = 10
NAMED = 4


@dataclass(frozen=True, slots=True)
class Gate:
    """What is allowed.

    Attributes:
        max_drop_points: most top-1 that may be lost, in points of 100.
        may_keep_float: keep as few convolutions in float as it takes, in the place of refusing.
    """

    max_drop_points: float
    may_keep_float: bool = False


def choose_held_out(
    calibration: CalibrationSet, held_out: CalibrationSet | None
) -> tuple[CalibrationSet, CalibrationSet]:
    """Give the pictures to calibrate on and those to judge by.

    Args:
        calibration: all that there are to calibrate on.
        held_out: to judge by; every fifth of the others where it is None.

    Raises:
        CalibrationError: there are too few to judge by, or some of them calibrate too.
    """
    if held_out is None:
        calibration, held_out = calibration.hold_out(HOLD_OUT_EVERY)
    elif shared := calibration.count_shared(held_out):
        raise CalibrationError(
            f"{held_out.source}: {shared} of its pictures are in {calibration.source} too",
            hint="Judge by pictures that calibrate nothing, or leave --held-out away",
        )
    if len(held_out.files) < FEWEST_HELD_OUT:
        raise CalibrationError(
            f"{held_out.source}: {len(held_out.files)} pictures are too few to judge by",
            hint=f"Give --held-out with {FEWEST_HELD_OUT} or more",
        )
    return calibration, held_out


def quantize_within(
    model: Model,
    sets: tuple[CalibrationSet, CalibrationSet],
    gate: Gate,
    *,
    options: QuantOptions,
    measured: Measured | None = None,
    progress: Callable[[int], None],
) -> tuple[Quantized, QuantOptions]:
    """Quantise so that no more is lost than is allowed.

    Convolutions are kept in float in the order of the harm that each does alone; the fewest of
    that order are found by doubling and halving, one whole quantisation a trial.

    Args:
        model: fp32.
        sets: the pictures to calibrate on, and those to judge by; see `choose_held_out`.
        gate: what is allowed.
        options: what a person chose.
        measured: of the same model, pictures and options, which spares the measuring once.
        progress: called with the count of calibration pictures done, from 0 on in each trial.

    Returns:
        The result, and the options that give it again.

    Raises:
        CheckFailedError: more is lost; names the worst layers.
        EdgeError: see `quantize`.
    """
    calibration, held_out = sets

    def attempt(more: tuple[str, ...]) -> tuple[Quantized, QuantOptions]:
        chosen = replace(options, keep_float=(*options.keep_float, *more))
        known = None if more else measured
        done = quantize(
            model, calibration, progress=progress, options=chosen, held_out=held_out, measured=known
        )
        return done, chosen

    def passing(more: tuple[str, ...]) -> tuple[Quantized, QuantOptions] | None:
        tried = attempt(more)
        return tried if tried[0].judged.drop_points <= gate.max_drop_points else None

    first = attempt(())
    quality = first[0].judged
    if quality.drop_points <= gate.max_drop_points:
        return first
    ranked = tuple(layer.label for layer in quality.worst())
    found = None
    if gate.may_keep_float:
        found = find_fewest(len(ranked) - 1, lambda count: passing(ranked[:count]))
    if found is None:
        raise _refuse(model, quality, gate)
    return found


def find_fewest(most: int, attempt: Callable[[int], T | None]) -> T | None:
    """Give the attempt with the smallest count from 1 to `most` that succeeds, if any does.

    Where more always helps this is the smallest of all; each count is tried once at most.
    """
    failed, count, found = 0, 1, None
    while found is None and failed < most:
        count = min(count, most)
        found = attempt(count)
        if found is None:
            failed, count = count, 2 * count
    while found is not None and count - failed > 1:
        middle = (failed + count) // 2
        better = attempt(middle)
        if better is None:
            failed = middle
        else:
            found, count = better, middle
    return found


def _refuse(model: Model, quality: Quality, gate: Gate) -> CheckFailedError:
    worst = ", ".join(layer.label for layer in quality.worst()[:NAMED])
    return CheckFailedError(
        f"{model.contract.name}: INT8 loses {quality.drop_points:.2f} points of top-1 on"
        f" {quality.pictures} pictures, {gate.max_drop_points:g} are allowed; worst are {worst}",
        hint=(
            "Calibrate on more pictures, or allow more with --max-drop"
            if gate.may_keep_float
            else "Calibrate on more pictures, or give --keep-float auto"
        ),
    )
