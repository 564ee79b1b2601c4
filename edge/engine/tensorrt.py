"""The GPU engine: a plan with two slots of page-locked memory on one stream."""

from __future__ import annotations

from collections import deque
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edge.engine.base import EngineInfo, Scores, Slot
from edge.engine.cuda import Device
from edge.engine.plan import Machine, read_plan, read_sidecar
from edge.engine.trt_api import load_tensorrt
from edge.engine.trt_session import PlanSession
from edge.errors import EdgeError, PlanMismatchError
from edge.model.top_k import spread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.engine.base import Engine
    from edge.engine.cuda import Buffer
    from edge.engine.plan import Sidecar
    from edge.model.contract import Contract

SLOTS = 2


class Session(Protocol):
    """A loaded network that works on a stream of the GPU."""

    values: int
    """How many float32 values it writes for a picture."""

    def enqueue(self, pixels: int, scores: int, stream: int) -> None:
        """Queue the network; returns at once.

        Args:
            pixels: address on the GPU, uint8 (1, H, W, 3) BGR.
            scores: address on the GPU, float32 (1, `values`).
            stream: handle of the stream.

        Raises:
            EngineLostError: it was refused.
        """

    def close(self) -> None:
        """Let go of what it holds on the GPU."""


@contextmanager
def open_plan(
    path: Path, *, board: str | None, model_sha256: str | None = None
) -> Iterator[tuple[Engine, Contract]]:
    """Open a plan for the length of a `with` block, after its sidecar was checked.

    Args:
        path: of the plan.
        board: the name of this Jetson; None elsewhere.
        model_sha256: of the model that the plan should be of; None takes any.

    Raises:
        InputError: there is no such plan, or its sidecar cannot be read.
        PlanMismatchError: the plan is for something else, or TensorRT refuses it.
        UnavailableError: TensorRT, pycuda, the driver or memory is missing.
    """
    product = read_sidecar(path).product
    trt = load_tensorrt(product)
    device = Device()  # before TensorRT, which crashes without a driver
    try:
        gpu = device.gpu
        machine = Machine(str(trt.__version__), board or gpu.name, gpu.compute_capability)
        sidecar, plan = read_plan(path, machine, model_sha256=model_sha256)
        with device.current():
            session = PlanSession(trt, plan, sidecar.contract, sidecar.flags.dla_core)
        opened = TensorRTEngine(session, device, sidecar)
    except EdgeError:
        device.close()
        raise
    with closing(opened):
        yield opened, sidecar.contract


@dataclass(frozen=True, slots=True, eq=False)
class _Lane:
    """What one slot owns."""

    slot: Slot
    pixels: Buffer
    scores: Buffer
    started: Any
    computed: Any
    done: Any


class TensorRTEngine:
    """Runs a session on the GPU; see `edge.engine.base.Engine`.

    A slot's memory ends with `close`.

    Args:
        session: the network; closed with this engine.
        device: open; closed with this engine.
        sidecar: of the session's plan.

    Raises:
        PlanMismatchError: the session gives another number of values than the sidecar says.
        UnavailableError: the GPU has no memory for the buffers.
    """

    def __init__(self, session: Session, device: Device, sidecar: Sidecar) -> None:
        top_k = sidecar.flags.top_k
        self._classes = len(sidecar.contract.labels)
        self._picks = top_k is not None
        values = self._classes if top_k is None else 2 * top_k
        if session.values != values:
            raise PlanMismatchError(
                f"the plan: gives {session.values} values, its sidecar says {values}",
                hint="Run it with --rebuild",
            )
        self._session = session
        self._device = device
        self._lanes = [
            _open_lane(index, device, sidecar.contract.input_hw, values) for index in range(SLOTS)
        ]
        self._free = deque(lane.slot for lane in self._lanes)
        self._running: deque[_Lane] = deque()
        self.info = EngineInfo(
            name="tensorrt", device=device.gpu.name, precision=sidecar.precision, slots=SLOTS
        )

    def acquire(self) -> Slot:
        """Give a free slot."""
        return self._free.popleft()

    def submit(self, slot: Slot) -> None:
        """Queue the copy in, the network and the copy out."""
        lane, device = self._lanes[slot.index], self._device
        with device.current():
            device.upload(lane.pixels)
            device.record(lane.started)
            self._session.enqueue(lane.pixels.address, lane.scores.address, device.stream)
            device.record(lane.computed)
            device.download(lane.scores)
            device.record(lane.done)
        self._running.append(lane)

    def collect(self) -> Scores:
        """Wait for the oldest slot alone."""
        lane, device = self._running.popleft(), self._device
        with device.current():
            device.wait(lane.done)
            infer_ns = device.elapsed_ns(lane.started, lane.computed)
        given = lane.scores.host
        scores = spread(given, self._classes) if self._picks else given.copy()
        self._free.append(lane.slot)
        return Scores(scores, infer_ns)

    def close(self) -> None:
        """Wait for what is queued and free everything."""
        if not self._lanes:
            return
        self._lanes.clear()
        self._free.clear()
        self._running.clear()
        self._device.close(self._session.close)


def _open_lane(index: int, device: Device, input_hw: tuple[int, int], values: int) -> _Lane:
    pixels = device.allocate((*input_hw, 3), np.uint8)
    scores = device.allocate((values,), np.float32)
    events = [device.make_event() for _ in range(3)]
    return _Lane(Slot(index, pixels.host), pixels, scores, *events)
