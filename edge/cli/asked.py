"""What a person asked to run: a model, an engine, and what follows from both."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.board import detect_board
from edge.engine.base import AUTO, DEFAULT_TUNING, TENSORRT
from edge.engine.plan import read_sidecar
from edge.engine.trt_api import is_installed
from edge.errors import InputError
from edge.model.zoo import resolve_model

if TYPE_CHECKING:
    from edge.board import SysRoot
    from edge.engine.base import Aim, Tuning
    from edge.model.onnx_file import Model

log = logging.getLogger(__name__)

PLAN_SUFFIXES = (".plan", ".engine")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked to run.

    Attributes:
        model: a plan, an ONNX file or a catalogue name.
        engine: as `--engine` takes it.
        rebuild: build the plan again even if it fits.
        root: where /proc and /etc are.
        aim: soon, or many.
        tuning: what else the engine is told.
    """

    model: str
    engine: str
    rebuild: bool
    root: SysRoot
    aim: Aim = "latency"
    tuning: Tuning = DEFAULT_TUNING

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


def find_model(asked: Asked) -> Model:
    """Load the ONNX that is to run, or that the plan was built from.

    Raises:
        InputError: it is not here, or the plan does not say which it was.
    """
    from edge.model.onnx_file import load_model

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
