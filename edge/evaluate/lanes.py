"""Pictures through one engine or two at once, in step, as the live loop sends them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

import numpy as np

from edge.errors import ModelError
from edge.image import Fitter

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from edge.engine.base import Engine, Slot
    from edge.frame import Data, Pixels
    from edge.model.contract import Contract

T = TypeVar("T")

Scores: TypeAlias = "npt.NDArray[np.float32]"
"""What a network gives for one picture: float32 (C,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model that is judged, on the engine that runs it."""

    engine: Engine
    contract: Contract

    @property
    def depth(self) -> int:
        """How many pictures may be in flight: whole batches, however full they are."""
        info = self.engine.info
        return info.slots // info.batch * info.batch


class Lane:
    """Keeps one engine busy; see `edge.engine.base.Engine` for what it must not do."""

    def __init__(self, contender: Contender) -> None:
        self._engine = contender.engine
        self._contract = contender.contract
        self._fitter = Fitter(contender.contract)
        self._spare: Slot | None = None
        self._waiting: list[Slot] = []
        self._running = 0

    def fit(self, data: Data) -> Pixels:
        """Cut and resize a picture into the next slot; gives the slot's memory.

        Raises:
            InputError: the picture is damaged; the slot is free for the next one.
        """
        pixels = self._next_slot().pixels
        self._fitter.fit(data, pixels)
        return pixels

    def copy(self, view: Pixels) -> None:
        """Take for the next slot what another lane has fitted."""
        self._next_slot().pixels[...] = view

    def start(self) -> None:
        """Send the filled slot; it may wait for others of its batch."""
        self._waiting.append(self._next_slot())
        self._spare = None
        if len(self._waiting) == self._engine.info.batch:
            self._submit()

    def collect(self) -> Scores:
        """Give the scores of the oldest picture.

        Raises:
            EngineLostError: the device failed.
            ModelError: the scores are no numbers.
        """
        if not self._running:
            self._submit()
        self._running -= 1
        values = self._engine.collect().values
        if not np.isfinite(values).all():
            raise ModelError(
                f"{self._contract.name}: gives scores that are no numbers",
                hint="Check the model, or try another --engine",
            )
        return values

    def sees_as(self, other: Lane) -> bool:
        """Tell whether both networks look at the same part of a picture in the same size."""
        one, two = self._contract, other._contract
        rules = [(c.input_hw, c.resize, c.resize_short_px) for c in (one, two)]
        return rules[0] == rules[1]

    def _next_slot(self) -> Slot:
        if self._spare is None:
            self._spare = self._engine.acquire()
        return self._spare

    def _submit(self) -> None:
        self._engine.submit(*self._waiting)
        self._running += len(self._waiting)
        self._waiting = []
        self._spare = None  # where it lies behind theirs, it went with them


class Lanes(Generic[T]):
    """Sends each picture through all contenders, several in flight, and gives scores in order.

    Args:
        contenders: one or more; the one with the least room says how many are in flight.
    """

    def __init__(self, contenders: Sequence[Contender]) -> None:
        self._lanes = [Lane(contender) for contender in contenders]
        self._depth = min(contender.depth for contender in contenders)
        self._marks: deque[T] = deque()

    def __len__(self) -> int:
        """How many pictures are in flight."""
        return len(self._marks)

    @property
    def is_full(self) -> bool:
        """Whether one has to be taken before the next one is put."""
        return len(self._marks) == self._depth

    def put(self, mark: T, data: Data) -> None:
        """Start a picture.

        Args:
            mark: comes back with its scores.
            data: the picture.

        Raises:
            InputError: the picture is damaged and was not started.
        """
        first, *others = self._lanes
        view = first.fit(data)
        for lane in others:
            if lane.sees_as(first):
                lane.copy(view)
            else:
                lane.fit(data)
        for lane in self._lanes:
            lane.start()
        self._marks.append(mark)

    def take(self) -> tuple[T, list[Scores]]:
        """Wait for the oldest picture; gives its mark, and its scores from each contender.

        Raises:
            EngineLostError: a device failed.
            ModelError: scores are no numbers.
        """
        return self._marks.popleft(), [lane.collect() for lane in self._lanes]
