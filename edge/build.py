"""From a model to a plan beside its sidecar, whole or not at all.

TensorRT runs in a child process: a board that runs out of memory kills it, a missing driver can
crash it, and neither should take the old plan or the terminal along.
"""

from __future__ import annotations

import logging
import time
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from edge.board import SysRoot, detect_board
from edge.engine.child import run_in_child
from edge.engine.plan import Sidecar, write_plan
from edge.engine.trt_api import (
    BuildSettings,
    Built,
    Precision,
    Support,
    Target,
    ask_support,
    build,
    explain_no_calibrator,
)
from edge.errors import CheckFailedError, InputError, UnavailableError
from edge.files import read_bytes, sha256_bytes, write_atomic
from edge.model.batch import open_batch
from edge.model.fold import fold
from edge.model.half import to_half
from edge.model.top_k import HALF_EXACT, add_top_k, check_top_k
from edge.quant.calibrator import build_calibrated
from edge.quant.quantize import quantize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.model.batch import Batch
    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet

    Progress = Callable[[str, int, int], None]

log = logging.getLogger(__name__)

LITTLE_MEMORY_MIB = 2048
CALIBRATOR = "entropy2"
"""How TensorRT's own calibration chooses its ranges; the DLA takes no other."""


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
        require_int8: fail on a GPU without fast INT8 in the place of building fp16, and on each
            convolution that TensorRT's own calibration left in float.
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
    require_int8: bool = False
    root: SysRoot = field(default_factory=lambda: SysRoot(Path("/")))
    progress: Progress = field(default=lambda _what, _done, _total: None)


def build_plan(
    model: Model, calibration: CalibrationSet | None, path: Path, options: BuildOptions
) -> Sidecar:
    """Build a plan and write it with its sidecar.

    Args:
        model: fp32, or int8 already.
        calibration: pictures, for an fp32 model that is to become int8.
        path: of the plan; an old one stays as it was until the new one is whole.
        options: what to build.

    Raises:
        InputError: the model, the calibration and the precision do not fit together.
        UnavailableError: TensorRT, its driver or fast INT8 is missing.
        BuildError: TensorRT gave up or was killed.
        CheckFailedError: INT8 was asked for and a convolution came out in float; names them.
    """
    _check_request(model, calibration, options)
    support = run_in_child(ask_support, options.target)
    precision = _possible_precision(model, options, support)
    _check_support(model, precision, options, support)
    job = _Job(model, calibration, precision, options)
    network = _prepare(job, support).to_bytes()
    table = _table_path(job, network, support)
    _warn_of_little_memory(options.root)
    started_s = time.monotonic()
    built = _build(job, network, table)
    sidecar = _describe(job, built, build_s=round(time.monotonic() - started_s, 3))
    _check_precision(sidecar, path, options)
    write_plan(path, built.plan, sidecar)
    for cache, data in (
        (options.timing_cache, built.timing_cache),
        (table, built.calibration_table),
    ):
        if cache is not None and data:
            write_atomic(cache, data)
    return sidecar


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """What was decided before the build."""

    model: Model
    calibration: CalibrationSet | None
    precision: Precision
    options: BuildOptions

    @property
    def uses_calibrator(self) -> bool:
        return self.options.calibrator and self.precision == "int8"


def _build(job: _Job, network: bytes, table: Path | None) -> Built:
    options, pictures = job.options, job.calibration
    settings = BuildSettings(
        target=options.target,
        precision=job.precision,
        workspace_mib=options.workspace_mib,
        optimization_level=options.optimization_level,
        compute_capability=options.compute_capability,
        timing_cache=_read_cache(options.timing_cache),
        batch=astuple(options.batch) if options.batch else None,
        dla_core=options.dla_core,
    )
    if not job.uses_calibrator:
        return run_in_child(build, network, settings, progress=options.progress)
    contract, known = job.model.contract, _read_cache(table)
    return run_in_child(
        build_calibrated, network, settings, pictures, contract, known, progress=options.progress
    )


def _describe(job: _Job, built: Built, build_s: float) -> Sidecar:
    model, options, calibration = job.model, job.options, job.calibration
    board = detect_board(options.root)
    calibrated = calibration is not None and job.precision == "int8"
    picks = options.top_k is not None
    return Sidecar(
        product=options.target,
        tensorrt=built.version,
        device=board.module if board and options.target == "tensorrt" else None,
        compute_capability=options.compute_capability,
        precision=job.precision,
        model_sha256=model.sha256(),
        calibration_sha256=calibration.sha256 if calibration and calibrated else None,
        plan_sha256=sha256_bytes(built.plan),
        contract=replace(model.contract, output="probabilities") if picks else model.contract,
        flags={
            "workspace_mib": options.workspace_mib,
            "optimization_level": options.optimization_level,
            "batch": str(options.batch) if options.batch else None,
            "top_k": options.top_k,
            "dla_core": options.dla_core,
            "calibrator": CALIBRATOR if job.uses_calibrator else None,
        },
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        build_s=build_s,
        layers=built.layers,
        warnings=built.warnings,
        gpu_fallback=built.gpu_fallback,
    )


def _table_path(job: _Job, network: bytes, support: Support) -> Path | None:
    """Give where the calibration table lies.

    TensorRT does not see when a table is another network's, so its name holds all that decides it.
    """
    folder, pictures = job.options.calibration_cache, job.calibration
    if folder is None or pictures is None or not job.uses_calibrator:
        return None
    parts = (sha256_bytes(network)[:16], pictures.sha256[:16], CALIBRATOR, support.version)
    return folder / f"{'-'.join(parts)}.calibration"


def _check_request(model: Model, calibration: CalibrationSet | None, options: BuildOptions) -> None:
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
    name, is_int8, wants_int8 = model.contract.name, model.is_int8, options.precision == "int8"
    yield (
        wants_int8 and not is_int8 and calibration is None,
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


def _possible_precision(model: Model, options: BuildOptions, support: Support) -> Precision:
    """Fall back to fp16, loudly, where the GPU of this machine has no fast INT8."""
    if options.precision != "int8" or support.fast_int8:
        return options.precision
    if options.require_int8 or model.is_int8:
        raise UnavailableError(
            "INT8: this GPU does not multiply int8 fast",
            hint="Build the fp32 model with --precision fp16",
        )
    log.warning("this GPU does not multiply int8 fast, building fp16")
    return "fp16"


def _check_support(
    model: Model, precision: Precision, options: BuildOptions, support: Support
) -> None:
    if options.dla_core is not None and options.dla_core >= support.dla_cores:
        raise UnavailableError(
            f"--dla: this board has no DLA core {options.dla_core}",
            hint=f"Give one below {support.dla_cores}" if support.dla_cores else "Leave it away",
        )
    if options.calibrator and not support.has_calibrator:
        raise explain_no_calibrator()
    classes = len(model.contract.labels)
    may_round = precision != "fp32" and not support.takes_float_types
    if options.top_k is not None and may_round and classes > HALF_EXACT:
        raise UnavailableError(
            f"--top: TensorRT {support.version} may round class numbers above {HALF_EXACT}, and"
            f" {model.contract.name} has {classes} classes",
            hint="Leave --top away",
        )


def _prepare(job: _Job, support: Support) -> Model:
    """Give the network that TensorRT gets: pixels in, and types of the wanted precision."""
    model, options, calibration = job.model, job.options, job.calibration
    quantizes = calibration is not None and job.precision == "int8" and not job.uses_calibrator
    if calibration is not None and quantizes:
        count = len(calibration.files)
        network = quantize(
            model, calibration, progress=lambda done: options.progress("calibrating", done, count)
        ).model
    elif job.precision == "fp16" and support.takes_float_types:
        network = to_half(model)
    else:
        network = fold(model)
    if options.batch is not None:
        network = open_batch(network)
    return network if options.top_k is None else add_top_k(network, options.top_k)


def _check_precision(sidecar: Sidecar, path: Path, options: BuildOptions) -> None:
    """TensorRT builds float kernels for what it cannot do in INT8, and says nothing.

    After its own calibration it also does so where float is quicker; that is only warned of.
    """
    convolutions = sidecar.convolutions()
    if not convolutions and options.dla_core is not None:
        return  # a DLA's part is one layer of the table, without its convolutions
    if not convolutions:
        raise CheckFailedError(
            f"{path}: TensorRT told no layer table, so nobody knows its precision",
            hint="Report this with the output of edge -vv build",
        )
    if sidecar.precision != "int8":
        return
    left = [layer for layer in convolutions if layer.input_type != "Int8"]
    if not left:
        return
    names = ", ".join(layer.onnx[0] if layer.onnx else layer.name for layer in left[:4])
    more = f" and {len(left) - 4} more" if len(left) > 4 else ""
    wrong = (
        f"{len(left)} of {len(convolutions)} convolutions are"
        f" {left[0].input_type} in the place of INT8: {names}{more}"
    )
    if options.calibrator and not options.require_int8 and len(left) < len(convolutions):
        log.warning("%s", wrong)
        return
    raise CheckFailedError(
        f"{path}: not written, {wrong}",
        hint="Build for a GPU with fast INT8, or with --precision fp16",
    )


def _warn_of_little_memory(root: SysRoot) -> None:
    """Builds get killed on boards of 4 GB; better to know before."""
    fields = dict(
        line.split(":", 1)
        for line in (root.read_text("proc/meminfo") or "").splitlines()
        if ":" in line
    )
    free_mib, swap_mib = (
        int(fields[name].split()[0]) // 1024 if name in fields else None
        for name in ("MemAvailable", "SwapTotal")
    )
    if free_mib is not None and free_mib < LITTLE_MEMORY_MIB and not swap_mib:
        log.warning(
            "only %d MiB of memory are free and there is no swap: the build may be killed."
            " Close other programs or add 4 GB of swap",
            free_mib,
        )


def _read_cache(path: Path | None) -> bytes:
    return read_bytes(path) if path and path.exists() else b""
