"""The embedded CPU engine: OpenVINO, requests in flight, input written in place."""

from __future__ import annotations

import logging
import os
from collections import deque
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.board import SysRoot, multiplies_int8_exactly
from edge.engine.base import DEFAULT_TUNING, EngineInfo, LayerTime, Scores, Slot
from edge.engine.runtimes import load_openvino
from edge.errors import EngineLostError, ModelError

if TYPE_CHECKING:
    from edge.engine.base import Aim, Tuning
    from edge.model.onnx_file import Model

log = logging.getLogger(__name__)

DEVICE = "CPU"
HERE = SysRoot(Path("/"))

LATENCY_SLOTS = 2
"""One is filled while the other runs."""


def openvino_form(model: Model, root: SysRoot = HERE) -> Model:
    """Give a network in the form whose integers OpenVINO computes right, and fast.

    Args:
        model: as it was quantised; another one stays as it is.
        root: where /proc is, to tell what this CPU makes of int8.
    """
    from edge.engine.float_levels import with_float_levels
    from edge.engine.hoisted import with_hoisted_quantizers
    from edge.engine.raised import raise_lowered
    from edge.engine.unsigned import with_unsigned_activations

    if not model.is_int8:
        return model
    raised = raise_lowered(model)
    if multiplies_int8_exactly(root):
        return with_unsigned_activations(with_hoisted_quantizers(raised))
    log.info("%s: this CPU has no VNNI, so INT8 takes the time of fp32", model.contract.name)
    return with_float_levels(raised)


class OpenVINOEngine:
    """Runs a folded model on the CPU; see `edge.engine.base.Engine`.

    Args:
        model: with uint8 pixels as its input.
        aim: one stream with all cores, or one stream a core.
        tuning: how many those cores are, and whether layers are timed.

    Raises:
        ModelError: OpenVINO does not take this network.
    """

    def __init__(self, model: Model, aim: Aim = "latency", tuning: Tuning = DEFAULT_TUNING) -> None:
        core = load_openvino().Core()
        try:
            compiled = core.compile_model(
                core.read_model(openvino_form(model).to_bytes()), DEVICE, _options(aim, tuning)
            )
        except RuntimeError as error:
            raise ModelError(
                f"{model.contract.name}: OpenVINO cannot run this network ({_reason(error)})",
                hint="Try --engine onnxruntime",
            ) from error
        self._start(core, compiled, "int8" if model.is_int8 else "fp32", aim)

    @classmethod
    def restore(cls, exported: bytes, precision: str, aim: Aim) -> OpenVINOEngine:
        """Open what `export` gave for the same aim, without compiling it again.

        Raises:
            ModelError: OpenVINO does not take it.
        """
        core = load_openvino().Core()
        try:
            compiled = core.import_model(BytesIO(exported), DEVICE, _options(aim, DEFAULT_TUNING))
        except RuntimeError as error:
            raise ModelError(
                f"a network kept by OpenVINO cannot be opened ({_reason(error)})",
                hint="Delete it, so that it is compiled again",
            ) from error
        engine = cls.__new__(cls)
        engine._start(core, compiled, precision, aim)  # noqa: SLF001 - the class's own
        return engine

    def export(self) -> bytes:
        """Give the compiled network for `restore`, on this kind of CPU and this OpenVINO."""
        exported = BytesIO()
        self._compiled.export_model(exported)
        return exported.getvalue()

    def _start(self, core: Any, compiled: Any, precision: str, aim: Aim) -> None:  # noqa: ANN401 - OpenVINO's classes are not loaded yet
        slots = LATENCY_SLOTS if aim == "latency" else compiled.get_property("NUM_STREAMS") + 1
        self._compiled = compiled
        self._requests: list[Any] = [compiled.create_infer_request() for _ in range(slots)]
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
            device=str(core.get_property(DEVICE, "FULL_DEVICE_NAME")).strip(),
            precision=precision,
            slots=slots,
            aim=aim,
        )

    def acquire(self) -> Slot:
        """Give a free slot."""
        return self._free.popleft()

    def submit(self, *slots: Slot) -> None:
        """Start the network on one slot in OpenVINO's own threads."""
        (slot,) = slots
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

    def read_layers(self) -> tuple[LayerTime, ...]:
        """Give what each layer took; what was merged into another one took nothing."""
        return tuple(
            LayerTime(info.node_name, info.exec_type, round(info.real_time.total_seconds() * 1e9))
            for info in self._requests[0].profiling_info
            if info.status == info.Status.EXECUTED
        )

    def close(self) -> None:
        """Wait for what is running and let go of the memory."""
        for slot in self._running:
            self._requests[slot.index].wait()
        self._running.clear()
        self._free.clear()
        self._slots.clear()
        self._requests.clear()
        self._compiled = None


def describe_runtime() -> str:
    """Name the OpenVINO and the CPU, other ones of which may want another network."""
    openvino = load_openvino()
    core = openvino.Core()
    abilities = core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES")
    return f"{openvino.__version__} {core.get_property(DEVICE, 'FULL_DEVICE_NAME')} {abilities}"


def _options(aim: Aim, tuning: Tuning) -> dict[str, Any]:
    """Spend the cores on one frame, or give each a frame of its own."""
    cores = tuning.threads or len(os.sched_getaffinity(0))
    threads: dict[str, Any] = (
        {"PERFORMANCE_HINT": "LATENCY"} if aim == "latency" else {"NUM_STREAMS": cores}
    )
    if aim == "throughput" or tuning.threads is not None:
        threads["INFERENCE_NUM_THREADS"] = cores
    return {
        **threads,
        "PERF_COUNT": tuning.times_layers,
        "INFERENCE_PRECISION_HINT": "f32",  # not bfloat16 where the CPU has it
        "ENABLE_CPU_PINNING": False,  # the capture thread wants a core too
    }


def _reason(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".")[:160] if lines else "no reason given"
