"""The network that TensorRT gets: in the types of the wanted precision, quantised where it must be.

What the pictures decide is kept in a table beside the plan, `x.calib.json` for `x.plan`, so that
the next build of the same need not measure it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge.build.options import quantises
from edge.engine.plan import sidecar_path
from edge.errors import InputError
from edge.files import check_target, sha256_file
from edge.model.batch import open_batch
from edge.model.fold import fold
from edge.model.half import to_half
from edge.model.top_k import add_top_k
from edge.quant.gate import choose_held_out, quantize_within
from edge.quant.quantize import quantize
from edge.quant.table import find_measured, format_table, table_key, table_path

if TYPE_CHECKING:
    from pathlib import Path

    from edge.build.options import BuildOptions
    from edge.engine.cuda import GPU
    from edge.engine.trt_api import Precision, Support
    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet
    from edge.quant.measure import Measured
    from edge.quant.quality import Quality
    from edge.quant.quantize import QuantOptions


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """How edge makes INT8 of an fp32 model.

    Attributes:
        calibration: the pictures to calibrate on.
        held_out: those to judge by; used with a gate only.
        table: where what the pictures decide is kept; None where the plan is no file.
        measured: what they decided before; None where that is not known.
        measured_before: the table that told it.
    """

    calibration: CalibrationSet
    held_out: CalibrationSet | None
    table: Path | None
    measured: Measured | None
    measured_before: Path | None


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What was decided before the build.

    Attributes:
        model: as it was given.
        calibration: all pictures that were given.
        recipe: None where edge quantises nothing.
        precision: what this machine can build of the one that was asked for.
        options: what was asked for.
        gpu: of this machine; None where the plan is for another one or nobody can tell.
    """

    model: Model
    calibration: CalibrationSet | None
    recipe: Recipe | None
    precision: Precision
    options: BuildOptions
    gpu: GPU | None

    @property
    def uses_calibrator(self) -> bool:
        """Whether TensorRT chooses the INT8 ranges."""
        return self.options.calibrator and self.precision == "int8"

    @property
    def given_cache(self) -> Path | None:
        """The calibration cache that stands in the place of pictures."""
        return self.options.tensorrt_cache if self.uses_calibrator else None

    @property
    def calibration_sha256(self) -> str | None:
        """Hash of what the INT8 ranges come from."""
        if self.given_cache is not None:
            return sha256_file(self.given_cache)
        return self.calibration.sha256 if self.calibration and self.precision == "int8" else None


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The network that TensorRT gets, and how it was made.

    Attributes:
        network: pixels in, types of the wanted precision.
        quant: the options that give it again.
        quality: what INT8 costs; None where that was not measured.
        table: bytes of the calibration table; empty where nothing was quantised.
        measured_before: the table that spared the measuring; None where none did.
    """

    network: Model
    quant: QuantOptions
    quality: Quality | None = None
    table: bytes = b""
    measured_before: Path | None = None


def choose_recipe(
    model: Model, calibration: CalibrationSet | None, path: Path, options: BuildOptions
) -> Recipe | None:
    """Choose the pictures, and look for a table that fits; None where edge quantises nothing.

    Args:
        model: as it was given.
        calibration: all pictures that were given.
        path: of the plan.
        options: what was asked for.

    Raises:
        InputError: a table cannot be read, or the one beside the plan could not be written.
        CalibrationError: a table is none, the given one is of something else, or the pictures
            cannot judge.
    """
    if calibration is None or not quantises(model, options):
        return None
    table = table_path(path)
    if table == sidecar_path(path):
        raise InputError(
            f"{path}: its sidecar and its calibration table would be one file",
            hint=f"Name it {path.with_suffix('.plan').name}",
        )
    if table is not None:
        check_target(table)
    held_out = options.held_out
    if options.gate is not None:
        calibration, held_out = choose_held_out(calibration, held_out)
    key = table_key(model, calibration, options.quant)
    measured = find_measured(table, options.table, key)
    measured_before = (options.table or table) if measured is not None else None
    return Recipe(calibration, held_out, table, measured, measured_before)


def prepare(job: Job, support: Support) -> Prepared:
    """Make the network that TensorRT gets.

    Args:
        job: what was decided.
        support: what TensorRT can do on this machine.

    Raises:
        EdgeError: the model cannot be quantised; see `edge.quant.quantize` and `edge.quant.gate`.
    """
    model, options = job.model, job.options
    if job.recipe is not None and job.precision == "int8":
        made = _quantize(model, job.recipe, options)
    elif job.precision == "fp16" and support.takes_float_types:
        made = Prepared(to_half(model), options.quant)
    else:
        made = Prepared(fold(model), options.quant)
    network = made.network
    if options.batch is not None:
        network = open_batch(network)
    if options.top_k is not None:
        network = add_top_k(network, options.top_k)
    return replace(made, network=network)


def _quantize(model: Model, recipe: Recipe, options: BuildOptions) -> Prepared:
    calibration, held_out, quant = recipe.calibration, recipe.held_out, options.quant
    count = len(calibration.files)

    def progress(done: int) -> None:
        options.progress("calibrating", done, count)

    if options.gate is not None and held_out is not None:
        made, quant = quantize_within(
            model, (calibration, held_out), options.gate,
            options=quant, measured=recipe.measured, progress=progress,
        )  # fmt: skip
    else:
        made = quantize(
            model, calibration, progress=progress, options=quant, measured=recipe.measured
        )
    return Prepared(
        network=made.model,
        quant=quant,
        quality=made.quality,
        table=format_table(table_key(model, calibration, quant), made.measured),
        measured_before=recipe.measured_before,
    )
