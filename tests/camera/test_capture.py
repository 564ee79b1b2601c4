"""One slot between a source and the loop: newest frame of a camera, every frame of a file."""

from __future__ import annotations

import threading

import pytest
from doubles import DEADLINE_S, ScriptedSource
from samples import make_frame

from edge.camera.capture import Capture
from edge.errors import CameraLostError


def take_all(capture, limit=1000):
    """Take until the end, as a slow consumer would: one frame at a time."""
    seqs = []
    for _ in range(limit):
        frame = capture.take(DEADLINE_S)
        if frame is None:
            return seqs
        seqs.append(frame.seq)
    raise AssertionError("no end")


def test_capture_hands_over_every_frame_of_a_file_when_the_consumer_is_slower():
    asked = threading.Semaphore(0)

    def frames():
        for seq in range(50):
            asked.release()
            yield make_frame(seq)

    with Capture(ScriptedSource(frames(), live=False)) as capture:
        for _ in range(2):  # the second is read while the first lies in the slot
            assert asked.acquire(timeout=DEADLINE_S)
        assert not asked.acquire(timeout=0), "read ahead of a frame that nobody took"
        assert take_all(capture) == list(range(50))
        assert capture.counts.dropped == 0


def test_capture_keeps_only_the_newest_frame_when_the_source_is_live():
    given, over = threading.Event(), threading.Event()

    def frames():
        yield from map(make_frame, range(5))
        given.set()
        assert over.wait(DEADLINE_S)

    with Capture(ScriptedSource(frames(), live=True)) as capture:
        assert given.wait(DEADLINE_S)
        assert capture.take(0).seq == 4
        assert capture.counts.dropped == 4
        assert capture.take(0) is None
        over.set()


def test_capture_counts_no_drop_when_every_live_frame_is_taken():
    taken = threading.Semaphore(0)

    def frames():
        for seq in range(5):
            yield make_frame(seq)
            assert taken.acquire(timeout=DEADLINE_S)

    with Capture(ScriptedSource(frames(), live=True)) as capture:
        for seq in range(5):
            assert capture.take(DEADLINE_S).seq == seq
            taken.release()
        assert capture.counts.dropped == 0


@pytest.mark.parametrize("live", [True, False])
def test_capture_tells_its_owner_what_was_lost_after_the_last_frame(live):
    def frames():
        yield make_frame(0)
        raise CameraLostError("camera: gone", hint="Plug it in")

    with Capture(ScriptedSource(frames(), live=live)) as capture:
        assert capture.take(DEADLINE_S).seq == 0
        assert capture.take(DEADLINE_S) is None
        assert capture.ended
        assert isinstance(capture.error, CameraLostError)
        assert capture.look() == ("lost", "camera: gone")


def test_capture_hands_any_error_of_the_thread_to_its_owner():
    def frames():
        raise ZeroDivisionError
        yield

    with Capture(ScriptedSource(frames(), live=True)) as capture:
        assert capture.take(DEADLINE_S) is None
        assert isinstance(capture.error, ZeroDivisionError)


def test_capture_has_ended_only_when_the_last_frame_was_taken():
    with Capture(ScriptedSource([make_frame(0)], live=False)) as capture:
        assert capture.take(DEADLINE_S).seq == 0
        assert capture.take(DEADLINE_S) is None
        assert capture.ended

    waiting = ScriptedSource([make_frame(0)], live=True)
    with Capture(waiting) as capture:
        capture._thread.join(DEADLINE_S)
        assert not capture.ended, "a frame lies in the slot"
        capture.take(0)
        assert capture.ended


@pytest.mark.parametrize("live", [True, False])
def test_capture_stops_when_its_owner_leaves_before_the_end(live):
    """The thread of a file waits for its frame to be taken, and must not wait for ever."""
    read = threading.Semaphore(0)

    def frames():
        for seq in range(10**9):
            read.release()
            yield make_frame(seq)

    def leave_early():
        with Capture(ScriptedSource(frames(), live=live)):
            assert read.acquire(timeout=DEADLINE_S)
            assert read.acquire(timeout=DEADLINE_S)

    owner = threading.Thread(target=leave_early, daemon=True)
    owner.start()
    owner.join(DEADLINE_S)
    assert not owner.is_alive()


def test_capture_wakes_its_owner_when_a_frame_comes():
    come = threading.Event()

    def frames():
        assert come.wait(DEADLINE_S)
        yield make_frame(0)

    with Capture(ScriptedSource(frames(), live=True)) as capture:
        assert capture.take(0) is None
        assert not capture.ended
        come.set()
        assert capture.take(DEADLINE_S).seq == 0
