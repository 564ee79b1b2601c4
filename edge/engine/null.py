"""An engine without a network: equal scores at once or late, to measure everything around it."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from edge.engine.base import DEFAULT_TUNING, EngineInfo, Scores, Slot

if TYPE_CHECKING:
    from edge.engine.base import Aim, Tuning
    from edge.model.onnx_file import Model

SLOTS = 2


class NullEngine:
    """Gives zeros; see `edge.engine.base.Engine`.

    Args:
        model: decides the input size and the number of scores.
        aim: changes nothing.
        delay_ms: how long a frame takes, as a slow network would.
    """

    def __init__(
        self,
        model: Model,
        aim: Aim = "latency",
        _tuning: Tuning = DEFAULT_TUNING,
        *,
        delay_ms: float = 0.0,
    ) -> None:
        shape = (*model.contract.input_hw, 3)
        self._free = deque(Slot(index, np.zeros(shape, np.uint8)) for index in range(SLOTS))
        self._running: deque[tuple[Slot, int]] = deque()
        self._delay_ns = round(delay_ms * 1e6)
        self._free_ns = 0
        self._scores = np.zeros(len(model.contract.labels), dtype=np.float32)
        self.info = EngineInfo(name="null", device="none", precision="none", slots=SLOTS, aim=aim)

    def acquire(self) -> Slot:
        """Give a free slot."""
        return self._free.popleft()

    def submit(self, *slots: Slot) -> None:
        """Count the one slot as running."""
        (slot,) = slots
        now_ns = time.monotonic_ns()
        self._free_ns = max(now_ns, self._free_ns) + self._delay_ns
        self._running.append((slot, self._free_ns))

    def collect(self) -> Scores:
        """Give zeros, once the frame's time is over."""
        slot, done_ns = self._running.popleft()
        if self._delay_ns:
            time.sleep(max(0, done_ns - time.monotonic_ns()) / 1e9)
        self._free.append(slot)
        return Scores(self._scores.copy(), self._delay_ns)

    def close(self) -> None:
        """Hold nothing, release nothing."""
