"""Opens the plan of what was asked for on the GPU, and builds it where there is none that fits."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from edge.assets import user_folder
from edge.build.options import BuildOptions, model_source, options_of
from edge.build.plan import build_plan
from edge.cli.asked import find_model
from edge.cli.progress import phases
from edge.engine.child import run_in_child
from edge.engine.cuda import describe_gpu
from edge.engine.plan import read_sidecar
from edge.engine.tensorrt import open_plan
from edge.engine.trt_api import load_tensorrt
from edge.errors import ModelError, PlanMismatchError
from edge.quant.dataset import open_calibration_set

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from edge.cli.asked import Asked
    from edge.engine.base import Engine
    from edge.model.contract import Contract
    from edge.model.onnx_file import Model

log = logging.getLogger(__name__)


def enter_gpu(stack: ExitStack, asked: Asked) -> tuple[Engine, Contract]:
    """Open the plan, which is built first where it has to be; closed with the stack.

    Raises:
        InputError: there is no such model.
        ModelError: the sidecar of the given plan cannot be read.
        PlanMismatchError: the plan fits nothing here, and nobody knows how it was built.
        UnavailableError: this machine lacks what the GPU needs.
        BuildError: a plan was needed and could not be built.
    """
    if asked.plan is not None:
        path, model_sha256 = asked.plan, None
    else:
        model = find_model(asked)
        path, model_sha256 = kept_plan(model), model.sha256()
    opened = partial(open_plan, path, board=asked.board, aim=asked.aim, tuning=asked.tuning)
    if not asked.rebuild and (asked.plan is not None or path.exists()):
        try:
            return stack.enter_context(opened(model_sha256=model_sha256))
        except (ModelError, PlanMismatchError) as error:
            if asked.plan is not None:
                read_sidecar(asked.plan)  # who else could tell how to build it
            log.warning("%s. Building it again", error.args[0])
    _build(path, asked)
    return stack.enter_context(opened())


def kept_plan(model: Model) -> Path:
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
