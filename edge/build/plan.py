"""From a model to a plan beside its sidecar, whole or not at all.

TensorRT runs in a child process: a board that runs out of memory kills it, a missing driver can
crash it, and neither should take the old plan or the terminal along.
"""

from __future__ import annotations

import logging
import time
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from edge.board import detect_board
from edge.build.options import check_request
from edge.build.prepare import Job, choose_recipe, prepare
from edge.engine.child import run_in_child
from edge.engine.cuda import describe_gpu
from edge.engine.plan import Flags, Sidecar, write_plan
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
from edge.engine.trt_cache import ALGORITHM, format_cache, parse_cache, require_tensors
from edge.errors import CheckFailedError, UnavailableError
from edge.files import check_target, read_bytes, sha256_bytes, write_atomic
from edge.model.top_k import HALF_EXACT
from edge.model.weights import float_convolutions
from edge.quant.calibrator import build_calibrated, build_from_cache

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from edge.board import Board, SysRoot
    from edge.build.options import BuildOptions
    from edge.build.prepare import Prepared
    from edge.engine.cuda import GPU
    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet

log = logging.getLogger(__name__)

LITTLE_MEMORY_MIB = 2048


@dataclass(frozen=True, slots=True, eq=False)
class BuiltPlan:
    """A plan that was written.

    Attributes:
        sidecar: that lies beside it.
        measured_before: the calibration table that spared the measuring; None where none did.
    """

    sidecar: Sidecar
    measured_before: Path | None


def build_plan(
    model: Model, calibration: CalibrationSet | None, path: Path, options: BuildOptions
) -> BuiltPlan:
    """Build a plan and write it with its sidecar, and what the pictures decided in a table.

    Args:
        model: fp32, or int8 already.
        calibration: pictures, for an fp32 model that is to become int8.
        path: of the plan; an old one stays as it was until the new one is whole.
        options: what to build.

    Raises:
        InputError: the model, the calibration and the precision do not fit together, the
            calibration table is of something else, or the plan could not be written.
        UnavailableError: TensorRT, its driver or fast INT8 is missing.
        BuildError: TensorRT gave up or was killed.
        CheckFailedError: INT8 was asked for and a convolution came out in float; names them.
    """
    check_request(model, calibration, options)
    for file in filter(None, (path, options.timing_cache)):
        check_target(file)
    recipe = choose_recipe(model, calibration, path, options)
    support, gpu = run_in_child(_ask, options.target)
    precision = _possible_precision(model, options, support)
    _check_support(model, precision, options, support)
    job = Job(model, calibration, recipe, precision, options, gpu)
    prepared = prepare(job, support)
    network = prepared.network
    meant = float_convolutions(network.proto.graph)
    onnx_bytes = network.to_bytes()
    scales = _scales_path(job, onnx_bytes, support)
    known = _read_cache(scales) or _given_cache(job, network, support)
    _warn_of_little_memory(options.root)
    started_s = time.monotonic()
    built = _build(job, onnx_bytes, known)
    sidecar = _describe(job, prepared, built, build_s=round(time.monotonic() - started_s, 3))
    _check_precision(sidecar, path, options, meant)
    write_plan(path, built.plan, sidecar)
    for kept, data in (
        (options.timing_cache, built.timing_cache),
        (scales, built.calibration_table),
        (recipe.table if recipe else None, prepared.table),
    ):
        if kept is not None and data:
            write_atomic(kept, data)
    return BuiltPlan(sidecar, prepared.measured_before)


def _build(job: Job, network: bytes, known: bytes) -> Built:
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
    if pictures is None:
        return run_in_child(build_from_cache, network, settings, known, progress=options.progress)
    contract = job.model.contract
    return run_in_child(
        build_calibrated, network, settings, pictures, contract, known, progress=options.progress
    )


def _describe(job: Job, prepared: Prepared, built: Built, build_s: float) -> Sidecar:
    model, options, gpu = job.model, job.options, job.gpu
    calibration = job.calibration if job.precision == "int8" else None
    picks = options.top_k is not None
    return Sidecar(
        product=options.target,
        tensorrt=built.version,
        cuda=gpu.cuda if gpu else None,
        device=_device(gpu, detect_board(options.root)),
        compute_capability=gpu.compute_capability if gpu else options.compute_capability,
        precision=job.precision,
        model=options.model_source,
        model_sha256=model.sha256(),
        calibration=calibration.source if calibration else None,
        calibration_sha256=job.calibration_sha256,
        plan_sha256=sha256_bytes(built.plan),
        contract=replace(model.contract, output="probabilities") if picks else model.contract,
        flags=Flags(
            workspace_mib=options.workspace_mib,
            optimization_level=options.optimization_level,
            batch=str(options.batch) if options.batch else None,
            top_k=options.top_k,
            dla_core=options.dla_core,
            calibrator=job.uses_calibrator,
            fast=prepared.quant.fast,
            symmetric=not prepared.quant.all_levels,
            keep_float=prepared.quant.keep_float,
            tensorrt_cache=str(job.given_cache.absolute()) if job.given_cache else None,
        ),
        built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        build_s=build_s,
        layers=built.layers,
        warnings=built.warnings,
        gpu_fallback=built.gpu_fallback,
        int8_cost=prepared.quality.figures() if prepared.quality else None,
    )


def _scales_path(job: Job, network: bytes, support: Support) -> Path | None:
    """Give where the scales of TensorRT's own calibration are kept.

    TensorRT does not see when they are another network's, so the name holds all that decides it.
    """
    folder, pictures = job.options.calibration_cache, job.calibration
    if folder is None or pictures is None or not job.uses_calibrator:
        return None
    parts = (sha256_bytes(network)[:16], pictures.sha256[:16], ALGORITHM, support.version)
    return folder / f"{'-'.join(parts)}.calibration"


def _given_cache(job: Job, network: Model, support: Support) -> bytes:
    """Give the scales that stand in the place of pictures, with this builder's version."""
    path = job.given_cache
    if path is None:
        return b""
    scales = parse_cache(read_bytes(path), str(path))
    convs = [node for node in network.proto.graph.node if node.op_type == "Conv"]
    require_tensors(scales, (name for conv in convs for name in conv.output), str(path))
    return format_cache(scales, support.version)


def _ask(target: Target) -> tuple[Support, GPU | None]:
    """Ask TensorRT and the driver, in the child; no GPU where the plan is for another machine's."""
    support = ask_support(target)
    if target == "tensorrt-rtx":
        return support, None
    try:
        return support, describe_gpu()
    except UnavailableError:  # a build goes without pycuda, and the run will ask for it
        return support, None


def _device(gpu: GPU | None, board: Board | None) -> str | None:
    """Name what the plan is for: the board, because each Orin calls its GPU the same."""
    if gpu is None:
        return None
    return board.module if board else gpu.name


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


def _check_precision(
    sidecar: Sidecar, path: Path, options: BuildOptions, meant: Collection[str] = ()
) -> None:
    """TensorRT builds float kernels for what it cannot do in INT8, and says nothing.

    `meant` names the convolutions that are float in the network that it got.

    After its own calibration it also does so where float is quicker; that is only warned of.
    """
    convolutions = sidecar.convolutions()
    if not convolutions and options.dla_core is not None:
        return  # a DLA's part is one layer of the table, without its convolutions
    if not convolutions:
        raise CheckFailedError(
            f"{path}: TensorRT told no layer table, so nobody knows its precision",
            hint="Report it with the model and the version of TensorRT",
        )
    if sidecar.precision != "int8":
        return
    left = [
        layer
        for layer in convolutions
        if layer.input_type != "Int8"
        and (options.calibrator or not set(meant).intersection(layer.onnx))
    ]
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
