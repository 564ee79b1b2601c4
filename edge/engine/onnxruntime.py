"""The reference engine: ONNX Runtime on the CPU, one frame at a time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.board import SysRoot, multiplies_int8_exactly
from edge.engine.base import DEFAULT_TUNING, EngineInfo, Scores, Slot
from edge.engine.integer_convs import with_integer_convs
from edge.engine.raised import raise_lowered
from edge.engine.runtimes import load_onnxruntime
from edge.engine.unsigned import with_unsigned_activations
from edge.errors import EngineLostError, ModelError

if TYPE_CHECKING:
    from edge.engine.base import Aim, Tuning
    from edge.model.onnx_file import Model

QUIET = 3

BIAS_ROUNDING = "WeightBiasQuantization"
"""Makes float biases int32 multiples of the scales, which our networks do not ask for: that moves
a channel a little, and cuts the bias of one whose weights are all zero and whose scale is tiny.
"""

EXACT_PRODUCTS = "session.x64quantprecision"
"""Keeps sums of int8 products from saturating on a CPU without VNNI; elsewhere it only costs time.
Source: ONNX Runtime, `onnxruntime_session_options_config_keys.h`.
"""

HERE = SysRoot(Path("/"))


def onnxruntime_form(model: Model) -> Model:
    """Give a network in the form whose convolutions ONNX Runtime computes in integers."""
    if not model.is_int8:
        return model
    return with_integer_convs(with_unsigned_activations(raise_lowered(model)))


class ONNXRuntimeEngine:
    """Runs a folded model on the CPU; see `edge.engine.base.Engine`.

    Args:
        model: with uint8 pixels as its input.
        aim: changes nothing.
        tuning: its threads; layers are not timed.

    Raises:
        ModelError: ONNX Runtime does not take this network.
    """

    def __init__(self, model: Model, aim: Aim = "latency", tuning: Tuning = DEFAULT_TUNING) -> None:
        onnxruntime = load_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = QUIET
        options.intra_op_num_threads = tuning.threads or 0  # 0 leaves them to ONNX Runtime
        if not multiplies_int8_exactly(HERE):
            options.add_session_config_entry(EXACT_PRODUCTS, "1")
        try:
            self._session = onnxruntime.InferenceSession(
                onnxruntime_form(model).to_bytes(),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=[BIAS_ROUNDING],
            )
        except _failures() as error:
            raise ModelError(
                f"{model.contract.name}: ONNX Runtime cannot run this network ({_reason(error)})",
                hint="Try --engine openvino",
            ) from error
        self._feed = {model.input_name: np.zeros((1, *model.contract.input_hw, 3), dtype=np.uint8)}
        self._slot = Slot(0, self._feed[model.input_name][0])
        self.info = EngineInfo(
            name="onnxruntime",
            device="CPU",
            precision="int8" if model.is_int8 else "fp32",
            slots=1,
            aim=aim,
        )

    def acquire(self) -> Slot:
        """Give the one slot."""
        return self._slot

    def submit(self, *slots: Slot) -> None:
        """Take the one slot; the network runs when its scores are asked for."""
        (_,) = slots

    def collect(self) -> Scores:
        """Run the network."""
        started_ns = time.monotonic_ns()
        try:
            values = self._session.run(None, self._feed)[0]
        except _failures() as error:
            raise EngineLostError(
                f"onnxruntime: inference failed ({_reason(error)})", hint="Try --engine openvino"
            ) from error
        scores = np.asarray(values, dtype=np.float32).reshape(-1)
        return Scores(scores, time.monotonic_ns() - started_ns)

    def close(self) -> None:
        """Let go of the session."""
        self.__dict__.pop("_session", None)


def _failures() -> tuple[type[Exception], ...]:
    """Give ONNX Runtime's error classes, which share no base class of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    return tuple(
        value
        for value in vars(native).values()
        if isinstance(value, type) and issubclass(value, Exception)
    )


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or ["no reason given"])[0].rstrip(".")[:160]
