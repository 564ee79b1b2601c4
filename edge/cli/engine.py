"""Opens the engine that a command asks for, and falls back from the GPU to the CPU."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from edge.cli.asked import find_model
from edge.engine.base import AUTO, DEFAULT_TUNING, TENSORRT, open_engine
from edge.errors import (
    BuildError,
    EngineLostError,
    InputError,
    PlanMismatchError,
    UnavailableError,
)
from edge.model.zoo import resolve_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.cli.asked import Asked
    from edge.engine.base import Engine
    from edge.model.contract import Contract

log = logging.getLogger(__name__)

NO_GPU = (UnavailableError, BuildError, EngineLostError, PlanMismatchError)
"""What lets `auto` go on without the GPU."""


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
    with open_engine(AUTO, model, asked.aim, asked.tuning) as engine:
        yield engine, model.contract


def _enter(stack: ExitStack, asked: Asked) -> tuple[Engine, Contract]:
    if asked.wants_gpu:
        from edge.cli.plans import enter_gpu  # not on the way to the first label of a CPU

        try:
            return enter_gpu(stack, asked)
        except NO_GPU as error:
            if asked.engine != AUTO:
                raise
            return stack.enter_context(open_on_cpu(asked, error))
    if asked.plan is not None:
        raise InputError(
            f"{asked.plan}: is a plan for the GPU, {asked.engine} runs ONNX models",
            hint=f"Use --engine {TENSORRT}, or give the model",
        )
    can_be_kept = asked.engine in {AUTO, "openvino"} and asked.tuning == DEFAULT_TUNING
    if can_be_kept and find_spec("openvino"):
        from edge.engine.kept import open_kept

        return stack.enter_context(open_kept(resolve_model(asked.model), asked.aim))
    model = find_model(asked)
    engine = open_engine(asked.engine, model, asked.aim, asked.tuning)
    return stack.enter_context(engine), model.contract
