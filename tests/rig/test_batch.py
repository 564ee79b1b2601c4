"""L4: several pictures at once, on the real pycuda and stand-ins of the driver and of TensorRT."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from networks import make_views, run_engine
from samples import make_sidecar

from edge.engine.cuda import Device
from edge.engine.plan import Flags
from edge.engine.tensorrt import TensorRTEngine
from edge.engine.trt_api import BuildSettings, build
from edge.engine.trt_session import PlanSession
from edge.errors import EngineLostError, PlanMismatchError
from edge.model.batch import open_batch, parse_batch
from edge.model.fold import fold
from edge.model.top_k import add_top_k
from rig.echo import PICTURE_BYTES, collect, echo_of, open_echo, submit

pytestmark = pytest.mark.rig


@pytest.fixture
def opened(mode):
    """Give a function that opens the echo for a batch; find nothing left of it."""
    engines = []

    def open_for(batch: str | None) -> TensorRTEngine:
        engines.append(open_echo(mode, batch))
        return engines[-1]

    yield open_for
    for engine in engines:
        engine.close()
    assert mode.live() == (0, 0, 0)


class Lanes:
    """Sends batches of the given sizes, two in flight, each picture with a value of its own."""

    def __init__(self, engine: TensorRTEngine) -> None:
        self.engine = engine
        self.waiting: list[list[int]] = []
        self.next = 0

    def send(self, size: int) -> None:
        values = [(self.next + row) % 251 for row in range(size)]
        self.next += size
        submit(self.engine, *values)
        self.waiting.append(values)

    def check_oldest(self) -> None:
        for value in self.waiting.pop(0):
            assert collect(self.engine) == echo_of(value)


def run_sizes(engine: TensorRTEngine, sizes: list[int]) -> None:
    lanes = Lanes(engine)
    for size in sizes:
        if len(lanes.waiting) == 2:
            lanes.check_oldest()
        lanes.send(size)
    while lanes.waiting:
        lanes.check_oldest()


@pytest.mark.parametrize("batch", [None, "1:1:1", "1:2:3", "1:1:8", "4:4:4"])
def test_engine_says_how_many_pictures_it_takes(opened, batch):
    most = 1 if batch is None else parse_batch(batch).most
    info = opened(batch).info
    assert (info.batch, info.slots) == (most, 2 * most)


@pytest.mark.parametrize("size", range(1, 6))
def test_each_picture_of_a_batch_gets_its_own_scores(opened, size):
    engine = opened("1:2:5")
    run_sizes(engine, [size] * 40)
    assert set(engine._session.counts) == {size}


def test_sizes_may_change_from_batch_to_batch(opened):
    """Each size behind and before each other one, so that a stale row of either lane shows."""
    sizes = [size for one in range(1, 6) for other in range(1, 6) for size in (one, other)]
    run_sizes(opened("1:2:5"), sizes)
    run_sizes(opened("1:2:5"), [1, *sizes])  # the lanes the other way round


@pytest.mark.parametrize(("size", "count"), [(1, 3), (2, 3), (3, 3), (4, 4), (5, 5)])
def test_batch_below_the_least_is_filled_up_and_only_its_own_scores_come(opened, size, count):
    engine = opened("3:4:5")
    run_sizes(engine, [size] * 7)
    assert set(engine._session.counts) == {count}
    with pytest.raises(IndexError):
        engine.collect()


@pytest.mark.parametrize(("batch", "uploaded"), [("1:2:3", 1), ("2:2:3", 2)])
def test_partial_batch_copies_no_more_than_it_needs(rig, batch, uploaded):
    """The rig's GPU lies in the host's memory, so a test can look at what came there."""
    engine = open_echo(rig, batch)
    lane = engine._lanes[0]
    slots = [engine.acquire() for _ in range(3)]
    for slot in slots:
        slot.pixels[...] = 7
    engine.submit(slots[0])
    collect(engine)
    on_gpu = np.frombuffer(ctypes.string_at(lane.pixels.address, 3 * PICTURE_BYTES), np.uint8)
    assert on_gpu.reshape(3, -1).any(axis=1).tolist() == [row < uploaded for row in range(3)]
    assert lane.scores.host.any(axis=1).tolist() == [True, False, False]
    engine.close()


def test_slots_lie_in_one_array_a_lane(opened):
    engine = opened("1:2:3")
    slots = [engine.acquire() for _ in range(6)]
    assert [slot.index for slot in slots] == list(range(6))
    addresses = [slot.pixels.ctypes.data for slot in slots]
    for first in (0, 3):
        lane = addresses[first : first + 3]
        assert lane == [lane[0] + row * PICTURE_BYTES for row in range(3)]
    engine.submit(*slots[:3])
    engine.submit(*slots[3:])


def test_slot_that_was_left_empty_goes_with_its_batch(opened):
    """What the loop does when the last picture of a batch is damaged."""
    engine = opened("1:2:3")
    taken = []
    for value in range(10):
        slot, left = engine.acquire(), engine.acquire()
        slot.pixels[...], left.pixels[...] = value, 99
        engine.submit(slot)
        assert collect(engine) == echo_of(value)
        taken.append((slot.index, left.index))
    assert taken == [(0, 1), (3, 4)] * 5


def test_next_batch_is_written_while_the_first_is_in_flight(opened):
    engine = opened("1:2:3")
    submit(engine, 0, 1)
    for value in range(2, 100, 2):
        submit(engine, value, value + 1)
        assert collect(engine) == echo_of(value - 2)
        assert collect(engine) == echo_of(value - 1)
    assert [collect(engine), collect(engine)] == [echo_of(98), echo_of(99)]


def test_collect_waits_for_its_own_batch_alone(rig, monkeypatch):
    monkeypatch.setenv("RIG_MODE", "lazy")
    engine = open_echo(rig, "1:2:3")
    submit(engine, 1, 2)
    submit(engine, 3, 4)
    assert [collect(engine), collect(engine)] == [echo_of(1), echo_of(2)]
    second, _ = engine._running[0]
    assert second.scores.host.tolist() == [echo_of(0)] * 3
    assert [collect(engine), collect(engine)] == [echo_of(3), echo_of(4)]
    engine.close()


def test_gpu_time_of_a_picture_is_that_of_its_batch(opened):
    """On the rig each event is a millisecond after the last one that happened."""
    engine = opened("1:2:3")
    submit(engine, 1, 2, 3)
    assert [engine.collect().infer_ns for _ in range(3)] == [1_000_000] * 3


def test_scores_of_a_batch_belong_to_the_caller(opened):
    engine = opened("1:2:3")
    submit(engine, 1, 2, 3)
    scores = [engine.collect().values for _ in range(3)]
    for value in (4, 5):
        submit(engine, value, value, value)
        for _ in range(3):
            engine.collect()
    assert [values.tolist() for values in scores] == [echo_of(1), echo_of(2), echo_of(3)]


FRAME_CALLS = {"cuMemcpyHtoDAsync": 1, "cuMemcpyDtoHAsync": 1, "cuEventRecord": 3,
               "cuEventSynchronize": 1, "cuEventElapsedTime": 1, "cuCtxPushCurrent": 2}  # fmt: skip
"""What a batch of any size asks of the driver."""


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize(("call", "calls"), FRAME_CALLS.items())
def test_batch_costs_the_calls_of_one_frame(rig, monkeypatch, call, calls, size):
    """The call behind the last one is told to fail, so it must come with the next batch."""
    engine = open_echo(rig, "1:2:3")
    values = range(size)
    rig.count_anew()
    monkeypatch.setenv("RIG_FAIL", f"{call}:{calls + 1}:999")
    submit(engine, *values)
    assert [collect(engine) for _ in values] == [echo_of(value) for value in values]
    with pytest.raises(EngineLostError, match="told to fail"):
        _pass(engine)
    monkeypatch.delenv("RIG_FAIL")
    engine.close()
    assert rig.live() == (0, 0, 0)


def _pass(engine: TensorRTEngine) -> None:
    submit(engine, 1)
    collect(engine)


def test_close_lets_go_of_a_batch_that_was_half_collected(opened):
    engine = opened("1:2:3")
    submit(engine, 1, 2, 3)
    submit(engine, 4, 5)
    engine.collect()
    engine.close()
    engine.close()


@pytest.fixture
def plan_of(mode, fake_tensorrt, small_model):
    """Give a function that opens a plan of the small model on the stand-in of TensorRT."""
    engines = []

    def open_for(batch: str, told: str | None = None, top: int | None = None) -> TensorRTEngine:
        network = open_batch(fold(small_model))
        if top is not None:
            network = add_top_k(network, top)
        sizes = parse_batch(batch)
        settings = BuildSettings(
            target="tensorrt", precision="fp16", batch=(sizes.least, sizes.usual, sizes.most)
        )
        plan = build(network.to_bytes(), settings, lambda *_: True).plan
        flags = Flags(batch=told or batch, top_k=top)
        sidecar = make_sidecar(contract=network.contract, flags=flags)
        device = Device()
        try:
            with device.current():
                session = PlanSession(fake_tensorrt, plan, sidecar)
            engines.append(TensorRTEngine(session, device, sidecar))
        except PlanMismatchError:
            device.close()
            raise
        return engines[-1]

    yield open_for
    for engine in engines:
        engine.close()
    assert mode.live() == (0, 0, 0)


def scores_of(engine: TensorRTEngine, views, sizes) -> np.ndarray:
    """Send the views in batches of these sizes, two in flight."""
    found, waiting, start = [], [], 0
    for size in sizes:
        if len(waiting) == 2:
            found += [engine.collect().values for _ in range(waiting.pop(0))]
        slots = [engine.acquire() for _ in range(size)]
        for slot, view in zip(slots, views[start : start + size], strict=True):
            slot.pixels[...] = view
        engine.submit(*slots)
        waiting.append(size)
        start += size
    return np.stack([*found, *(engine.collect().values for _ in range(sum(waiting)))])


@pytest.mark.parametrize("batch", ["1:2:4", "2:2:4", "4:4:4"])
def test_plan_gives_each_picture_the_scores_that_it_gets_alone(plan_of, small_model, batch):
    views = make_views(13)
    wanted = run_engine("onnxruntime", small_model, views)
    found = scores_of(plan_of(batch), views, [4, 1, 1, 3, 2, 2])
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert len({row.tobytes() for row in wanted}) == len(views)


def test_plan_that_picks_its_classes_does_so_for_each_picture(plan_of, small_model):
    views = make_views(6)
    wanted = run_engine("onnxruntime", small_model, views).argsort(axis=1)[:, ::-1][:, :2]
    found = scores_of(plan_of("1:2:4", top=2), views, [4, 2])
    np.testing.assert_array_equal(found.argsort(axis=1)[:, ::-1][:, :2], wanted)
    assert ((found > 0).sum(axis=1) == 2).all()


def test_shape_is_set_only_when_the_count_changes(plan_of):
    engine = plan_of("1:2:4")
    context = engine._session._context
    del context.shapes[:]
    scores_of(engine, make_views(11), [1, 1, 3, 3, 1, 1, 1])
    assert [shape[0] for shape in context.shapes] == [3, 1]


@pytest.mark.parametrize(
    ("built", "told", "count"),
    [("1:2:4", "1:2:8", 8), ("2:2:4", "1:2:4", 1), ("2:2:2", "1:1:1", 1)],
)
def test_plan_of_another_batch_than_its_sidecar_says_is_refused(plan_of, built, told, count):
    with pytest.raises(PlanMismatchError, match=rf"takes no input of \({count}, 64, 64, 3\)"):
        plan_of(built, told)
