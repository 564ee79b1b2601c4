"""An engine without a network: equal scores at once, to measure everything around it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from edge.engine.base import EngineInfo, Scores, Slot

if TYPE_CHECKING:
    from edge.model.onnx_file import Model

SLOTS = 2


class NullEngine:
    """Gives zeros; see `edge.engine.base.Engine`.

    Args:
        model: decides the input size and the number of scores.
    """

    def __init__(self, model: Model) -> None:
        shape = (*model.contract.input_hw, 3)
        self._free = deque(Slot(index, np.zeros(shape, np.uint8)) for index in range(SLOTS))
        self._running: deque[Slot] = deque()
        self._scores = np.zeros(len(model.contract.labels), dtype=np.float32)
        self.info = EngineInfo(name="null", device="none", precision="none", slots=SLOTS)

    def acquire(self) -> Slot:
        """Give a free slot."""
        return self._free.popleft()

    def submit(self, slot: Slot) -> None:
        """Count the slot as running."""
        self._running.append(slot)

    def collect(self) -> Scores:
        """Give zeros."""
        self._free.append(self._running.popleft())
        return Scores(self._scores.copy(), 0)

    def close(self) -> None:
        """Hold nothing, release nothing."""
