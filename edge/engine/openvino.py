"""The embedded CPU engine: OpenVINO, two requests in flight, input written in place."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.engine.base import EngineInfo, Scores, Slot
from edge.engine.raised import raise_lowered
from edge.engine.unsigned import with_unsigned_activations
from edge.errors import EngineLostError, ModelError

if TYPE_CHECKING:
    from edge.model.onnx_file import Model

SLOTS = 2


def openvino_form(model: Model) -> Model:
    """Give a network in the form whose integers OpenVINO computes right, and fast."""
    return with_unsigned_activations(raise_lowered(model)) if model.is_int8 else model


class OpenVINOEngine:
    """Runs a folded model on the CPU; see `edge.engine.base.Engine`.

    Args:
        model: with uint8 pixels as its input.

    Raises:
        ModelError: OpenVINO does not take this network.
    """

    def __init__(self, model: Model) -> None:
        import openvino

        core = openvino.Core()
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # not bfloat16 where the CPU has it
            "ENABLE_CPU_PINNING": False,  # the capture thread wants a core too
        }
        try:
            compiled = core.compile_model(
                core.read_model(openvino_form(model).to_bytes()), "CPU", options
            )
        except RuntimeError as error:
            raise ModelError(
                f"{model.contract.name}: OpenVINO cannot run this network ({_reason(error)})",
                hint="Try --engine onnxruntime",
            ) from error
        self._requests: list[Any] = [compiled.create_infer_request() for _ in range(SLOTS)]
        self._slots = [
            Slot(index, request.get_input_tensor().data[0])
            for index, request in enumerate(self._requests)
        ]
        for request in self._requests:
            request.infer()  # the first run makes kernels ready, which no frame should wait for
        self._free = deque(self._slots)
        self._running: deque[Slot] = deque()
        self.info = EngineInfo(
            name="openvino",
            device=str(core.get_property("CPU", "FULL_DEVICE_NAME")).strip(),
            precision="int8" if model.is_int8 else "fp32",
            slots=SLOTS,
        )

    def acquire(self) -> Slot:
        """Give a free slot."""
        return self._free.popleft()

    def submit(self, slot: Slot) -> None:
        """Start the network in OpenVINO's own threads."""
        self._requests[slot.index].start_async()
        self._running.append(slot)

    def collect(self) -> Scores:
        """Wait for the oldest request."""
        slot = self._running.popleft()
        request = self._requests[slot.index]
        try:
            request.wait()
        except RuntimeError as error:
            raise EngineLostError(
                f"openvino: inference failed ({_reason(error)})", hint="Try --engine onnxruntime"
            ) from error
        self._free.append(slot)
        values = np.array(request.get_output_tensor().data, dtype=np.float32).reshape(-1)
        return Scores(values, round(request.latency * 1e6))

    def close(self) -> None:
        """Wait for what is running and let go of the memory."""
        for slot in self._running:
            self._requests[slot.index].wait()
        self._running.clear()
        self._free.clear()
        self._slots.clear()
        self._requests.clear()


def _reason(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".")[:160] if lines else "no reason given"
