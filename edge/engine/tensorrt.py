"""The GPU engine: a plan with two lanes of page-locked memory on one stream, a batch in each."""

from __future__ import annotations

from collections import deque
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edge.engine.base import DEFAULT_TUNING, EngineInfo, Scores, Slot
from edge.engine.cuda import Device
from edge.engine.plan import Machine, read_plan, read_sidecar
from edge.engine.trt_api import load_tensorrt
from edge.engine.trt_session import PlanSession
from edge.errors import EdgeError, PlanMismatchError
from edge.model.top_k import spread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.engine.base import Aim, Engine, LayerTime, Tuning
    from edge.engine.cuda import Buffer
    from edge.engine.plan import Sidecar
    from edge.model.contract import Contract

LANES = 2
"""One is filled while the GPU works on the other."""


class Session(Protocol):
    """A loaded network that works on a stream of the GPU."""

    values: int
    """How many float32 values it writes for a picture."""

    def enqueue(self, pixels: int, scores: int, count: int, stream: int) -> None:
        """Queue the network; returns at once.

        Args:
            pixels: address on the GPU, uint8 (`count`, H, W, 3) BGR.
            scores: address on the GPU, float32 (`count`, `values`).
            count: of pictures, which the plan's batch allows.
            stream: handle of the stream.

        Raises:
            EngineLostError: it was refused.
        """

    def read_layers(self) -> tuple[LayerTime, ...]:
        """See `edge.engine.base.TellsLayers`."""

    def close(self) -> None:
        """Let go of what it holds on the GPU."""


@contextmanager
def open_plan(
    path: Path,
    *,
    board: str | None,
    model_sha256: str | None = None,
    aim: Aim = "latency",
    tuning: Tuning = DEFAULT_TUNING,
) -> Iterator[tuple[Engine, Contract]]:
    """Open a plan for the length of a `with` block, after its sidecar was checked.

    Args:
        path: of the plan.
        board: the name of this Jetson; None elsewhere.
        model_sha256: of the model that the plan should be of; None takes any.
        aim: what the loop should keep in flight; the GPU does the same for both.
        tuning: whether layers are timed; the GPU has no threads to set.

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
            session = PlanSession(trt, plan, sidecar, times_layers=tuning.times_layers)
        opened = TensorRTEngine(session, device, sidecar, aim)
    except EdgeError:
        device.close()
        raise
    with closing(opened):
        yield opened, sidecar.contract


@dataclass(frozen=True, slots=True, eq=False)
class _Lane:
    """What one batch owns.

    Attributes:
        slots: the rows of `pixels`.
        pixels: uint8, (batch, H, W, 3), BGR.
        scores: float32, (batch, values).
        started: before the network.
        computed: behind it.
        done: when the scores are on the host's side.
    """

    slots: tuple[Slot, ...]
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
        aim: what the loop should keep in flight.

    Raises:
        PlanMismatchError: the session gives another number of values than the sidecar says.
        UnavailableError: the GPU has no memory for the buffers.
    """

    def __init__(
        self, session: Session, device: Device, sidecar: Sidecar, aim: Aim = "latency"
    ) -> None:
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
        self._least, most = sidecar.batch.least, sidecar.batch.most
        self._lanes = [
            _open_lane(number * most, device, (most, *sidecar.contract.input_hw, 3), values)
            for number in range(LANES)
        ]
        self._free = deque(slot for lane in self._lanes for slot in lane.slots)
        self._running: deque[tuple[_Lane, int]] = deque()
        self._arrived: deque[Scores] = deque()
        self.info = EngineInfo(
            name="tensorrt",
            device=device.gpu.name,
            precision=sidecar.precision,
            slots=LANES * most,
            aim=aim,
            batch=most,
        )

    def acquire(self) -> Slot:
        """Give a free slot."""
        return self._free.popleft()

    def submit(self, *slots: Slot) -> None:
        """Queue the copy in, the network and the copy out.

        Fewer pictures than the plan takes are filled up with whatever the lane's next rows hold.
        """
        number, device = slots[0].index // self.info.batch, self._device
        lane, filled = self._lanes[number], len(slots)
        count = max(filled, self._least)
        with device.current():
            device.upload(lane.pixels, count)
            device.record(lane.started)
            self._session.enqueue(lane.pixels.address, lane.scores.address, count, device.stream)
            device.record(lane.computed)
            device.download(lane.scores, filled)
            device.record(lane.done)
        self._running.append((lane, filled))
        while self._free and self._free[0].index // self.info.batch == number:
            self._free.popleft()  # the rest of the lane goes along

    def collect(self) -> Scores:
        """Give the scores of the oldest slot; its batch alone is waited for, once.

        `infer_ns` is the time that the GPU took for the whole batch, for each of its pictures.
        """
        if not self._arrived:
            self._await_batch()
        return self._arrived.popleft()

    def read_layers(self) -> tuple[LayerTime, ...]:
        """Give what each layer of the plan took, of a whole batch."""
        return self._session.read_layers()

    def close(self) -> None:
        """Wait for what is queued and free everything."""
        if not self._lanes:
            return
        self._lanes.clear()
        self._free.clear()
        self._running.clear()
        self._arrived.clear()
        self._device.close(self._session.close)

    def _await_batch(self) -> None:
        """Wait for the oldest batch, take its scores out of its lane, and free that."""
        (lane, filled), device = self._running.popleft(), self._device
        with device.current():
            device.wait(lane.done)
            infer_ns = device.elapsed_ns(lane.started, lane.computed)
        for given in lane.scores.host[:filled]:
            values = spread(given, self._classes) if self._picks else given.copy()
            self._arrived.append(Scores(values, infer_ns))
        self._free.extend(lane.slots)


def _open_lane(first: int, device: Device, shape: tuple[int, ...], values: int) -> _Lane:
    pixels = device.allocate(shape, np.uint8)
    scores = device.allocate((shape[0], values), np.float32)
    slots = tuple(Slot(first + row, pixels.host[row]) for row in range(shape[0]))
    events = [device.make_event() for _ in range(3)]
    return _Lane(slots, pixels, scores, *events)
