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
from edge.engine.trt_api import BuildSettings, Precision, Support, Target, ask_support, build
from edge.errors import CheckFailedError, InputError, UnavailableError
from edge.files import read_bytes, sha256_bytes, write_atomic
from edge.model.batch import open_batch
from edge.model.fold import fold
from edge.model.half import to_half
from edge.model.top_k import HALF_EXACT, add_top_k, check_top_k
from edge.quant.quantize import quantize

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.model.batch import Batch
    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet

    Progress = Callable[[str, int, int], None]

log = logging.getLogger(__name__)

LITTLE_MEMORY_MIB = 2048


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
        require_int8: fail on a GPU without fast INT8 in the place of building fp16.
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
    network = _prepare(model, calibration, precision, options, support)
    settings = BuildSettings(
        target=options.target,
        precision=precision,
        workspace_mib=options.workspace_mib,
        optimization_level=options.optimization_level,
        compute_capability=options.compute_capability,
        timing_cache=_read_cache(options.timing_cache),
        batch=astuple(options.batch) if options.batch else None,
    )
    _warn_of_little_memory(options.root)
    board = detect_board(options.root)
    started_s = time.monotonic()
    built = run_in_child(build, network.to_bytes(), settings, progress=options.progress)
    sidecar = Sidecar(
        product=options.target,
        tensorrt=built.version,
        device=board.module if board and options.target == "tensorrt" else None,
        compute_capability=options.compute_capability,
        precision=precision,
        model_sha256=model.sha256(),
        calibration_sha256=calibration.sha256 if calibration else None,
        plan_sha256=sha256_bytes(built.plan),
        contract=replace(model.contract, output="probabilities")
        if options.top_k
        else model.contract,
        flags={
            "workspace_mib": options.workspace_mib,
            "optimization_level": options.optimization_level,
            "batch": str(options.batch) if options.batch else None,
            "top_k": options.top_k,
        },
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        build_s=round(time.monotonic() - started_s, 3),
        layers=built.layers,
        warnings=built.warnings,
    )
    _check_precision(sidecar, path)
    write_plan(path, built.plan, sidecar)
    if options.timing_cache is not None and built.timing_cache:
        write_atomic(options.timing_cache, built.timing_cache)
    return sidecar


def _check_request(model: Model, calibration: CalibrationSet | None, options: BuildOptions) -> None:
    name = model.contract.name
    if options.precision == "int8" and not model.is_int8 and calibration is None:
        raise InputError(
            f"{name}: is fp32, INT8 wants pictures to calibrate on",
            hint="Give --calib FOLDER, or a model of edge quantize",
        )
    if options.precision != "int8" and model.is_int8:
        raise InputError(
            f"{name}: is INT8 already, it cannot be built as {options.precision}",
            hint="Give the fp32 model",
        )
    if calibration is not None and (model.is_int8 or options.precision != "int8"):
        raise InputError(
            "--calib: only an fp32 model that is to become INT8 is calibrated",
            hint="Leave it away",
        )
    if options.compute_capability is not None and options.target == "tensorrt":
        raise InputError(
            "--compute-capability: TensorRT builds for the GPU that it runs on",
            hint="Leave it away, or use --target tensorrt-rtx",
        )
    if options.top_k is not None:
        check_top_k(options.top_k, model.contract)


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
    classes = len(model.contract.labels)
    may_round = precision != "fp32" and not support.takes_float_types
    if options.top_k is not None and may_round and classes > HALF_EXACT:
        raise UnavailableError(
            f"--top: TensorRT {support.version} may round class numbers above {HALF_EXACT}, and"
            f" {model.contract.name} has {classes} classes",
            hint="Leave --top away",
        )


def _prepare(
    model: Model,
    calibration: CalibrationSet | None,
    precision: Precision,
    options: BuildOptions,
    support: Support,
) -> Model:
    """Give the network that TensorRT gets: pixels in, and types of the wanted precision."""
    if precision == "int8" and calibration is not None and not model.is_int8:
        count = len(calibration.files)
        network = quantize(
            model, calibration, progress=lambda done: options.progress("calibrating", done, count)
        ).model
    elif precision == "fp16" and support.takes_float_types:
        network = to_half(model)
    else:
        network = fold(model)
    if options.batch is not None:
        network = open_batch(network)
    return network if options.top_k is None else add_top_k(network, options.top_k)


def _check_precision(sidecar: Sidecar, path: Path) -> None:
    """TensorRT builds float kernels for what it cannot do in INT8, and says nothing."""
    convolutions = sidecar.convolutions()
    if not convolutions:
        raise CheckFailedError(
            f"{path}: TensorRT told no layer table, so nobody knows its precision",
            hint="Report this with the output of edge -vv build",
        )
    if sidecar.precision != "int8":
        return
    left = [layer for layer in convolutions if layer.input_type != "Int8"]
    if left:
        names = ", ".join(layer.onnx[0] if layer.onnx else layer.name for layer in left[:4])
        more = f" and {len(left) - 4} more" if len(left) > 4 else ""
        raise CheckFailedError(
            f"{path}: not written, {len(left)} of {len(convolutions)} convolutions are"
            f" {left[0].input_type} in the place of INT8: {names}{more}",
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
