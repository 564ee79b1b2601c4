"""What every source owes its reader, proven on each registered one that can run here."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from samples import make_picture, make_video
from servers.mjpeg import MJPEGServer
from servers.rtsp import RTSPServer, why_not

from edge.camera.base import SOURCES, open_source
from edge.camera.gst_tools import has_element
from edge.errors import UnavailableError
from edge.frame import Jpeg, Planes
from edge.image import to_pixels

READS = 4


def require_element(name: str) -> None:
    try:
        is_here = has_element(name)
    except UnavailableError as error:
        pytest.skip(str(error))
    if not is_here:
        pytest.skip(f"GStreamer here has no {name}")


def make_rtsp(_folder: Path, stack: ExitStack) -> str:
    if reason := why_not():
        pytest.skip(reason)
    return f"{stack.enter_context(RTSPServer()).url}#decoder=ffmpeg"


def make_stills(folder: Path, _stack: ExitStack) -> str:
    for number in range(READS + 2):
        suffix = "png" if number % 2 else "jpg"
        make_picture(folder / f"{number}.{suffix}", seed=number)
    return str(folder)


def make_pipeline(_folder: Path, _stack: ExitStack) -> str:
    require_element("gdppay")
    return f"gst:videotestsrc num-buffers={READS + 2} ! video/x-raw,width=64,height=48"


def find_csi(_folder: Path, _stack: ExitStack) -> str:
    require_element("nvarguscamerasrc")
    return "csi://0"


def find_camera(_folder: Path, _stack: ExitStack) -> str:
    cameras = sorted(path for path in Path("/dev").glob("video*") if os.access(path, os.R_OK))
    if not cameras:
        pytest.skip("this machine has no camera (/dev/video*)")
    return str(cameras[0])


MAKERS = {
    "csi": find_csi,
    "demo": lambda _folder, _stack: "demo",
    "gst": make_pipeline,
    "http": lambda _folder, stack: stack.enter_context(MJPEGServer()).url,
    "rtsp": make_rtsp,
    "stills": make_stills,
    "v4l2": find_camera,
    "video": lambda folder, _stack: str(make_video(folder / "clip.avi", frames=READS + 2)),
}
"""Kind to what makes something that such a source reads, and gives its name."""


@pytest.fixture(params=sorted(SOURCES))
def source(request, tmp_path):
    with ExitStack() as stack:
        name = MAKERS[request.param](tmp_path, stack)
        yield stack.enter_context(open_source(name))


def arrays_of(data) -> list[np.ndarray]:
    """Give the memory that a picture lies in; bytes cannot be written to."""
    if isinstance(data, Jpeg):
        return [np.frombuffer(data.coded, dtype=np.uint8)]
    return [data.luma, data.blue, data.red] if isinstance(data, Planes) else [data]


def test_source_gives_frames_that_count_from_zero(source):
    frames = [source.read() for _ in range(READS)]
    assert [frame.seq for frame in frames] == list(range(READS))
    assert {frame.source for frame in frames} == {source.info.name}
    assert isinstance(source.unreadable, int)


def test_source_gives_pictures_of_the_stated_size(source):
    for _ in range(READS):
        frame = source.read()
        pixels = to_pixels(frame.data)
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3
        assert (pixels.shape[1], pixels.shape[0]) == frame.size
        assert source.info.size in {None, frame.size}


def test_source_stamps_frames_with_the_monotonic_clock(source):
    stamps = [time.monotonic_ns()]
    for _ in range(READS):
        frame = source.read()
        assert frame.capture_ns + frame.decode_ns > 0
        stamps.append(frame.captured_ns)
    stamps.append(time.monotonic_ns())
    assert stamps == sorted(stamps)


def test_source_leaves_a_given_frame_alone_when_it_reads_on(source):
    first = source.read()
    kept = to_pixels(first.data).copy()
    others = [source.read() for _ in range(READS - 1)]
    assert np.array_equal(to_pixels(first.data), kept)
    mine = arrays_of(first.data)
    theirs = [array for other in others for array in arrays_of(other.data)]
    assert not any(np.shares_memory(one, other) for one in mine for other in theirs)


def test_source_stays_at_its_end_when_it_is_no_camera(source):
    if source.info.live:
        pytest.skip("a live source has no end")
    while source.read() is not None:
        pass
    assert source.read() is None


def test_source_closes_twice(source):
    source.close()
    source.close()
