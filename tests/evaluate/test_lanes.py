"""Two engines in step: every picture's scores come back to it, however the engines batch."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import make_contract

from edge.engine.base import EngineInfo, Scores, Slot
from edge.errors import InputError, ModelError
from edge.evaluate.lanes import Contender, Lanes
from edge.frame import Jpeg

SIDE = 8
PLACES = st.tuples(st.integers(1, 4), st.integers(1, 3))
"""Pictures a batch, and batches."""

TAKE = -1


class StrictEngine:
    """Scores a picture by its first value, and fails where the protocol is not kept."""

    def __init__(self, batch: int, batches: int, side: int = SIDE) -> None:
        pixels = np.zeros((batch * batches, side, side, 3), np.uint8)
        self.info = EngineInfo("strict", "none", "fp32", batch * batches, "throughput", batch)
        self._lanes = deque(
            [Slot(lane * batch + place, pixels[lane * batch + place]) for place in range(batch)]
            for lane in range(batches)
        )
        self._open: deque[Slot] = deque()
        self._running: deque[list[Slot]] = deque()
        self._arrived: deque[float] = deque()
        self._out: set[int] = set()

    def acquire(self) -> Slot:
        if not self._open:
            self._open.extend(self._lanes.popleft())  # an IndexError: more than are free
        slot = self._open.popleft()
        self._out.add(slot.index)
        return slot

    def submit(self, *slots: Slot) -> None:
        assert 1 <= len(slots) <= self.info.batch
        assert self._out.issuperset(slot.index for slot in slots)  # none that is void
        lanes = {slot.index // self.info.batch for slot in slots}
        assert len(lanes) == 1
        self._running.append(list(slots))
        self._out = {index for index in self._out if index // self.info.batch not in lanes}
        self._open = deque(s for s in self._open if s.index // self.info.batch not in lanes)

    def collect(self) -> Scores:
        if not self._arrived:
            slots = self._running.popleft()
            self._arrived.extend(float(slot.pixels[0, 0, 0]) for slot in slots)
            whole = [Slot(i, self._memory(slots[0], i)) for i in self._indexes(slots[0])]
            self._lanes.append(whole)
        return Scores(np.array([self._arrived.popleft(), 0.0], np.float32), 0)

    def close(self) -> None:
        pass

    def _indexes(self, slot: Slot) -> range:
        start = slot.index // self.info.batch * self.info.batch
        return range(start, start + self.info.batch)

    @staticmethod
    def _memory(slot: Slot, index: int) -> np.ndarray:
        return slot.pixels.base[index]


def contend(place: tuple[int, int], side: int = SIDE) -> Contender:
    contract = make_contract(input_hw=(side, side), resize_short_px=side)
    return Contender(StrictEngine(*place, side), contract)


def flow(contenders, values):
    """Send pictures of one colour; None is a damaged one, and TAKE takes one before it must."""
    lanes, out, damaged = Lanes(contenders), [], 0
    for value in values:
        if lanes.is_full or (value == TAKE and len(lanes)):
            out.append(lanes.take())
        if value == TAKE:
            continue
        data = Jpeg(b"damaged", 9, 9) if value is None else np.full((9, 9, 3), value, np.uint8)
        try:
            lanes.put(value, data)
        except InputError:
            damaged += 1
    while len(lanes):
        out.append(lanes.take())
    return out, damaged


@given(
    places=st.lists(PLACES, min_size=1, max_size=2),
    values=st.lists(st.one_of(st.sampled_from([None, TAKE]), st.integers(0, 255)), max_size=30),
    other_side=st.sampled_from([SIDE, SIDE - 2]),
)
def test_every_picture_gets_its_own_scores_in_order(places, values, other_side):
    sides = (SIDE, other_side)
    contenders = [contend(place, side) for place, side in zip(places, sides, strict=False)]
    out, damaged = flow(contenders, values)
    assert [mark for mark, _ in out] == [one for one in values if one not in {None, TAKE}]
    assert damaged == values.count(None)
    for mark, scores in out:
        assert [one[0] for one in scores] == [mark] * len(contenders)


def test_as_many_are_in_flight_as_the_smaller_engine_takes():
    lanes = Lanes([contend((1, 3)), contend((4, 2))])
    for number in range(3):
        assert not lanes.is_full
        lanes.put(number, np.zeros((9, 9, 3), np.uint8))
    assert lanes.is_full


def test_scores_that_are_no_numbers_are_refused():
    class Broken(StrictEngine):
        def collect(self) -> Scores:
            super().collect()
            return Scores(np.array([np.nan, 1.0], np.float32), 0)

    broken = Contender(Broken(1, 1), make_contract(input_hw=(SIDE, SIDE), resize_short_px=SIDE))
    with pytest.raises(ModelError, match="small: gives scores that are no numbers"):
        flow([broken], [1])
