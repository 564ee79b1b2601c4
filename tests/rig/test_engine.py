"""L4: the GPU engine on the real pycuda and a stand-in driver."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from doubles import DEADLINE_S

from edge.engine.cuda import Device, describe_gpu, used_memory_bytes
from edge.errors import EdgeError, EngineLostError, UnavailableError
from rig.echo import collect, echo_of, open_echo, submit

pytestmark = pytest.mark.rig


@pytest.fixture
def engine(mode):
    """Give an open engine, and find nothing left of it."""
    engine = open_echo(mode)
    yield engine
    engine.close()
    assert mode.live() == (0, 0, 0)


def test_two_frames_in_flight_keep_their_order_for_1000_frames(engine, mode):
    before = mode.live()
    for value in range(0, 1000, 2):
        submit(engine, value % 251)
        submit(engine, (value + 1) % 251)
        assert collect(engine) == echo_of(value % 251)
        assert collect(engine) == echo_of((value + 1) % 251)
    assert mode.live() == before


def test_next_frame_is_written_while_the_first_is_in_flight(engine):
    """The steady state of the loop: one in flight, one being written."""
    submit(engine, 0)
    for value in range(1, 100):
        submit(engine, value)
        assert collect(engine) == echo_of(value - 1)
    assert collect(engine) == echo_of(99)


def test_collect_waits_for_its_own_frame_alone(rig, monkeypatch):
    monkeypatch.setenv("RIG_MODE", "lazy")
    engine = open_echo(rig)
    submit(engine, 1)
    submit(engine, 2)
    assert collect(engine) == echo_of(1)
    second, _ = engine._running[0]
    assert second.scores.host.tolist() == [echo_of(0)]
    assert collect(engine) == echo_of(2)
    engine.close()


def test_scores_belong_to_the_caller(engine):
    submit(engine, 5)
    first = engine.collect().values
    for value in (6, 7):
        submit(engine, value)
        engine.collect()
    assert first.tolist() == echo_of(5)


def test_integrated_gpu_works_on_the_host_memory_itself(rig, monkeypatch):
    monkeypatch.setenv("RIG_INTEGRATED", "1")
    engine = open_echo(rig)
    slot = engine.acquire()
    lane = engine._lanes[slot.index]
    assert lane.pixels.copy is None
    assert lane.pixels.address == slot.pixels.ctypes.data
    assert rig.live().memory == 4
    engine.submit(slot)
    engine.collect()
    engine.close()


def test_gpu_time_is_that_between_the_events_around_the_network(engine):
    """On the rig each event is a millisecond after the last one that happened."""
    submit(engine, 1)
    assert engine.collect().infer_ns == 1_000_000


def test_any_thread_may_use_and_close_an_engine(mode):
    engine = open_echo(mode)
    seen = []

    def use() -> None:
        submit(engine, 9)
        seen.append(collect(engine))
        engine.close()

    thread = threading.Thread(target=use)
    thread.start()
    thread.join(DEADLINE_S)
    assert seen == [echo_of(9)]
    assert mode.live() == (0, 0, 0)


def test_several_engines_in_threads_do_not_meet(mode):
    wrong = []
    start = threading.Barrier(3)

    def use(number: int) -> None:
        engine = open_echo(mode)
        start.wait(DEADLINE_S)
        for value in range(number, 150, 3):
            submit(engine, value)
            if collect(engine) != echo_of(value):
                wrong.append(value)
        engine.close()

    threads = [threading.Thread(target=use, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert wrong == []
    assert mode.live() == (0, 0, 0)


def test_nothing_is_left_after_100_cycles(mode):
    open_echo(mode).close()
    for value in range(100):
        engine = open_echo(mode)
        submit(engine, value)
        assert collect(engine) == echo_of(value)
        engine.close()
        assert mode.live() == (0, 0, 0)


def test_no_python_memory_is_kept_per_frame(engine):
    def frames(count: int) -> None:
        for _ in range(count):
            submit(engine, 1)
            engine.collect()

    frames(50)
    tracemalloc.start()
    frames(10)
    before = tracemalloc.get_traced_memory()[0]
    frames(2000)
    grown_bytes = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown_bytes < 2000  # a byte a frame


def test_close_waits_for_what_is_in_flight_and_may_be_called_twice(mode):
    engine = open_echo(mode)
    session = engine._session
    submit(engine, 1)
    submit(engine, 2)
    engine.close()
    engine.close()
    assert session.closed == 1
    assert mode.live() == (0, 0, 0)


@pytest.mark.usefixtures("rig")
def test_closed_device_says_so():
    device = Device()
    device.close()
    device.close()
    with pytest.raises(EngineLostError, match="the device is closed"), device.current():
        pass


def test_process_that_used_the_gpu_ends_quietly(rig):
    """pycuda complains on stderr, or aborts, when a context is left to its destructor."""
    program = "from edge.engine.cuda import Device\nDevice().close(); Device()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "LD_LIBRARY_PATH": str(rig.folder)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.usefixtures("rig")
def test_gpu_is_described():
    gpu = describe_gpu()
    assert (gpu.name, gpu.compute_capability, gpu.cuda) == ("stand-in", "8.7", "12.6")
    assert not gpu.is_integrated


def test_used_memory_is_that_of_everybody(rig):
    assert used_memory_bytes() == 0
    device = Device()
    device.allocate((1000,), "uint8")
    assert used_memory_bytes() == 2000  # the host's side and the GPU's
    device.close()
    assert used_memory_bytes() == 0
    assert rig.live() == (0, 0, 0)


OPENING = {
    "cuInit": 1, "cuDeviceGet": 1, "cuDeviceGetName": 1, "cuDeviceComputeCapability": 1,
    "cuDeviceGetAttribute": 1, "cuDriverGetVersion": 1, "cuDevicePrimaryCtxRetain": 1,
    "cuCtxPushCurrent": 11, "cuStreamCreate": 1, "cuMemHostAlloc": 4, "cuMemAlloc": 4,
    "cuEventCreate": 6,
}  # fmt: skip
FRAME = {
    "cuCtxPushCurrent": 2, "cuMemcpyHtoDAsync": 1, "cuEventRecord": 3, "cuLaunchHostFunc": 0,
    "cuMemcpyDtoHAsync": 1, "cuEventSynchronize": 1, "cuEventElapsedTime": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("call", "nth"), [(call, nth) for call, count in OPENING.items() for nth in range(1, count + 1)]
)
def test_each_failing_call_while_opening_is_one_clear_error(rig, monkeypatch, call, nth):
    monkeypatch.setenv("RIG_FAIL", f"{call}:{nth}:999")
    with pytest.raises(EdgeError, match=r"^cuda: .*told to fail") as error:
        open_echo(rig)
    assert "\n" not in str(error.value)
    monkeypatch.delenv("RIG_FAIL")
    assert rig.live() == (0, 0, 0)


@pytest.mark.parametrize(
    ("call", "nth"), [(call, nth) for call, count in FRAME.items() for nth in range(1, count + 1)]
)
def test_each_failing_call_of_a_frame_loses_the_engine_and_leaks_nothing(
    rig, monkeypatch, call, nth
):
    engine = open_echo(rig)
    rig.count_anew()
    monkeypatch.setenv("RIG_FAIL", f"{call}:{nth}:999")
    with pytest.raises(EngineLostError, match=r"^cuda: the GPU failed \(.*told to fail"):
        _pass(engine)
    monkeypatch.delenv("RIG_FAIL")
    engine.close()
    assert rig.live() == (0, 0, 0)


def _pass(engine) -> None:
    submit(engine, 1)
    collect(engine)


def test_close_frees_all_when_the_wait_fails(rig, monkeypatch):
    engine = open_echo(rig)
    session = engine._session
    rig.count_anew()
    monkeypatch.setenv("RIG_FAIL", "cuStreamSynchronize:1:999")
    with pytest.raises(EngineLostError, match="told to fail"):
        engine.close()
    assert session.closed == 1
    assert rig.live() == (0, 0, 0)


@pytest.mark.parametrize("thread", ["the same thread", "another thread"])
def test_lost_gpu_is_told_once(rig, monkeypatch, thread):
    """Close after it stays quiet, so that who heard of it can go on without the GPU."""
    engine = open_echo(rig)
    rig.count_anew()
    monkeypatch.setenv("RIG_FAIL", "cuEventSynchronize:1:700")
    with pytest.raises(EngineLostError, match="told to fail"):
        _pass(engine)
    with pytest.raises(EngineLostError):
        submit(engine, 1)
    monkeypatch.delenv("RIG_FAIL")
    if thread == "another thread":
        with ThreadPoolExecutor(1) as pool:
            pool.submit(engine.close).result(DEADLINE_S)
    else:
        engine.close()
    assert rig.live() == (0, 0, 0)
    again = open_echo(rig)
    submit(again, 3)
    assert collect(again) == echo_of(3)
    again.close()


@pytest.mark.parametrize("call", ["cuMemAlloc", "cuMemHostAlloc"])
def test_no_memory_is_told_apart_from_a_lost_gpu(rig, monkeypatch, call):
    monkeypatch.setenv("RIG_FAIL", f"{call}:2:2")
    with pytest.raises(UnavailableError, match=r"no memory left\. Close other programs"):
        open_echo(rig)
    assert rig.live() == (0, 0, 0)


def test_the_rig_notices_what_a_driver_would(rig):
    """A stand-in that forgives proves nothing."""
    from pycuda import driver

    device = Device()
    buffer = device.allocate((8,), "uint8")
    with pytest.raises(driver.LogicError, match="cuMemAlloc"):
        driver.mem_alloc(8)  # no context on this thread
    with pytest.raises(EngineLostError, match="cuMemcpyHtoDAsync"), device.current():
        driver.memcpy_htod_async(buffer.address + 4, buffer.host, device._stream)
    with device.current():
        assert not rig.holds(buffer.address, 9)
    device.close()
    assert rig.live() == (0, 0, 0)
