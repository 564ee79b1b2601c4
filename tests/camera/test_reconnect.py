"""A source that is lost is opened again; what happened meanwhile is told and counted."""

from __future__ import annotations

import logging
import threading
from itertools import count

import pytest
from doubles import DEADLINE_S, ScriptedSource
from samples import make_frame

from edge.backoff import Backoff
from edge.camera.capture import Capture
from edge.errors import CameraLostError, InputError, MissingExtraError, UnavailableError
from edge.frame import Frame, Jpeg

AT_ONCE = Backoff(first_s=0.001, most_s=0.002)
GONE = CameraLostError("camera: gone", hint="Plug it in")
AWAY = UnavailableError("camera: connection refused", hint="Switch it on")
WRONG = InputError("camera: wrong password", hint="Give another one")


def opener(*steps):
    """Give a function that raises or returns one step after the other."""
    left = iter(steps)

    def reopen():
        step = next(left)
        if isinstance(step, Exception):
            raise step
        return step

    return reopen


def dying(seqs, error=GONE, *, live=True):
    def frames():
        yield from map(make_frame, seqs)
        raise error

    return ScriptedSource(frames(), live=live)


def ending(seqs):
    return ScriptedSource(map(make_frame, seqs), live=True)


def take_last(capture):
    """Take until the end; gives the last frame."""
    last = None
    while not capture.ended:
        last = capture.take(DEADLINE_S) or last
    return last


def test_lost_source_is_opened_again_and_counts_on():
    reopen = opener(dying(range(3)), AWAY, AWAY, ending(range(2)))
    with Capture(None, reopen=reopen, backoff=AT_ONCE) as capture:
        assert take_last(capture).seq == 4
        assert capture.counts.reconnects == 1
        assert capture.error is None
        assert capture.look() == ("ended", "")


def test_source_that_is_not_there_yet_is_waited_for():
    with Capture(None, reopen=opener(AWAY, AWAY, ending([0])), backoff=AT_ONCE) as capture:
        assert take_last(capture).seq == 0
        assert capture.counts.reconnects == 0


@pytest.mark.parametrize("error", [WRONG, MissingExtraError("av", extra="video")])
def test_what_a_person_must_mend_is_not_tried_again(error):
    with Capture(None, reopen=opener(error), backoff=AT_ONCE) as capture:
        assert take_last(capture) is None
        assert capture.error is error
        assert capture.look()[0] == "lost"


def test_source_that_worked_is_tried_again_whatever_it_says():
    """A camera that starts again may refuse everything for a while."""
    with Capture(None, reopen=opener(dying([0]), WRONG, ending([0])), backoff=AT_ONCE) as capture:
        assert take_last(capture).seq == 1


def test_source_that_is_not_live_is_not_played_once_more_from_its_start():
    """A pipeline that reads a file, which is damaged in its middle."""
    steps = opener(dying(range(3), live=False), ending([0]))
    with Capture(None, reopen=steps, backoff=AT_ONCE) as capture:
        assert take_last(capture).seq == 2
        assert capture.look() == ("lost", "camera: gone")
        assert capture.error is GONE


def test_bug_in_a_source_is_not_tried_again():
    with Capture(None, reopen=opener(dying([0], ZeroDivisionError())), backoff=AT_ONCE) as capture:
        take_last(capture)
        assert isinstance(capture.error, ZeroDivisionError)


def test_loss_is_told_once_for_each_cause(caplog):
    caplog.set_level(logging.INFO)
    reopen = opener(dying([0]), AWAY, AWAY, AWAY, ending([0]))
    with Capture(None, reopen=reopen, name="camera", backoff=AT_ONCE) as capture:
        take_last(capture)
    assert [record.getMessage() for record in caplog.records] == [
        "camera: gone. Trying again",
        "camera: connection refused. Trying again",
        "camera: is back",
    ]


def test_state_is_told_while_the_source_is_away():
    tried, go_on = threading.Event(), threading.Event()

    def reopen():
        if tried.is_set():
            assert go_on.wait(DEADLINE_S)
            return ending([0])
        tried.set()
        raise AWAY

    with Capture(None, reopen=reopen, name="camera", backoff=AT_ONCE) as capture:
        assert tried.wait(DEADLINE_S)
        while capture.look() == ("connecting", ""):
            pass
        assert capture.look() == ("connecting", "connection refused")
        assert capture.error is AWAY
        go_on.set()
        take_last(capture)


@pytest.mark.parametrize("reopens", [True, False])
def test_owner_leaves_at_once_while_a_source_waits_or_is_away(reopens):
    stopped = threading.Event()

    class Waiting(ScriptedSource):
        def stop(self):
            stopped.set()

    def frames():
        yield make_frame(0)
        assert stopped.wait(DEADLINE_S)

    slow = Backoff(first_s=1000.0, most_s=1000.0)
    steps = opener(AWAY) if reopens else None
    source = None if reopens else Waiting(frames(), live=True)
    with Capture(source, reopen=steps, name="cam", backoff=slow) as capture:
        if not reopens:
            capture.take(DEADLINE_S)
    assert not capture._thread.is_alive()


def test_each_opened_source_is_closed_once_read():
    closed = []

    class Closing(ScriptedSource):
        def close(self):
            closed.append(self)

    def frames(error):
        yield make_frame(0)
        if error:
            raise error

    sources = [Closing(frames(GONE), live=True), Closing(frames(None), live=True)]
    with Capture(None, reopen=opener(*sources), backoff=AT_ONCE) as capture:
        take_last(capture)
    assert closed == sources


def test_source_that_cannot_even_be_closed_still_ends_its_capture():
    class Clinging(ScriptedSource):
        def close(self):
            raise GONE

    with Capture(Clinging([make_frame(0)], live=True)) as capture:
        assert take_last(capture).seq == 0
        assert capture.error is GONE


def test_unreadable_pictures_are_counted_over_all_openings():
    sources = [dying([0]), ending([0])]
    for source, unreadable in zip(sources, (3, 4), strict=True):
        source.unreadable = unreadable
    with Capture(None, reopen=opener(*sources), backoff=AT_ONCE) as capture:
        take_last(capture)
        capture.count_unreadable()
        assert capture.counts.unreadable == 8


def stamped(seq, stamp_ns, coded=b""):
    data = Jpeg(coded, 48, 64) if coded else make_frame(0).data
    return Frame(data, seq, 0, 0, "cam", stamp_ns=stamp_ns)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([stamped(0, 10), stamped(1, 20), stamped(2, 30)], (0, 0)),
        ([stamped(0, 10), stamped(1, 10), stamped(2, 10)], (2, 0)),
        ([stamped(0, 10), stamped(1, 30), stamped(2, 20)], (0, 1)),
        ([stamped(0, None, b"a"), stamped(1, None, b"a"), stamped(2, None, b"b")], (1, 0)),
        ([stamped(0, None), stamped(1, None)], (0, 0)),
    ],
)
def test_odd_frames_are_counted(frames, expected):
    with Capture(ScriptedSource(frames, live=True)) as capture:
        take_last(capture)
        assert (capture.counts.duplicates, capture.counts.out_of_order) == expected


def test_gap_in_the_sources_own_count_is_a_drop():
    taken = threading.Semaphore(0)

    def frames():
        for seq in (0, 1, 5, 6):
            yield make_frame(seq)
            assert taken.acquire(timeout=DEADLINE_S)

    with Capture(ScriptedSource(frames(), live=True)) as capture:
        for _ in range(4):
            assert capture.take(DEADLINE_S)
            taken.release()
        assert capture.counts.dropped == 3


def test_stall_is_told_and_counted_once_until_a_frame_comes(monkeypatch):
    """The clock is a test's own, so that no test waits for a second."""
    now_ns = [0]
    monkeypatch.setattr("edge.camera.capture.time.monotonic_ns", lambda: now_ns[0])
    go_on = threading.Semaphore(0)

    def frames():
        for seq in count():
            yield make_frame(seq)
            if not go_on.acquire(timeout=DEADLINE_S) or seq == 3:
                return

    with Capture(ScriptedSource(frames(), live=True)) as capture:
        assert capture.take(DEADLINE_S)
        assert capture.look()[0] == "live"
        now_ns[0] += 3_000_000_000
        assert [capture.look() for _ in range(2)] == [("stalled", "no frame for 3 s")] * 2
        assert capture.counts.stalls == 1
        go_on.release()
        assert capture.take(DEADLINE_S)
        assert capture.look() == ("live", "")
        for step_ns in (30_000_000, 3_000_000_000):  # nobody looks this time
            now_ns[0] += step_ns
            go_on.release()
            assert capture.take(DEADLINE_S)
        assert capture.counts.stalls == 2
        go_on.release()


def test_slow_camera_that_states_no_rate_is_not_stalled_between_any_two_frames(monkeypatch):
    """One picture in three seconds, as small boards with a camera send them."""
    now_ns = [0]
    monkeypatch.setattr("edge.camera.capture.time.monotonic_ns", lambda: now_ns[0])
    go_on = threading.Semaphore(0)

    def frames():
        for seq in range(6):
            yield make_frame(seq)
            assert go_on.acquire(timeout=DEADLINE_S)

    with Capture(ScriptedSource(frames(), live=True)) as capture:
        for _ in range(6):
            assert capture.take(DEADLINE_S)
            now_ns[0] += 3_000_000_000
            state, _ = capture.look()
            go_on.release()
        assert state == "live"
        assert capture.counts.stalls == 1  # what is usual is known from the second on
