"""Loads a plan and queues it on a stream: the one file that only a GPU can prove.

Source: NVIDIA TensorRT Python API reference, `ICudaEngine` and `IExecutionContext`.
"""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, Any

from edge.engine.base import LayerTime
from edge.engine.trt_hooks import make_log, make_profiler
from edge.errors import EngineLostError, PlanMismatchError, UnavailableError

if TYPE_CHECKING:
    from edge.engine.plan import Sidecar


class PlanSession:
    """A plan on the GPU; see `edge.engine.tensorrt.Session`.

    CUDA's context must be current for every call, and be started before TensorRT is: without a
    driver TensorRT crashes.

    Args:
        trt: the module of the plan's product.
        plan: its bytes, already checked against the sidecar.
        sidecar: of the plan; its contract decides the shape of the input.
        times_layers: whether it takes the time of each layer; `enqueue` then waits for the GPU.

    Raises:
        PlanMismatchError: TensorRT refuses the plan, or it has other inputs and outputs.
        UnavailableError: TensorRT cannot start, or the GPU has no memory for the plan.
    """

    def __init__(
        self,
        trt: Any,  # noqa: ANN401 - a module without types
        plan: bytes,
        sidecar: Sidecar,
        *,
        times_layers: bool = False,
    ) -> None:
        log = make_log(trt)
        try:
            runtime = trt.Runtime(log)
        except TypeError as error:  # what the binding raises when the library gives no runtime
            raise UnavailableError(
                f"tensorrt: cannot start ({_reason(log)})", hint="Check the GPU's driver"
            ) from error
        if sidecar.flags.dla_core is not None:
            runtime.DLA_core = sidecar.flags.dla_core
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise _misfit(f"TensorRT refuses it ({_reason(log)})")
        self._pixels, self._scores = _find_tensors(trt, engine)
        context = engine.create_execution_context()
        if context is None:
            raise UnavailableError(
                f"tensorrt: no memory for the plan ({_reason(log)})",
                hint="Close other programs that use the GPU",
            )
        self._log, self._runtime, self._engine, self._context = log, runtime, engine, context
        self._picture, self._count = (*sidecar.contract.input_hw, 3), 0
        batch = sidecar.batch
        for count in (batch.most, batch.least):
            if not self._set_count(count):
                raise _misfit(f"it takes no input of {(count, *self._picture)} ({_reason(log)})")
        self.values = math.prod(context.get_tensor_shape(self._scores)) // batch.least
        self._kinds = {told.name: told.kind for told in sidecar.layers}
        self._profiler = make_profiler(trt) if times_layers else None
        if self._profiler is not None:
            context.profiler = self._profiler

    def enqueue(self, pixels: int, scores: int, count: int, stream: int) -> None:
        """Queue the network; returns at once."""
        context = self._context
        if not (
            self._set_count(count)
            and context.set_tensor_address(self._pixels, pixels)
            and context.set_tensor_address(self._scores, scores)
            and context.execute_async_v3(stream)
        ):
            raise EngineLostError(
                f"tensorrt: the GPU did not take a frame ({_reason(self._log)})",
                hint="Look into dmesg, or run with --engine openvino",
            )

    def read_layers(self) -> tuple[LayerTime, ...]:
        """Give the mean time of each layer; none where they are not timed."""
        if self._profiler is None:
            return ()
        return tuple(
            LayerTime(name, self._kinds.get(name, ""), round(fmean(times) * 1e6))
            for name, times in self._profiler.times_ms.items()
        )

    def _set_count(self, count: int) -> bool:
        """Set how many pictures come; only where it changes, for TensorRT then works shapes out."""
        context = self._context
        if count != self._count:
            if not context.set_input_shape(self._pixels, (count, *self._picture)):
                return False
            self._count = count
        return True

    def close(self) -> None:
        """Free the plan's memory, in the order in which TensorRT wants it."""
        self._context = None
        self._engine = None
        self._runtime = None


def _find_tensors(trt: Any, engine: Any) -> tuple[str, str]:  # noqa: ANN401 - no types
    """Give the names of the one uint8 input and of the one float32 output."""
    names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
    found = {(engine.get_tensor_mode(name), engine.get_tensor_dtype(name)): name for name in names}
    pixels = found.get((trt.TensorIOMode.INPUT, trt.DataType.UINT8))
    scores = found.get((trt.TensorIOMode.OUTPUT, trt.DataType.FLOAT))
    if pixels is None or scores is None or len(names) != len(found) or len(found) != 2:
        raise _misfit(f"it has other inputs and outputs than edge builds ({', '.join(names)})")
    return pixels, scores


def _misfit(what: str) -> PlanMismatchError:
    return PlanMismatchError(f"the plan: {what}", hint="Run it with --rebuild")


def _reason(log: Any) -> str:  # noqa: ANN401 - its class has no types
    return log.errors[-1].strip().rstrip(".")[:240] if log.errors else "it gives no reason"
