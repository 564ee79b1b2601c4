"""What every source owes its reader, proven on each registered one that can run here."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from samples import make_picture, make_video

from edge.camera.base import SOURCES, open_source, source_kind
from edge.errors import InputError

READS = 4


def name_of(kind: str, folder: Path) -> str:
    """Make something that a source of this kind can read, and give its name."""
    if kind == "demo":
        return "demo"
    if kind == "video":
        return str(make_video(folder / "clip.avi", frames=READS + 2))
    if kind == "stills":
        for number in range(READS + 2):
            make_picture(folder / f"{number}.png", seed=number)
        return str(folder)
    cameras = sorted(path for path in Path("/dev").glob("video*") if os.access(path, os.R_OK))
    if not cameras:
        pytest.skip("this machine has no camera (/dev/video*)")
    return str(cameras[0])


@pytest.fixture(params=sorted(SOURCES))
def source(request, tmp_path):
    with open_source(name_of(request.param, tmp_path)) as opened:
        yield opened


def test_source_gives_frames_that_count_from_zero(source):
    frames = [source.read() for _ in range(READS)]
    assert [frame.seq for frame in frames] == list(range(READS))
    assert {frame.source for frame in frames} == {source.info.name}
    assert isinstance(source.unreadable, int)


def test_source_gives_bgr_pixels_of_the_stated_size(source):
    for _ in range(READS):
        pixels = source.read().data
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        if source.info.size is not None:
            assert (pixels.shape[1], pixels.shape[0]) == source.info.size


def test_source_stamps_frames_with_the_monotonic_clock(source):
    stamps = [time.monotonic_ns()]
    for _ in range(READS):
        frame = source.read()
        assert frame.capture_ns > 0
        stamps.append(frame.captured_ns)
    stamps.append(time.monotonic_ns())
    assert stamps == sorted(stamps)


def test_source_leaves_a_given_frame_alone_when_it_reads_on(source):
    first = source.read()
    kept = first.data.copy()
    others = [source.read() for _ in range(READS - 1)]
    assert np.array_equal(first.data, kept)
    assert not any(np.shares_memory(first.data, other.data) for other in others)


def test_source_stays_at_its_end_when_it_is_no_camera(source):
    if source.info.live:
        pytest.skip("a live source has no end")
    while source.read() is not None:
        pass
    assert source.read() is None


def test_source_closes_twice(source):
    source.close()
    source.close()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("demo", "demo"),
        ("0", "v4l2"),
        ("12", "v4l2"),
        ("/dev/video0", "v4l2"),
        ("/dev/video77", "v4l2"),
        ("folder", "stills"),
        ("folder/.", "stills"),
        ("absent.JPG", "stills"),
        ("a.webp", "stills"),
        ("clip.mp4", "video"),
        ("no-suffix", "video"),
        ("./demo", "stills"),
        ("./0", "video"),
    ],
)
def test_source_kind_tells_what_a_name_means(name, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "demo").mkdir()
    for file in ("clip.mp4", "no-suffix", "0"):
        (tmp_path / file).touch()
    assert source_kind(name) == kind


@pytest.mark.parametrize("name", ["absent", "absent.mp4", "/dev/video", "/dev/null/x"])
def test_source_kind_refuses_a_name_that_is_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such source"):
        source_kind(name)
