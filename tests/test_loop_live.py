"""A live camera that is faster than the engine: frames are dropped, answers stay fresh."""

from __future__ import annotations

import threading
import time

import pytest
from doubles import DEADLINE_S, KeepingSink, ScriptedSource, run_source
from samples import make_frame

from edge.engine.null import NullEngine


class SlowEngine(NullEngine):
    """Takes as long as the camera needs for some more frames."""

    def __init__(self, model, camera) -> None:
        super().__init__(model)
        self._camera = camera

    def collect(self):
        self._camera.go_on()
        return super().collect()


class PacedCamera(ScriptedSource):
    """A live camera whose next frames come when the engine allows them."""

    def __init__(self, frames, step) -> None:
        self.newest = -1
        self._step, self._left = step, frames - 1
        self._tick, self._given = threading.Semaphore(0), threading.Semaphore(0)
        super().__init__(self._play(frames), live=True)

    def _play(self, frames):
        for seq in range(frames):
            if seq:
                assert self._tick.acquire(timeout=DEADLINE_S)
            self.newest = seq
            yield make_frame(seq, captured_ns=time.monotonic_ns())
            if seq:
                self._given.release()  # asked for the next one: this one lies in the slot

    def go_on(self):
        for _ in range(min(self._step, self._left)):
            self._left -= 1
            self._tick.release()
            assert self._given.acquire(timeout=DEADLINE_S)


@pytest.mark.parametrize("step", [2, 5])
def test_slow_engine_drops_frames_and_the_lag_stays_bounded(small_model, step):
    """Lag is counted in camera frames, so that no clock decides; a queue would make it grow."""
    camera, lags = PacedCamera(40 * step + 1, step), []

    class LagSink(KeepingSink):
        def take_record(self, record) -> None:
            super().take_record(record)
            lags.append(camera.newest - record.frame.seq)

    summary, sink = run_source(
        camera, small_model, engine=SlowEngine(small_model, camera), sinks=[LagSink()]
    )
    assert max(lags) <= 2 * step, "two slots in flight, each as old as one inference"
    assert summary.final.dropped + summary.final.frames == 40 * step + 1
    assert summary.final.dropped > 0
    assert sink.seqs == sorted(sink.seqs)
    assert all(record.times.age_ns >= 0 for record in sink.records)
