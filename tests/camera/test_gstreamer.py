"""What GStreamer's child process gives is exact, and it never outlives or hangs its reader."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from doubles import DEADLINE_S
from hypothesis import given
from hypothesis import strategies as st
from packets import BUFFER, CAPS, CAPS_TEXT, make_packet
from samples import make_picture

from edge.camera.gst_tools import has_element
from edge.camera.gst_words import MOST_LETTERS, explain, find_reason
from edge.camera.gstreamer import (
    CSI_MENDS,
    CSISource,
    PipelineSource,
    RTSPPipelineSource,
    csi_recipe,
    is_live,
    rtsp_recipe,
)
from edge.camera.launch import PATIENCE_S
from edge.camera.url import SourceOptions, SourceURL, parse_source
from edge.errors import CameraLostError, InputError, UnavailableError
from edge.image import to_pixels

needs_gstreamer = pytest.mark.skipif(
    shutil.which("gst-launch-1.0") is None or not has_element("gdppay"),
    reason="gst-launch-1.0 or gdppay is not installed",
)

SMALL = "video/x-raw,width=64,height=48"
SLOW = f"videotestsrc is-live=true ! {SMALL},framerate=1/60"
"""Gives one picture, then none for a minute."""


def open_pipeline(text, **options):
    url = parse_source(f"gst:{text}")
    return PipelineSource(SourceURL(url.kind, url.target, url.name, SourceOptions(**options)))


def read_all(source):
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    source.close()
    return frames


def child_of(source):
    return source._child._process.pid


def launch(*words):
    subprocess.run(["gst-launch-1.0", "-q", *words], check=True, stdin=subprocess.DEVNULL)


def write_boxed(made, path, width, height):
    """Have GStreamer add borders up to multiples of 8, where no row is padded; give the planes."""
    wide, high = -(-width // 8) * 8, -(-height // 8) * 8
    box = f"videobox right={width - wide} bottom={height - high} ! video/x-raw,format=I420"
    launch(*f"{made},format=I420 ! {box},width={wide},height={high}".split(), "!", "filesink",
           f"location={path}")  # fmt: skip
    frames = np.fromfile(path, np.uint8).reshape(-1, wide * high * 3 // 2)
    luma = frames[:, : wide * high].reshape(-1, high, wide)
    chroma = frames[:, wide * high :].reshape(-1, 2, high // 2, wide // 2)
    half = np.s_[: (height + 1) // 2, : (width + 1) // 2]
    for number in range(len(frames)):
        yield luma[number, :height, :width], chroma[number, 0][half], chroma[number, 1][half]


@needs_gstreamer
@pytest.mark.parametrize(("width", "height"), [(321, 243), (64, 48), (322, 241), (1, 1)])
def test_pipeline_gives_the_pixels_that_gstreamer_writes(tmp_path, width, height):
    made = f"videotestsrc pattern=ball num-buffers=20 ! video/x-raw,width={width},height={height}"
    frames = read_all(open_pipeline(made))
    wanted = list(write_boxed(made, tmp_path / "boxed", width, height))
    assert len(frames) == len(wanted) == 20
    for frame, planes in zip(frames, wanted, strict=True):
        for ours, theirs in zip(
            (frame.data.luma, frame.data.blue, frame.data.red), planes, strict=True
        ):
            assert np.array_equal(ours, theirs)


@needs_gstreamer
@pytest.mark.parametrize("colorimetry", ["bt601", "bt709", "1:4:0:0", "1:3:5:1"])
def test_pipeline_says_how_colours_were_coded(colorimetry):
    made = f"videotestsrc pattern=solid-color foreground-color={0xFFC83C14} num-buffers=1"
    coded = f"videoconvert ! video/x-raw,format=I420,colorimetry={colorimetry}"
    (frame,) = read_all(open_pipeline(f"{made} ! {SMALL},format=BGR ! {coded}"))
    colour = np.full((48, 64, 3), (0x14, 0x3C, 0xC8), dtype=np.uint8)
    assert cv2.absdiff(to_pixels(frame.data), colour).max() <= 3


@needs_gstreamer
def test_pipeline_follows_a_size_that_changes(tmp_path):
    sizes = [(64, 48), (64, 48), (33, 77), (120, 20)]
    for number, (width, height) in enumerate(sizes):
        make_picture(tmp_path / f"{number}.png", height=height, width=width, seed=number)
    text = (
        f'multifilesrc location="{tmp_path}/%d.png" stop-index=3 caps=image/png,framerate=10/1'
        " ! pngdec"
    )
    source = open_pipeline(text)
    seen = []
    while (frame := source.read()) is not None:
        seen.append((frame.size, source.info.size))
    source.close()
    assert seen == [(size, size) for size in sizes]


@needs_gstreamer
def test_pipeline_tells_time_and_number_of_each_picture():
    frames = read_all(open_pipeline(f"videotestsrc num-buffers=5 ! {SMALL},framerate=10/1"))
    assert [frame.stamp_ns for frame in frames] == [n * 100_000_000 for n in range(5)]
    assert [frame.seq for frame in frames] == list(range(5))


@needs_gstreamer
def test_pipeline_leaves_a_gap_where_a_full_queue_dropped():
    source = open_pipeline(
        f"videotestsrc is-live=true ! {SMALL},framerate=100/1"
        " ! queue leaky=downstream max-size-buffers=1 ! identity sleep-time=45000"
    )
    frames = [source.read() for _ in range(6)]
    source.close()
    first = round(frames[0].stamp_ns / 1e7)
    numbers = [round(frame.stamp_ns / 1e7) - first for frame in frames]
    assert [frame.seq for frame in frames] == numbers
    assert numbers[-1] > 5


@needs_gstreamer
def test_pipeline_stays_at_its_end():
    source = open_pipeline(f"videotestsrc num-buffers=1 ! {SMALL}")
    assert source.read() is not None
    assert source.read() is None
    assert source.read() is None
    source.close()
    source.close()
    source.stop()


@needs_gstreamer
@pytest.mark.parametrize(
    ("text", "error", "named"),
    [
        ("nosuch ! identity", InputError, 'no element "nosuch"'),
        ("videotestsrc pattrn=3", InputError, 'no property "pattrn"'),
        ("videotestsrc ! !", InputError, "syntax error"),
        ("videotestsrc ! appsink", InputError, "could not link appsink0"),
        ("audiotestsrc", InputError, "could not link audiotestsrc0"),
        ("fakesrc num-buffers=99", InputError, "not-negotiated"),
        ("videotestsrc num-buffers=0", InputError, "ended without a picture"),
        ("filesrc location=/nope ! decodebin", InputError, "No such file"),
        ("--version", InputError, "syntax error"),
        ("v4l2src device=/dev/video99", UnavailableError, "/dev/video99"),
        ("rtspsrc location=rtsp://me:word@127.0.0.1:1/x ! decodebin", UnavailableError, "connect"),
    ],
)
def test_pipeline_that_cannot_run_is_told_in_one_line(text, error, named):
    with pytest.raises(error) as raised:
        open_pipeline(text)
    line = str(raised.value)
    assert named in line
    assert line.startswith("gst:")
    assert "\n" not in line
    assert "word" not in line


@needs_gstreamer
def test_pipeline_text_reaches_gstreamer_unchanged(tmp_path):
    """Two spaces in a name in quotes, which a split at white space would lose."""
    folder = tmp_path / "a  b ! c"
    folder.mkdir()
    make_picture(folder / "0.png")
    text = f'multifilesrc  location="{folder}/%d.png" stop-index=0 caps=image/png,framerate=1/1'
    assert len(read_all(open_pipeline(f"{text} ! pngdec"))) == 1


@needs_gstreamer
def test_killed_child_is_a_lost_camera():
    source = open_pipeline(f"videotestsrc is-live=true ! {SMALL}")
    os.kill(child_of(source), signal.SIGKILL)
    with pytest.raises(CameraLostError, match="signal 9"):
        read_all(source)
    source.close()


@needs_gstreamer
def test_child_that_stalls_is_a_lost_camera_and_is_ended():
    source = open_pipeline(f"videotestsrc is-live=true ! {SMALL}")
    source._timeout_s = 2.0  # from here on: a busy machine may be slow to open it
    os.kill(child_of(source), signal.SIGSTOP)
    with pytest.raises(CameraLostError, match="gave no picture for 2 s"):
        read_all(source)
    assert source._child.code == -signal.SIGKILL
    assert sum(patience for _, patience in PATIENCE_S) < 2


@needs_gstreamer
def test_silence_at_the_opening_is_no_endless_wait():
    with pytest.raises(UnavailableError, match="gave no picture for 1 s"):
        open_pipeline(f"videotestsrc is-live=true ! {SMALL} ! valve drop=true", timeout_s=1.0)


@needs_gstreamer
@pytest.mark.parametrize("is_hung", [False, True])
def test_stop_ends_a_read_that_waits(is_hung):
    source = open_pipeline(SLOW, timeout_s=60.0)
    assert source.read() is not None
    if is_hung:
        os.kill(child_of(source), signal.SIGSTOP)
    given = ["nothing yet"]
    thread = threading.Thread(target=lambda: given.append(source.read()), daemon=True)
    thread.start()
    source.stop()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert given[-1] is None
    source.close()
    assert source._child.code is not None


@needs_gstreamer
@pytest.mark.parametrize("text", [SLOW, f"videotestsrc is-live=true ! {SMALL}"])
def test_no_child_is_left_when_its_parent_is_killed(text):
    script = (
        "import sys\n"
        "from edge.camera.gstreamer import PipelineSource\n"
        "from edge.camera.url import parse_source\n"
        "source = PipelineSource(parse_source('gst:' + sys.argv[1]))\n"
        "print(source._child._process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    words = [sys.executable, "-c", script, text]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        assert select.select([child], [], [], DEADLINE_S)[0], "the child lives on"
    finally:
        os.close(child)


@needs_gstreamer
def test_child_outlives_the_thread_that_opened_it():
    opened = []
    thread = threading.Thread(
        target=lambda: opened.append(open_pipeline(f"videotestsrc is-live=true ! {SMALL}"))
    )
    thread.start()
    thread.join()
    assert [opened[0].read().seq for _ in range(20)] == list(range(20))
    opened[0].close()


@needs_gstreamer
def test_no_descriptor_and_no_child_is_left():
    def count():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    for number in range(50):
        if number % 10 == 0:
            with pytest.raises(InputError):
                open_pipeline("nosuch")
        source = open_pipeline(f"videotestsrc ! {SMALL}")
        source.read()
        source.close()
    assert count() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_missing_programs_are_named_with_what_installs_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"sudo apt install gstreamer1\.0-tools"):
        open_pipeline("videotestsrc")


@needs_gstreamer
def test_missing_gdppay_is_named_with_what_installs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GST_PLUGIN_SYSTEM_PATH_1_0", str(tmp_path))
    monkeypatch.setenv("GST_REGISTRY", str(tmp_path / "registry"))
    with pytest.raises(UnavailableError, match=r"gdppay.*gstreamer1\.0-plugins-bad"):
        open_pipeline("videotestsrc")


@needs_gstreamer
def test_csi_camera_is_refused_where_this_is_no_jetson():
    if has_element("nvarguscamerasrc"):
        pytest.skip("this is a Jetson")
    with pytest.raises(UnavailableError, match=r"csi://0: GStreamer has no element nvargus"):
        CSISource(parse_source("csi://0"))


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Give a function that puts a program in the place of gst-launch-1.0; every element exists.

    It says `words`, sends `data` and ends, or hangs.
    """

    def install(words="", data=b"", *, hangs=False):
        (tmp_path / "data").write_bytes(data)
        (tmp_path / "words").write_text(words)
        (tmp_path / "gst-inspect-1.0").write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / "gst-launch-1.0").write_text(
            f"#!{sys.executable}\n"
            "import pathlib, signal, sys\n"
            f"here = pathlib.Path({str(tmp_path)!r})\n"
            "sys.stderr.write((here / 'words').read_text())\n"
            "sys.stderr.flush()\n"
            "with open(int(sys.argv[-1].removeprefix('fd=')), 'wb') as pipe:\n"
            "    pipe.write((here / 'data').read_bytes())\n"
            "    pipe.flush()\n"
            f"    signal.pause() if {hangs} else None\n"
        )
        for name in ("gst-inspect-1.0", "gst-launch-1.0"):
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return install


CAPS_PACKET = make_packet(CAPS, CAPS_TEXT.encode() + b"\0")
PICTURE = make_packet(BUFFER, bytes(320 * 240 * 3 // 2), pts_ns=0)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"\xff" * 200, "not a stream of gdppay"),
        (PICTURE[:1000], "its pipeline ended"),
        (make_packet(CAPS, b"video/x-raw, format=RGB"), "no raw I420 video"),
    ],
)
def test_broken_stream_is_a_lost_camera(stand_in, data, named):
    stand_in(data=CAPS_PACKET + PICTURE + data)
    source = open_pipeline("any")
    assert source.read() is not None
    with pytest.raises(CameraLostError, match=named):
        source.read()
    assert source.read() is None


def test_picture_of_another_length_is_skipped_and_counted(stand_in):
    stand_in(data=CAPS_PACKET + PICTURE + make_packet(BUFFER, b"short") + PICTURE)
    source = open_pipeline("any")
    assert [frame.seq for frame in read_all(source)] == [0, 1]
    assert source.unreadable == 1


def test_child_that_says_much_is_not_held_up(stand_in):
    stand_in(words="a warning of a plug-in\n" * 50_000, data=CAPS_PACKET + PICTURE)
    source = open_pipeline("any")
    assert len(read_all(source)) == 1
    assert len(source._child.words) <= 1 << 16


HUNG = (
    "GST_ARGUS: Creating output stream\n"
    "Error generated. gstnvarguscamerasrc.cpp, execute:751 Failed to create CaptureSession\n"
    "GST_ARGUS: Cleaning up\n"
)
LOST = "(Argus) Error Timeout:  (propagating from src/rpc/socket/client/ClientSocketManager.cpp)\n"


def test_csi_camera_that_was_not_let_go_is_told_with_its_cure(stand_in):
    stand_in(words=HUNG)
    with pytest.raises(UnavailableError) as raised:
        CSISource(parse_source("csi://0"))
    assert str(raised.value) == (
        "csi://0: Failed to create CaptureSession. Run: sudo systemctl restart nvargus-daemon"
    )


def test_csi_camera_that_fails_is_lost_and_told_with_its_cure(stand_in):
    stand_in(words=LOST, data=CAPS_PACKET + PICTURE)
    source = CSISource(parse_source("csi://0"))
    assert source.info.live
    assert source.read() is not None
    with pytest.raises(CameraLostError, match=r"Timeout.*systemctl restart nvargus-daemon"):
        source.read()
    source.close()


def test_csi_camera_that_gives_no_first_picture_is_told_with_the_cure(stand_in):
    stand_in(hangs=True)
    with pytest.raises(UnavailableError, match=r"no picture for 1 s.*restart nvargus-daemon"):
        CSISource(parse_source("csi://0?timeout=1"))


@pytest.mark.parametrize("words", ["", "WARNING: a plug-in is old\n"])
def test_camera_whose_stream_ends_is_lost(stand_in, words):
    stand_in(words=words, data=CAPS_PACKET + PICTURE)
    source = CSISource(parse_source("csi://0"))
    assert source.read() is not None
    with pytest.raises(CameraLostError):
        source.read()


def test_what_is_no_picture_at_all_is_refused_at_the_opening(stand_in):
    stand_in(data=b"\xff" * 200)
    with pytest.raises(UnavailableError, match="gst:any: not a stream of gdppay"):
        open_pipeline("any")


def test_csi_camera_that_is_not_there_is_no_hung_daemon():
    error = explain("csi://3", "execute:740 No cameras available\n", CSI_MENDS)
    assert "ribbon cable" in error.hint
    assert "No cameras available" in str(error)


def test_csi_recipe_asks_for_what_the_person_asked():
    url = parse_source("csi://1?size=1920x1080&fps=29.97&flip=2")
    text = csi_recipe(url.target, url.options).pipeline
    assert text.startswith(
        "nvarguscamerasrc sensor-id=1"
        " ! video/x-raw(memory:NVMM),width=1920,height=1080,framerate=2997/100"
        " ! nvvidconv flip-method=2 ! video/x-raw,format=I420 ! queue leaky=downstream"
    )


@pytest.mark.parametrize(
    ("has_hardware", "element"), [(True, "nvvidconv"), (False, "videoconvert")]
)
def test_rtsp_recipe_asks_for_what_the_person_asked(has_hardware, element):
    url = parse_source("rtsp://cam/live?a=1&b=2#transport=udp&latency=40&timeout=2.5")
    recipe = rtsp_recipe(url.target, url.options, has_hardware=has_hardware)
    assert recipe.pipeline.startswith(
        'rtspsrc location="rtsp://cam/live?a=1&b=2" protocols=udp latency=40'
        " drop-on-latency=true tcp-timeout=2500000 timeout=2500000 ! "
    )
    assert f" decodebin ! {element} ! video/x-raw,format=I420 ! " in recipe.pipeline
    assert recipe.live


@given(st.text())
def test_rtsp_url_cannot_leave_its_quotes(text):
    location = "rtsp://cam/" + text.encode("utf-8", "replace").decode()
    pipeline = rtsp_recipe(location, SourceOptions(), has_hardware=False).pipeline
    _, value, rest = pipeline.split('"')
    assert value.isascii()
    assert not set(value) & set(" \\\n\t")
    assert rest.startswith(" protocols=")


@pytest.mark.parametrize(
    ("text", "live"),
    [
        ("videotestsrc is-live=true", True),
        ("videotestsrc is-live = TRUE ! identity", True),
        ("v4l2src ! jpegdec", True),
        ("uridecodebin uri=rtsp://camera/x", True),
        ("compositor name=mix filesrc location=a ! mix. v4l2src ! mix.", True),
        ("uridecodebin uri=file:///a ! mix. uridecodebin uri=rtsp://b ! mix.", True),
        ("shmsrc!identity", True),
        ("something", True),
        ("videotestsrc", False),
        ("videotestsrc is-live=false", False),
        ("filesrc location=a.mp4 ! decodebin", False),
        ("filesrc location=v4l2src.mp4 ! decodebin", False),
        ("multifilesrc location=%d.png!pngdec", False),
        ('uridecodebin uri="file:///a.mp4"', False),
    ],
)
def test_pipeline_is_live_unless_all_of_it_waits_for_its_reader(text, live):
    assert is_live(text) is live


@given(
    st.text() | st.text().map("ERROR: from element /a:b0: {}\nAdditional debug info:\nx\n".format)
)
def test_reason_is_one_short_line_of_any_words(words):
    reason = find_reason(words, CSI_MENDS)
    assert reason is None or ("\n" not in reason and len(reason) <= MOST_LETTERS + 3)


SERVER = """
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer.new()
server.set_address("127.0.0.1")
server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory.new()
factory.set_launch(
    "( videotestsrc is-live=true ! video/x-raw,width=320,height=240"
    " ! x264enc tune=zerolatency key-int-max=10 ! rtph264pay name=pay0"
    " audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay1 )"
)
server.get_mount_points().add_factory("/cam", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


@pytest.fixture
def rtsp_server():
    """Give the address of a real RTSP server, or skip."""
    words = ["/usr/bin/python3", "-c", SERVER]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}
    ) as server:
        port = server.stdout.readline().decode().strip()
        if port:
            yield f"rtsp://127.0.0.1:{port}"
        server.kill()
    if not port:
        pytest.skip("the system's Python has no GstRtspServer (gir1.2-gst-rtsp-server-1.0)")


@needs_gstreamer
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp_pipeline_gives_the_pictures_of_a_server(rtsp_server, transport):
    url = parse_source(f"{rtsp_server}/cam#transport={transport}&timeout=20")
    source = RTSPPipelineSource(url)
    frames = [source.read() for _ in range(5)]
    source.close()
    assert source.info.size == frames[-1].size == (320, 240)
    assert source.info.live
    assert np.ptp(frames[-1].data.luma) > 100


@needs_gstreamer
@pytest.mark.parametrize(
    ("path", "error", "named"),
    [("/absent", InputError, "Check the path"), ('/a" ! fakesink " b', InputError, "Not found")],
)
def test_rtsp_pipeline_that_is_refused_says_why(rtsp_server, path, error, named):
    with pytest.raises(error, match=named):
        RTSPPipelineSource(parse_source(rtsp_server + path))
