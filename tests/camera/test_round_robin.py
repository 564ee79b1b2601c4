"""Several sources at once: each has its turn, one that ends or dies does not stop the others."""

from __future__ import annotations

import threading
import time

import pytest
from doubles import DEADLINE_S, NO_POWER, KeepingSink, ScriptedSource, reading
from samples import make_frame

from edge.backoff import Backoff
from edge.camera.capture import Capture
from edge.camera.round_robin import RoundRobin
from edge.engine.null import NullEngine
from edge.errors import CameraLostError, UnavailableError
from edge.loop import LoopOptions, run_loop

AWAY = UnavailableError("cam: connection refused", hint="Switch it on")


def film(name, frames, error=None):
    def play():
        for seq in range(frames):
            yield make_frame(seq)
        if error:
            raise error

    source = ScriptedSource(play(), live=False)
    source.info = type(source.info)(name, live=False, size=None, fps=None)
    return source


def take_all(sources):
    taken = []
    while not sources.ended:
        if (one := sources.take(DEADLINE_S)) is not None:
            taken.append(one[0])
    return taken


def test_no_source_starves_another():
    """Where both always have a frame ready, they take turns."""
    with reading(film("a", 50), film("b", 50)) as sources:
        turns = []
        for _ in range(40):
            for capture in sources.captures:
                while capture._frame is None:
                    pass
            turns.append(sources.take(0)[0])
    assert turns in ([0, 1] * 20, [1, 0] * 20)


def test_take_gives_nothing_after_its_time():
    over = threading.Event()

    def never():
        assert over.wait(DEADLINE_S)
        yield make_frame(0)

    with reading(ScriptedSource(never(), live=True)) as sources:
        assert sources.take(0) is None
        over.set()
        assert sources.take(DEADLINE_S)[0] == 0


def run(sources, model, **options):
    sink = KeepingSink()
    options = LoopOptions(read_power=lambda: NO_POWER, **options)
    with sources:
        summary = run_loop(sources, NullEngine(model), model.contract, [sink], options)
    return summary, sink


def test_loop_classifies_all_frames_of_all_sources(small_model):
    summary, sink = run(reading(film("a", 5), film("b", 9)), small_model)
    assert summary.final.frames == len(sink.records) == 14
    assert [(one.name, one.frames, one.state) for one in summary.final.sources] == [
        ("a", 5, "ended"),
        ("b", 9, "ended"),
    ]
    assert summary.final.sources[1].latest.frame.seq == 8


def test_source_that_dies_does_not_stop_the_others(small_model):
    lost = CameraLostError("a: cut", hint="Copy it again")
    summary, _ = run(reading(film("a", 2, lost), film("b", 50)), small_model)
    assert [one.frames for one in summary.final.sources] == [2, 50]
    assert summary.lost is lost
    assert summary.final.sources[0].problem == "cut"


def test_source_that_never_comes_does_not_stop_the_others(small_model):
    def away():
        raise AWAY

    changed = threading.Condition()
    never = Capture(reopen=away, name="cam", changed=changed, backoff=Backoff(first_s=0.001))
    other = Capture(film("b", 50), changed=changed)
    stop = threading.Event()

    class Stopping(KeepingSink):
        def take_snapshot(self, snapshot):
            if snapshot.sources[1].state == "ended":
                stop.set()

    options = LoopOptions(read_power=lambda: NO_POWER, stop=stop)
    with RoundRobin([never, other], changed) as sources:
        summary = run_loop(
            sources, NullEngine(small_model), small_model.contract, [Stopping()], options
        )
    assert summary.final.frames == 50
    assert summary.final.sources[0].state == "connecting"
    assert summary.final.sources[0].problem == "connection refused"
    assert summary.lost is None


def test_run_without_any_frame_ends_with_what_kept_the_source_away(small_model):
    tried = threading.Event()

    def away():
        tried.set()
        raise AWAY

    changed, stop = threading.Condition(), threading.Event()
    capture = Capture(reopen=away, name="cam", changed=changed)

    def stop_later():
        tried.wait(DEADLINE_S)
        while capture.error is None:
            pass
        stop.set()

    helper = threading.Thread(target=stop_later)
    helper.start()
    with pytest.raises(UnavailableError) as kept:
        run(RoundRobin([capture], changed), small_model, stop=stop)
    helper.join()
    assert kept.value is AWAY


def test_hung_source_does_not_keep_its_owner_from_leaving(caplog):
    """A driver that hangs in the kernel answers to nothing."""
    freed = threading.Event()

    def hangs():
        freed.wait(DEADLINE_S)
        yield make_frame(0)

    started_s = time.monotonic()
    with reading(ScriptedSource(hangs(), live=True), film("b", 2)) as sources:
        hung = sources.captures[0]
    assert time.monotonic() - started_s < DEADLINE_S / 2
    assert hung._thread.is_alive()
    assert "hangs in its driver" in caplog.text
    freed.set()
    hung._thread.join(DEADLINE_S)
