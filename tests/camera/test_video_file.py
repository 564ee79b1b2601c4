"""A video file gives every frame once, and says so when it is not whole."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from samples import cut, make_video, number_of

from edge.camera.base import connect, open_source
from edge.camera.url import parse_source
from edge.errors import CameraLostError, InputError
from edge.image import to_pixels

FRAMES = 12
CONTAINERS = [("clip.avi", "MJPG"), ("clip.mp4", "mp4v"), ("clip.mkv", "MJPG")]


def read_into(numbers, source):
    while (frame := source.read()) is not None:
        numbers.append(number_of(frame))


@pytest.mark.parametrize(("name", "codec"), CONTAINERS)
def test_video_gives_every_frame_once_and_in_order(tmp_path, name, codec):
    make_video(tmp_path / name, frames=FRAMES, codec=codec)
    numbers = []
    with open_source(str(tmp_path / name)) as source:
        read_into(numbers, source)
    assert numbers == list(range(FRAMES))


def test_video_states_its_size_and_rate(tmp_path):
    with open_source(str(make_video(tmp_path / "clip.mp4", codec="mp4v"))) as source:
        assert (source.info.size, source.info.fps, source.info.live) == ((64, 48), 10.0, False)


@pytest.mark.parametrize(
    ("name", "codec", "of_all"), [("clip.avi", "MJPG", " of 12"), ("clip.mkv", "MJPG", "")]
)
def test_video_gives_what_is_there_and_counts_when_it_is_cut(tmp_path, name, codec, of_all):
    short = cut(make_video(tmp_path / name, frames=FRAMES, codec=codec), 0.6)
    numbers = []
    with open_source(str(short)) as source, pytest.raises(CameraLostError) as lost:
        read_into(numbers, source)
    assert 0 < len(numbers) < FRAMES
    whole = numbers[:-1]  # the cut may go through the last one
    assert whole == list(range(len(whole)))
    assert f"ends after {len(numbers)}{of_all} frames" in str(lost.value)


@pytest.mark.parametrize("first_ms", [0, 30_000])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_video_whose_rate_varies_is_whole(tmp_path, suffix, first_ms):
    """A screen recording, or a part of one: many frames while something moves, else none."""
    path = tmp_path / f"screen{suffix}"
    stamps_ms = [*range(0, 200, 16), 5000, *range(10_000, 10_200, 16)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4" if suffix != ".ts" else "libx264", rate=60)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for stamp_ms in stamps_ms:
            frame = av.VideoFrame.from_ndarray(np.zeros((72, 64), np.uint8), format="yuv420p")
            frame.pts, frame.time_base = first_ms + stamp_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_source(str(path)) as source:
        assert len(list(iter(source.read, None))) == len(stamps_ms)


def test_video_that_went_meanwhile_is_told_as_such(tmp_path):
    path = make_video(tmp_path / "clip.avi")
    url = parse_source(str(path))
    path.unlink()
    with pytest.raises(InputError, match=r"clip\.avi: no such file or folder"):
        connect(url)


def test_video_without_a_picture_is_refused(tmp_path):
    """A recorder that was switched off before the first one."""
    path = tmp_path / "empty.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(InputError, match="holds no picture"), open_source(str(path)):
        pass


def test_video_whose_sound_goes_on_is_whole(tmp_path):
    path = tmp_path / "song.mkv"
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("mpeg4", rate=10), container.add_stream("pcm_s16le")
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((72, 64), np.uint8), format="yuv420p")
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        silence = np.zeros((1, 2 * sound.rate), np.int16)
        samples = av.AudioFrame.from_ndarray(silence, format="s16", layout=sound.layout.name)
        samples.rate = sound.rate
        container.mux(sound.encode(samples))
    with open_source(str(path)) as source:
        assert len(list(iter(source.read, None))) == 5


@pytest.mark.parametrize("content", ["cut", b"hello, this is text\n" * 20, b""])
def test_video_is_refused_when_it_cannot_be_opened(tmp_path, content):
    """A cut mp4 has lost its index, which comes last."""
    path = tmp_path / "film.mp4"
    if content == "cut":
        path = cut(make_video(path, codec="mp4v"), 0.6)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="not a video, or a truncated one"), open_source(str(path)):
        pass


@pytest.mark.parametrize(
    ("name", "codec", "kept"),
    [("clip.avi", "MJPG", 0.6), ("clip.mp4", "mp4v", 0.6), ("clip.mp4", "mp4v", 0.0)],
)
def test_opencv_says_nothing_itself_when_a_video_is_broken(tmp_path, name, codec, kept):
    short = cut(make_video(tmp_path / name, codec=codec), kept)
    script = (
        "import sys\n"
        "from edge.camera.base import open_source\n"
        "from edge.errors import EdgeError\n"
        "try:\n"
        "    with open_source(sys.argv[1]) as source:\n"
        "        while source.read() is not None: pass\n"
        "except EdgeError as error: print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, short], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.strip() in {"CameraLostError", "InputError"}


def test_opencv_says_nothing_itself_when_a_video_is_damaged_inside(tmp_path):
    path = make_video(tmp_path / "clip.mp4", codec="mp4v")
    data = bytearray(path.read_bytes())
    data[200:260] = bytes(60)
    path.write_bytes(data)
    script = "import sys\nfrom edge.cli import main\nsys.argv[0] = 'edge'\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", script, "run", path, "--engine", "null"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert all(line.startswith("edge: ") for line in done.stderr.splitlines())
    assert "frames" in done.stdout


def test_real_video_gives_as_many_frames_as_it_announces(shared_data):
    with open_source(str(shared_data / "video" / "one-by-one-person-detection.mp4")) as source:
        count, last = 0, None
        while (frame := source.read()) is not None:
            count, last = count + 1, frame
    assert count > 100
    assert last.seq == count - 1
    assert np.ptp(to_pixels(last.data)) > 50
