"""What systemd hears of a run: ready, alive only while it gets on, and stopping."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from doubles import DEADLINE_S, KeepingSink, ScriptedSource, run_source
from hypothesis import given
from hypothesis import strategies as st
from samples import make_frame, make_snapshot, make_status
from servers.notify import NotifySocket
from strategies import QUICK

from edge.engine.null import NullEngine
from edge.sinks.systemd import SystemdSink, status_text

SNAPSHOTS_S = 1.5
"""Six intervals between two snapshots."""


@pytest.fixture
def systemd(tmp_path):
    with NotifySocket(tmp_path / "notify") as heard:
        yield heard


@pytest.fixture
def sink(systemd):
    with closing(SystemdSink(systemd.address)) as opened:
        yield opened


def away(state):
    return make_status("rtsp://door", state=state, problem="connection refused", latest=None)


def test_first_snapshot_makes_it_ready_even_while_the_camera_is_off(sink, systemd):
    sink.take_snapshot(make_snapshot(frames=0, fps=0.0, sources=(away("connecting"),)))
    assert systemd.hear() == {
        "READY": "1",
        "WATCHDOG": "1",
        "STATUS": "0.0 fps, 0 frames, 4 dropped; rtsp://door: connecting: connection refused",
    }


def test_run_is_alive_while_frames_are_classified(sink, systemd):
    for frames in (1, 2):
        sink.take_snapshot(make_snapshot(frames=frames, elapsed_s=frames / 4))
        assert systemd.hear()["WATCHDOG"] == "1"


@pytest.mark.parametrize("state", ["connecting", "reconnecting"])
def test_run_is_alive_while_its_camera_is_tried_again(sink, systemd, state):
    for quarter in range(3):
        sink.take_snapshot(make_snapshot(elapsed_s=quarter / 4, sources=(away(state),)))
        assert systemd.hear()["WATCHDOG"] == "1"


@pytest.mark.parametrize("state", ["live", "stalled", "ended"])
def test_run_is_not_alive_when_no_frame_comes_out_of_what_should_give_some(sink, systemd, state):
    """A driver that hangs, say."""
    sink.take_snapshot(make_snapshot(frames=9, elapsed_s=0.0))
    assert "WATCHDOG" in systemd.hear()
    for second in (2, 4):
        stuck = make_snapshot(frames=9, elapsed_s=second, sources=(make_status(state=state),))
        sink.take_snapshot(stuck)
        assert set(systemd.hear()) == {"STATUS"}


def test_status_goes_on_when_the_run_does_with_another_engine(sink, systemd):
    for elapsed_s in (7_200.0, 0.25):
        sink.take_snapshot(make_snapshot(elapsed_s=elapsed_s))
        assert "STATUS" in systemd.hear()


def test_end_is_told_once(systemd):
    sink = SystemdSink(systemd.address)
    sink.close()
    sink.close()
    assert systemd.hear() == {"STOPPING": "1"}
    assert systemd.is_silent(0.01)


def test_abstract_socket_is_found():
    with NotifySocket(f"@edge-{os.getpid()}") as heard, closing(SystemdSink(heard.address)) as sink:
        sink.take_snapshot(make_snapshot())
        assert "READY" in heard.hear()


def test_run_goes_on_when_systemd_is_gone(tmp_path):
    with closing(SystemdSink(str(tmp_path / "absent"))) as sink:
        sink.take_snapshot(make_snapshot())


def test_run_goes_on_when_systemd_does_not_listen(systemd, sink):
    for frames in range(2000):
        sink.take_snapshot(make_snapshot(frames=frames))
    assert systemd.hear()["READY"] == "1"


@given(st.text(), st.text())
@QUICK
def test_status_is_one_line_whatever_a_source_says(name, problem):
    text = status_text(make_snapshot(sources=(make_status(name, problem=problem),)))
    assert len(text.splitlines()) == 1
    assert len(text) <= 500


class HangingEngine:
    """Gives a few answers, and then none until it is released."""

    def __init__(self, model, answers):
        self._engine = NullEngine(model)
        self._answers = answers
        self.hung, self.released = threading.Event(), threading.Event()

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def collect(self):
        self._answers -= 1
        if self._answers < 0:
            self.hung.set()
            assert self.released.wait(DEADLINE_S)
        return self._engine.collect()


def test_engine_that_hangs_silences_the_watchdog(small_model, systemd, sink):
    told = KeepingSink()
    engine = HangingEngine(small_model, 3)
    stop = threading.Event()

    def frames():
        yield from map(make_frame, range(3))
        assert told.told.wait(DEADLINE_S)
        while not stop.is_set():
            yield make_frame(3)

    source = ScriptedSource(frames(), live=True)
    words = {"engine": engine, "sinks": [told, sink], "stop": stop}
    run = threading.Thread(target=run_source, args=[source, small_model], kwargs=words)
    run.start()
    try:
        assert "WATCHDOG" in systemd.hear_until("READY")[-1]
        assert engine.hung.wait(DEADLINE_S)
        assert systemd.is_silent(SNAPSHOTS_S)
        engine.released.set()
        assert systemd.hear_until("WATCHDOG")
    finally:
        engine.released.set()
        stop.set()
        run.join()


def test_command_tells_systemd_from_its_start_to_its_end(systemd):
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", "run", "demo", "--engine", "null"],
        env={**os.environ, "NOTIFY_SOCKET": systemd.address},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert systemd.hear_until("READY")
    assert "frames" in systemd.hear_until("STATUS")[-1]["STATUS"]
    assert systemd.hear_until("WATCHDOG")
    process.send_signal(signal.SIGTERM)
    assert systemd.hear_until("STOPPING")
    assert process.communicate(timeout=DEADLINE_S)[1] == ""
    assert process.returncode == 0
