"""The loop over an engine that takes several frames at once: each answer finds its own frame."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import pytest
from doubles import DEADLINE_S, NO_POWER, KeepingSink, ScriptedSource, reading
from samples import LABELS, make_contract, make_frame

from edge.engine.base import EngineInfo, Scores, Slot
from edge.frame import Frame, Jpeg
from edge.loop import LoopOptions, run_loop

if TYPE_CHECKING:
    from collections.abc import Callable

CONTRACT = make_contract(output="probabilities")
DAMAGED = Jpeg(b"\xff\xd8 no picture", 64, 48)


class LaneEngine:
    """Two lanes of slots; the share of the first class is the first value of its pixels.

    It holds its user to the protocol, and counts how many slots came together.
    """

    def __init__(self, batch: int, aim="latency") -> None:
        self.info = EngineInfo("lanes", "none", "none", slots=2 * batch, aim=aim, batch=batch)
        self.sizes = []
        self._lanes = [
            [Slot(first + row, np.zeros((64, 64, 3), np.uint8)) for row in range(batch)]
            for first in (0, batch)
        ]
        self._free = deque(slot for lane in self._lanes for slot in lane)
        self._running = deque()

    def acquire(self) -> Slot:
        return self._free.popleft()

    def submit(self, *slots: Slot) -> None:
        lane = self._lanes[slots[0].index // self.info.batch]
        assert list(slots) == lane[: len(slots)], "slots of one lane, from its first on"
        while self._free and self._free[0] in lane:
            self._free.popleft()
        self.sizes.append(len(slots))
        self._running.append((lane, deque(int(slot.pixels[0, 0, 0]) for slot in slots)))

    def collect(self) -> Scores:
        lane, values = self._running[0]
        scores = np.zeros(len(LABELS), np.float32)
        scores[0] = values.popleft() / 255
        if not values:
            self._running.popleft()
            self._free.extend(lane)
        return Scores(scores, 1)

    def close(self) -> None:
        pass


class GatedEngine(LaneEngine):
    """Calls `go_on` before the first answer of each submission, as if it took so long."""

    def __init__(self, batch: int, go_on: Callable[[], None]) -> None:
        super().__init__(batch)
        self._go_on = go_on

    def collect(self) -> Scores:
        if len(self._running[0][1]) == self.sizes[-1]:
            self._go_on()
        return super().collect()


class Camera(ScriptedSource):
    """A live camera that has its next frame ready when `tick` comes back."""

    def __init__(self, frames) -> None:
        self.left = len(frames)
        self._wanted, self._ready = threading.Semaphore(0), threading.Semaphore(0)
        super().__init__(self._play(frames), live=True)

    def _play(self, frames):
        for frame in frames:
            assert self._wanted.acquire(timeout=DEADLINE_S)
            yield frame
            self._ready.release()  # asked for the next one: this one lies in the slot

    def tick(self) -> None:
        if self.left:
            self.left -= 1
            self._wanted.release()
            assert self._ready.acquire(timeout=DEADLINE_S)


class TickedSources:
    """The sources of a run; their cameras tick when the loop has nothing to do."""

    def __init__(self, captures, cameras) -> None:
        self.captures, self.live = captures.captures, captures.live
        self._sources, self._cameras = captures, cameras

    @property
    def ended(self) -> bool:
        return self._sources.ended

    def take(self, wait_s):
        if wait_s:
            tick(self._cameras)
        return self._sources.take(0)


class FullSources:
    """The sources of a run, which have a frame ready whenever they are asked; live or not."""

    def __init__(self, captures, *, live: bool) -> None:
        self.captures, self.live = captures.captures, live
        self._sources = captures

    @property
    def ended(self) -> bool:
        return self._sources.ended

    def take(self, _wait_s):
        return self._sources.take(DEADLINE_S)


def make_frames(count, *, first=0, source="scripted"):
    """Give frames whose values are their numbers from `first` on."""
    return [
        Frame(np.full((48, 64, 3), first + seq, np.uint8), seq, 0, 0, source)
        for seq in range(count)
    ]


def run(captures, engine, *, sinks=(), **options):
    sink = KeepingSink()
    told = LoopOptions(read_power=lambda: NO_POWER, **options)
    summary = run_loop(captures, engine, CONTRACT, [sink, *sinks], told)
    return summary, sink.records


def answer_of(record) -> int:
    """Give the value of the pixels that the record's scores were made from."""
    shares = {guess.index: guess.p for guess in record.result.top}
    return round(shares[0] * 255)


def tick(cameras) -> None:
    for camera in cameras:
        camera.tick()


@pytest.mark.parametrize(("batch", "sizes"), [(1, [1]), (2, [2, 1]), (3, [3]), (8, [3])])
def test_frames_that_are_ready_go_together(batch, sizes):
    cameras = [Camera(make_frames(1, first=first)) for first in (10, 20, 30)]
    engine = LaneEngine(batch)
    with reading(*cameras) as captures:
        tick(cameras)
        summary, records = run(captures, engine)
    assert engine.sizes == (sizes if batch > 1 else sizes * 3)
    assert [answer_of(record) for record in records] == [10, 20, 30]
    assert (summary.final.frames, summary.lost) == (3, None)


@pytest.mark.parametrize("batch", [3, 5])
def test_each_frame_gets_its_own_answer_and_counts_for_its_own_source(batch):
    names = "abc"
    cameras = [
        Camera(make_frames(20, first=70 * number, source=name)) for number, name in enumerate(names)
    ]
    engine = GatedEngine(batch, lambda: tick(cameras))
    with reading(*cameras) as captures:
        tick(cameras)
        summary, records = run(captures, engine)
    assert engine.sizes == [3] * 20
    assert [answer_of(record) for record in records] == [
        int(record.frame.data[0, 0, 0]) for record in records
    ]
    for name, status in zip(names, summary.final.sources, strict=True):
        own = [record for record in records if record.frame.source == name]
        assert [record.frame.seq for record in own] == list(range(20))
        assert (status.frames, status.latest) == (20, own[-1])
    assert summary.final.dropped == 0


def test_slow_camera_holds_up_no_batch():
    """It gives its only frame when the others are through, which a full batch would wait for."""
    through = threading.Event()

    def play_late():
        assert through.wait(DEADLINE_S)
        yield make_frame(200)

    class ThroughSink(KeepingSink):
        def take_record(self, record) -> None:
            super().take_record(record)
            if len(self.records) == 20:
                through.set()

    cameras = [Camera(make_frames(10, first=first)) for first in (0, 100)]
    engine = GatedEngine(3, lambda: tick(cameras))
    with reading(*cameras, ScriptedSource(play_late(), live=True)) as captures:
        tick(cameras)
        summary, records = run(captures, engine, sinks=[ThroughSink()])
    assert engine.sizes == [2] * 10 + [1]
    assert answer_of(records[-1]) == 200
    assert summary.final.frames == 21


@pytest.mark.parametrize("aim", ["latency", "throughput"])
@pytest.mark.parametrize("batch", [1, 2, 4])
def test_recordings_go_through_whole_however_they_meet(batch, aim):
    films = [ScriptedSource(make_frames(30, first=80 * number), live=False) for number in range(3)]
    engine = LaneEngine(batch, aim)
    with reading(*films) as captures:
        summary, records = run(captures, engine)
    found = sorted(answer_of(record) for record in records)
    assert found == [80 * number + seq for number in range(3) for seq in range(30)]
    assert all(answer_of(record) == record.frame.data[0, 0, 0] for record in records)
    assert sum(engine.sizes) == 90
    assert max(engine.sizes) <= batch
    assert summary.final.dropped == 0


@pytest.mark.parametrize("damaged", [{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 2}, {0, 1, 2}], ids=str)
def test_damaged_picture_of_a_batch_spoils_no_other(damaged):
    """Twice, so that a slot that was left behind a batch would be filled again, and be lost."""
    cameras, wanted = [], []
    for number in range(3):
        frames = make_frames(4, first=10 * (number + 1))
        if number in damaged:
            frames[:2] = [Frame(DAMAGED, seq, 0, 0, "scripted") for seq in range(2)]
        cameras.append(Camera(frames))
        wanted += [frame.data[0, 0, 0] for frame in frames if frame.data is not DAMAGED]

    engine = LaneEngine(4)
    with reading(*cameras) as captures:
        summary, records = run(TickedSources(captures, cameras), engine)
    assert sorted(answer_of(record) for record in records) == sorted(wanted)
    assert all(answer_of(record) == record.frame.data[0, 0, 0] for record in records)
    assert [status.counts.unreadable for status in summary.final.sources] == [
        2 * (number in damaged) for number in range(3)
    ]
    assert engine.sizes == [size for size in [3 - len(damaged)] * 2 + [3, 3] if size]


@pytest.mark.parametrize(("live", "aim", "depth"), [
    (True, "latency", 1), (True, "throughput", 2), (False, "latency", 2),
])  # fmt: skip
def test_submissions_in_flight_are_as_many_as_without_a_batch(live, aim, depth):
    in_flight = []

    class WatchedEngine(LaneEngine):
        def submit(self, *slots: Slot) -> None:
            super().submit(*slots)
            in_flight.append(len(self._running))

    films = [ScriptedSource(make_frames(20), live=False) for _ in range(2)]
    with reading(*films) as captures:
        run(FullSources(captures, live=live), WatchedEngine(2, aim))
    assert max(in_flight) == depth
