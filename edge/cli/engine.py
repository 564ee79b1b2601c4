"""Opens the engine that a command asks for: builds the plan it lacks, falls back to the CPU."""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge.assets import user_folder
from edge.board import detect_board
from edge.build.options import BuildOptions, model_source, options_of
from edge.build.plan import build_plan
from edge.cli.progress import phases
from edge.engine.base import AUTO, TENSORRT, open_engine
from edge.engine.child import run_in_child
from edge.engine.cuda import describe_gpu
from edge.engine.plan import read_sidecar, sidecar_path
from edge.engine.tensorrt import open_plan
from edge.engine.trt_api import is_installed, load_tensorrt
from edge.errors import (
    BuildError,
    EngineLostError,
    InputError,
    PlanMismatchError,
    UnavailableError,
)
from edge.model.onnx_file import load_model
from edge.model.zoo import resolve_model
from edge.quant.dataset import open_calibration_set

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.board import SysRoot
    from edge.engine.base import Engine
    from edge.model.contract import Contract
    from edge.model.onnx_file import Model

log = logging.getLogger(__name__)

PLAN_SUFFIXES = (".plan", ".engine")
NO_GPU = (UnavailableError, BuildError, EngineLostError, PlanMismatchError)
"""What lets `auto` go on without the GPU."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked to run.

    Attributes:
        model: a plan, an ONNX file or a catalogue name.
        engine: as `--engine` takes it.
        rebuild: build the plan again even if it fits.
        root: where /proc and /etc are.
    """

    model: str
    engine: str
    rebuild: bool
    root: SysRoot

    @property
    def plan(self) -> Path | None:
        """The plan, where `model` is one."""
        path = Path(self.model)
        return path if path.suffix in PLAN_SUFFIXES else None

    @property
    def board(self) -> str | None:
        """The name of this Jetson."""
        board = detect_board(self.root)
        return board.module if board else None

    @property
    def wants_gpu(self) -> bool:
        """Whether the GPU is to be tried: `auto` does so where there is reason to expect one."""
        expected = self.plan is not None or self.board is not None or is_installed("tensorrt")
        return self.engine == TENSORRT or (self.engine == AUTO and expected)


@contextmanager
def open_asked(asked: Asked) -> Iterator[tuple[Engine, Contract]]:
    """Open the engine, with its model's contract, for the length of a `with` block.

    For the GPU a plan is built where there is none or it does not fit; `auto` goes on with the CPU
    where the GPU cannot be used, and says so.

    Raises:
        InputError: there is no such engine or model, or they do not go together.
        UnavailableError: this machine lacks what the engine needs.
        BuildError: a plan was needed and could not be built.
    """
    with ExitStack() as stack:
        yield _enter(stack, asked)


@contextmanager
def open_on_cpu(asked: Asked, error: Exception) -> Iterator[tuple[Engine, Contract]]:
    """Say why, and open the CPU engine in the place of the GPU.

    Raises:
        InputError: the plan's model is not here.
    """
    model = find_model(asked)
    log.warning("%s. Going on with the CPU", error)
    with open_engine(AUTO, model) as engine:
        yield engine, model.contract


def find_model(asked: Asked) -> Model:
    """Load the ONNX that is to run, or that the plan was built from.

    Raises:
        InputError: it is not here, or the plan does not say which it was.
    """
    if asked.plan is None:
        return load_model(resolve_model(asked.model))
    sidecar = read_sidecar(asked.plan)
    if sidecar.model is None:
        raise InputError(
            f"{asked.plan}: its sidecar names no model", hint="Build it with edge build"
        )
    model = load_model(resolve_model(sidecar.model))
    if model.sha256() != sidecar.model_sha256:
        log.warning("%s: has changed since %s was built", sidecar.model, asked.plan)
    return model


def _enter(stack: ExitStack, asked: Asked) -> tuple[Engine, Contract]:
    if asked.wants_gpu:
        try:
            return _enter_gpu(stack, asked)
        except NO_GPU as error:
            if asked.engine != AUTO:
                raise
            return stack.enter_context(open_on_cpu(asked, error))
    if asked.plan is not None:
        raise InputError(
            f"{asked.plan}: is a plan for the GPU, {asked.engine} runs ONNX models",
            hint=f"Use --engine {TENSORRT}, or give the model",
        )
    model = find_model(asked)
    return stack.enter_context(open_engine(asked.engine, model)), model.contract


def _enter_gpu(stack: ExitStack, asked: Asked) -> tuple[Engine, Contract]:
    if asked.plan is not None:
        path, model_sha256 = asked.plan, None
    else:
        model = find_model(asked)
        path, model_sha256 = _kept_plan(model), model.sha256()
    if not asked.rebuild and (asked.plan is not None or path.exists()):
        try:
            return stack.enter_context(
                open_plan(path, board=asked.board, model_sha256=model_sha256)
            )
        except PlanMismatchError as error:
            if not sidecar_path(path).exists():
                raise
            log.warning("%s. Building it again", error.args[0])
    _build(path, asked)
    return stack.enter_context(open_plan(path, board=asked.board))


def _kept_plan(model: Model) -> Path:
    """Give where the plan of an ONNX model is kept; one a model, so that no old ones pile up."""
    name = re.sub(r"[^\w.-]+", "-", model.contract.name)[:40]
    return user_folder("cache") / f"{name}-{model.sha256()[:12]}.plan"


def _build(path: Path, asked: Asked) -> None:
    """Build a plan: as it was built before, or in the precision of its model."""
    calibration = None
    model = find_model(asked)
    if asked.plan is not None:
        sidecar = read_sidecar(asked.plan)
        options = options_of(sidecar)
        if sidecar.calibration is not None:
            calibration = open_calibration_set(sidecar.calibration)
    else:
        options = BuildOptions(
            precision="int8" if model.is_int8 else "fp32",
            timing_cache=user_folder("cache") / "timing.cache",
            model_source=model_source(asked.model),
        )
    load_tensorrt(options.target)
    run_in_child(describe_gpu)  # the build would do without it, the run would not
    if asked.plan is None:
        log.warning("%s: building its plan for this GPU, once", asked.model)
    with phases() as progress:
        build_plan(model, calibration, path, replace(options, root=asked.root, progress=progress))
