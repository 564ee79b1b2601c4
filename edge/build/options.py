"""What a person asks of a build, and what of it does not go together."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge.board import SysRoot
from edge.errors import InputError
from edge.model.batch import parse_batch
from edge.model.top_k import check_top_k
from edge.quant.quantize import QuantOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.engine.plan import Sidecar
    from edge.engine.trt_api import Precision, Target
    from edge.model.batch import Batch
    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet
    from edge.quant.gate import Gate

    Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a person asks for.

    Attributes:
        target: the product that is to run the plan.
        precision: of the convolutions.
        workspace_mib: see `BuildSettings`.
        optimization_level: see `BuildSettings`.
        compute_capability: see `BuildSettings`.
        timing_cache: file that makes the next build of a like network quicker; None keeps none.
        batch: how many pictures at once; None is one, fixed.
        top_k: how many classes the plan picks itself; None gives every score.
        dla_core: the DLA that is to run what it can; None is the GPU alone.
        calibrator: let TensorRT calibrate in the place of our own Q/DQ nodes.
        calibration_cache: folder of its tables, which spare the next calibration of the same
            network on the same pictures; None keeps none.
        tensorrt_cache: calibration cache that stands in the place of pictures; see
            `edge.engine.trt_cache`.
        model_source: file or catalogue name of the model, from which the plan can be built again.
        require_int8: fail on a GPU without fast INT8 in the place of building fp16, and on each
            convolution that TensorRT's own calibration left in float.
        quant: how the INT8 network is made of an fp32 one.
        gate: what INT8 may cost; None measures nothing.
        held_out: pictures to measure that on; None leaves some out of the calibration.
        table: calibration table that is to be used; None takes the one beside the plan if it fits.
        root: where /proc and /etc are.
        progress: called with (what is done, steps done, steps in all).
    """

    target: Target = "tensorrt"
    precision: Precision = "int8"
    workspace_mib: int | None = None
    optimization_level: int | None = None
    compute_capability: str | None = None
    timing_cache: Path | None = None
    batch: Batch | None = None
    top_k: int | None = None
    dla_core: int | None = None
    calibrator: bool = False
    calibration_cache: Path | None = None
    tensorrt_cache: Path | None = None
    model_source: str | None = None
    require_int8: bool = False
    quant: QuantOptions = field(default_factory=QuantOptions)
    gate: Gate | None = None
    held_out: CalibrationSet | None = None
    table: Path | None = None
    root: SysRoot = field(default_factory=lambda: SysRoot(Path("/")))
    progress: Progress = field(default=lambda _what, _done, _total: None)


def model_source(model: str) -> str:
    """Give what finds a model again from any folder: the whole path of a file, or the name."""
    path = Path(model)
    return str(path.absolute()) if path.exists() else model


def options_of(sidecar: Sidecar) -> BuildOptions:
    """Give what a plan was built with, to build it again."""
    flags = sidecar.flags
    return BuildOptions(
        target=sidecar.product,
        precision=sidecar.precision,
        workspace_mib=flags.workspace_mib,
        optimization_level=flags.optimization_level,
        compute_capability=(
            sidecar.compute_capability if sidecar.product == "tensorrt-rtx" else None
        ),
        batch=parse_batch(flags.batch) if flags.batch else None,
        top_k=flags.top_k,
        dla_core=flags.dla_core,
        calibrator=flags.calibrator,
        quant=QuantOptions(flags.fast, not flags.symmetric, flags.keep_float),
        tensorrt_cache=Path(flags.tensorrt_cache) if flags.tensorrt_cache else None,
        model_source=sidecar.model,
    )


def quantises(model: Model, options: BuildOptions) -> bool:
    """Tell whether edge itself makes INT8 of the model, in the place of TensorRT's calibration."""
    return options.precision == "int8" and not model.is_int8 and not options.calibrator


def check_request(model: Model, calibration: CalibrationSet | None, options: BuildOptions) -> None:
    """Refuse what does not go together, before anything is built.

    Raises:
        InputError: names the option.
    """
    refusals = [*_refusals(model, calibration, options)]
    if options.dla_core is not None:
        refusals = [*_dla_refusals(options), *refusals]
    for is_so, wrong, mend in refusals:
        if is_so:
            raise InputError(wrong, hint=mend)
    if options.top_k is not None:
        check_top_k(options.top_k, model.contract)


def _refusals(
    model: Model, calibration: CalibrationSet | None, options: BuildOptions
) -> Iterator[tuple[bool, str, str]]:
    """Yield (whether it is so, what is wrong, what to do)."""
    cache = options.tensorrt_cache
    name, is_int8, wants_int8 = model.contract.name, model.is_int8, options.precision == "int8"
    yield (
        cache is not None and not options.calibrator,
        "--tensorrt-cache: only TensorRT's own calibration reads it",
        "Give --calibrator too",
    )
    yield (
        cache is not None and calibration is not None,
        "--tensorrt-cache: stands in the place of the pictures of --calib",
        "Leave one of the two away",
    )
    yield (
        wants_int8 and not is_int8 and calibration is None and cache is None,
        f"{name}: is fp32, INT8 wants pictures to calibrate on",
        "Give --calib FOLDER, or a model of edge quantize",
    )
    yield (
        not wants_int8 and is_int8,
        f"{name}: is INT8 already, it cannot be built as {options.precision}",
        "Give the fp32 model",
    )
    yield (
        options.calibrator and (is_int8 or not wants_int8),
        "--calibrator: only an fp32 model that is to become INT8 is calibrated",
        "Leave it away",
    )
    yield (
        calibration is not None and (is_int8 or not wants_int8),
        "--calib: only an fp32 model that is to become INT8 is calibrated",
        "Leave it away",
    )
    yield (
        options.quant != QuantOptions() and not quantises(model, options),
        "--fast, --symmetric, --keep-float: only where edge quantises the model itself",
        "Leave them away",
    )
    yield (
        options.gate is not None and not quantises(model, options),
        "--max-drop: only where edge quantises the model itself",
        "Leave it away",
    )
    yield (
        options.table is not None and not quantises(model, options),
        "--table: only where edge quantises the model itself",
        "Leave it away",
    )
    yield (
        options.held_out is not None and options.gate is None,
        "--held-out: nothing is measured on these pictures",
        "Give --max-drop too",
    )
    yield (
        options.calibrator and options.top_k is not None,
        "--calibrator: would round the class numbers of --top to 8 bits",
        "Leave one of the two away",
    )
    yield (
        options.compute_capability is not None and options.target == "tensorrt",
        "--compute-capability: TensorRT builds for the GPU that it runs on",
        "Leave it away, or use --target tensorrt-rtx",
    )


def _dla_refusals(options: BuildOptions) -> Iterator[tuple[bool, str, str]]:
    """Yield (whether it is so, what is wrong, what to do), of a build for a DLA."""
    yield (
        options.target != "tensorrt",
        "--dla: TensorRT-RTX runs on no DLA",
        "Leave it away, or use --target tensorrt",
    )
    yield (
        options.precision == "fp32",
        "--dla: the DLA computes in int8 and fp16 only",
        "Use --precision fp16",
    )
    yield (
        options.precision == "int8" and not options.calibrator,
        "--dla: the DLA takes its INT8 ranges from TensorRT's calibrator, not from Q/DQ nodes",
        "Give the fp32 model with --calib FOLDER and --calibrator, or use --precision fp16",
    )
    batch = options.batch
    yield (
        batch is not None and batch.least != batch.most,
        f"--batch {batch}: the DLA takes one number of pictures",
        "Give three equal numbers, or leave --dla away",
    )
