"""A file played as in life: frames when they are due, and an end to the wait at once."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import pytest
from doubles import DEADLINE_S, ScriptedSource
from samples import make_frame, make_video

from edge.camera.base import open_source
from edge.camera.paced import PacedSource
from edge.errors import CameraLostError

MS = 1_000_000


class StoppableSource(ScriptedSource):
    """A scripted source that remembers what was done to it."""

    def __init__(self, frames, *, fps=None):
        super().__init__(frames, live=False)
        self.info = replace(self.info, fps=fps)
        self.done = []

    def stop(self):
        self.done.append("stop")

    def close(self):
        self.done.append("close")


def stamped(*stamps_ms):
    return [
        replace(make_frame(seq), stamp_ns=None if stamp is None else stamp * MS)
        for seq, stamp in enumerate(stamps_ms)
    ]


def read_all(source):
    return list(iter(source.read, None))


def since_first_ms(frames):
    return [(frame.captured_ns - frames[0].captured_ns) / MS for frame in frames]


def test_paced_gives_no_frame_before_it_is_due():
    frames = read_all(PacedSource(StoppableSource(stamped(5000, 5020, 5060, 5130))))
    assert [frame.seq for frame in frames] == [0, 1, 2, 3]
    # The first is due when it is there, a moment before it is handed out.
    late = [came - due for came, due in zip(since_first_ms(frames), [0, 20, 60, 130], strict=True)]
    assert min(late) > -5, late
    assert frames[3].captured_ns > frames[2].captured_ns > frames[1].captured_ns


def test_paced_says_that_it_is_live_and_tells_of_the_source_inside(tmp_path):
    path = str(make_video(tmp_path / "clip.mp4", codec="mp4v"))
    with open_source(path) as source:
        paced = PacedSource(source)
        assert paced.info == replace(source.info, live=True)
        assert not source.info.live
        source._decoder.unreadable = 3
        assert paced.unreadable == 3


def test_paced_goes_by_the_rate_when_frames_have_no_stamps():
    frames = read_all(PacedSource(StoppableSource(stamped(None, None, None), fps=50.0)))
    assert since_first_ms(frames)[2] > 35


def test_paced_does_not_wait_for_a_stamp_that_lies_behind():
    frames = read_all(PacedSource(StoppableSource(stamped(10**9, 10**9 + 10, 0))))
    assert [frame.seq for frame in frames] == [0, 1, 2]


def test_paced_wait_ends_at_once_when_it_is_stopped():
    inner = StoppableSource(stamped(0, 10**9))
    paced = PacedSource(inner)
    assert paced.read().seq == 0
    given = []
    reader = threading.Thread(target=lambda: given.append(paced.read()))
    reader.start()
    paced.stop()
    reader.join(DEADLINE_S)
    assert not reader.is_alive()
    assert given == [None]
    assert paced.read() is None
    paced.close()
    assert inner.done == ["stop", "close"]


def test_paced_lets_the_loss_of_its_source_through():
    def frames():
        yield make_frame(0)
        raise CameraLostError("clip: ends", hint="Copy it again")

    paced = PacedSource(StoppableSource(frames()))
    paced.read()
    with pytest.raises(CameraLostError, match="clip: ends"):
        paced.read()


def test_paced_plays_a_real_video_in_its_own_time(tmp_path):
    """A clip of 10 frames a second: four frames take no less than three of its intervals."""
    with open_source(str(make_video(tmp_path / "clip.mp4", codec="mp4v"))) as source:
        paced = PacedSource(source)
        frames = [paced.read() for _ in range(4)]
    assert since_first_ms(frames)[3] > 290
    assert all(
        after.captured_ns > before.captured_ns for before, after in itertools.pairwise(frames)
    )
