"""A network camera: live frames, honest ends, clear errors, and no password anywhere."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import traceback
from contextlib import contextmanager
from urllib.parse import quote

import av.error
import numpy as np
import pytest
from doubles import DEADLINE_S
from servers.rtsp import RTSPServer, why_not

from edge.camera.base import connect, open_source
from edge.camera.gstreamer import RTSPPipelineSource
from edge.camera.rtsp import RTSPSource
from edge.camera.url import parse_source
from edge.errors import CameraLostError, InputError, UnavailableError
from edge.frame import Planes
from edge.image import to_pixels

needs_server = pytest.mark.skipif(why_not() is not None, reason=why_not() or "")

SECRET = "p@ss:w/rd"
USER = "operator"
LOGIN = f"{USER}:{quote(SECRET, safe='')}@"


def word_of(url, *options, login=""):
    return "#".join([url.replace("//", f"//{login}"), "&".join(["decoder=ffmpeg", *options])])


@pytest.fixture
def server():
    with RTSPServer() as started:
        yield started


@contextmanager
def listening():
    """Give a socket that accepts no call by itself, and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, f"rtsp://127.0.0.1:{listener.getsockname()[1]}/live"


def read_until_lost(source):
    """Read what is still there; gives the error and how many frames came before it."""
    for number in range(10_000):
        try:
            frame = source.read()
        except CameraLostError as error:
            return error, number
        assert frame is not None
    raise AssertionError("no end")


@needs_server
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_rtsp_gives_live_frames_of_a_picture_that_moves(server, transport):
    before_ns = time.monotonic_ns()
    with open_source(word_of(server.url, f"transport={transport}")) as source:
        frames = [source.read() for _ in range(40)]
        assert (source.info.live, source.info.size, source.info.fps) == (True, server.size, 20)
        assert source.unreadable == 0
    assert [frame.seq for frame in frames] == list(range(40))
    assert {frame.size for frame in frames} == {server.size}
    assert all(isinstance(frame.data, Planes) for frame in frames)
    pictures = [to_pixels(frame.data).astype(int) for frame in frames]
    assert all(np.abs(a - b).max() > 50 for a, b in zip(pictures, pictures[10:], strict=False))
    arrivals = [before_ns, *(frame.captured_ns for frame in frames), time.monotonic_ns()]
    assert arrivals == sorted(arrivals)


@needs_server
def test_rtsp_stamps_follow_the_cameras_clock(server):
    with open_source(word_of(server.url)) as source:
        stamps = [source.read().stamp_ns for _ in range(12)][1:]  # the first may be without one
    steps = np.diff(stamps)
    assert np.all(np.abs(steps - 1e9 / server.fps) < 1e6), steps


@needs_server
def test_rtsp_begins_with_a_key_frame():
    """Joined in the middle of a group of pictures, the first would be grey."""
    with RTSPServer(gop=30) as server, open_source(word_of(server.url)) as first:
        for _ in range(3):
            first.read()
        with open_source(word_of(server.url)) as second:
            picture = to_pixels(second.read().data)
            assert second.unreadable == 0
    assert picture.min() < 30  # the pattern is a white ball on black
    assert picture.max() > 200


@needs_server
def test_rtsp_is_lost_when_the_server_is_killed_and_opens_again_with_another_size(server):
    source = connect(parse_source(word_of(server.url)))
    try:
        assert source.read().size == (160, 120)
        server.stop()
        error, _ = read_until_lost(source)
        assert f"{server.url}: hung up" in str(error)
    finally:
        source.close()
    with pytest.raises(UnavailableError, match="connection refused"):
        connect(parse_source(word_of(server.url)))
    server.size = (320, 240)
    server.start()
    with open_source(word_of(server.url)) as source:
        assert source.info.size == source.read().size == (320, 240)


@needs_server
def test_rtsp_goes_on_after_a_stall_that_is_shorter_than_its_timeout(server):
    """It looks up several times meanwhile, and must find its place again each time."""
    with open_source(word_of(server.url, "timeout=20")) as source:
        first = source.read()
        before_ns = time.monotonic_ns()
        server.stall()
        timer = threading.Timer(3, server.resume)
        timer.start()
        last = first
        while last.captured_ns < before_ns + 3_000_000_000:
            last = source.read()
        timer.join()
        stamps = [source.read().stamp_ns for _ in range(30)]
        assert source.unreadable == 0
    intervals = np.diff(stamps) * server.fps / 1e9  # a loaded machine's server skips some
    assert np.all(intervals > 0.5), "frames come twice or out of order"


@needs_server
def test_rtsp_is_lost_after_silence(server):
    with open_source(word_of(server.url)) as source:
        source.read()
        source._timeout_s = 1  # from here on: a busy machine may be slow to open it
        server.stall()
        error, _ = read_until_lost(source)
    assert "sent no picture for 1 s" in str(error)


@needs_server
def test_rtsp_read_that_waits_notices_stop(server):
    with open_source(word_of(server.url, "timeout=1000")) as source:
        source.read()
        server.stall()
        ended = threading.Event()

        def read():
            while source.read() is not None:
                pass
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert not ended.wait(0.3)
        source.stop()
        assert ended.wait(DEADLINE_S)
        reader.join()
        assert source.read() is None


@needs_server
def test_rtsp_frame_stays_whole_after_the_source_is_closed(server):
    with open_source(word_of(server.url)) as source:
        frame = source.read()
        kept = to_pixels(frame.data).copy()
        for _ in range(20):
            source.read()
    assert np.array_equal(to_pixels(frame.data), kept)


@needs_server
def test_rtsp_logs_in_with_a_password_full_of_marks():
    with (
        RTSPServer(user=USER, password=SECRET) as server,
        open_source(word_of(server.url, login=LOGIN)) as source,
    ):
        assert source.read().size == server.size
        assert source.info.name == server.url
        assert source.read().source == server.url
        server.stop()
        error, _ = read_until_lost(source)
    assert_no_secret(error)


@needs_server
def test_rtsp_refuses_a_wrong_password_and_a_wrong_path():
    with RTSPServer(user=USER, password="another") as server:
        for login in ("", LOGIN):
            with pytest.raises(InputError, match="wrong user or password") as refused:
                connect(parse_source(word_of(server.url, login=login)))
            assert "%40 for @" in refused.value.hint
            assert_no_secret(refused.value)
    with (
        RTSPServer(user=USER, password=SECRET) as server,
        pytest.raises(InputError, match="no such path") as refused,
    ):
        connect(parse_source(word_of(f"{server.url}/absent", login=LOGIN)))
    assert_no_secret(refused.value)


def test_rtsp_gives_up_on_a_server_that_does_not_answer():
    with (
        listening() as (_, url),
        pytest.raises(UnavailableError, match="no answer within 1 s") as e,
    ):
        connect(parse_source(word_of(url, "timeout=1", login=LOGIN)))
    assert_no_secret(e.value)


@pytest.mark.parametrize("answer", [b"HTTP/1.0 400 Bad Request\r\n\r\n", b"\0$\xff" * 5000, b""])
def test_rtsp_refuses_what_is_no_camera(answer):
    with listening() as (listener, url):
        server = threading.Thread(target=answer_once, args=(listener, [answer]))
        server.start()
        with pytest.raises(UnavailableError) as refused:
            connect(parse_source(word_of(url, f"timeout={DEADLINE_S}", login=LOGIN)))
        server.join()
    assert_no_secret(refused.value)


def answer_once(listener, answers, garbage=b""):
    """Answer the requests of one client in turn, send what is no RTP, and hang up."""
    connection, _ = listener.accept()
    with connection:
        for answer in answers:
            request = connection.recv(4096)
            number = next(
                (line.split(b":")[1] for line in request.split(b"\r\n") if line[:4] == b"CSeq"),
                b"0",
            )
            connection.sendall(answer.replace(b"CSEQ", number))
        if garbage:
            connection.sendall(garbage)


SDP = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
    b"a=rtpmap:96 H264/90000\r\n"
    b"a=fmtp:96 packetization-mode=1;"
    b"sprop-parameter-sets=Z0LAH9oCgPaEAAADAAQAAAMAyDxgyoA=,aM48gA==\r\n"
    b"a=control:track\r\n"
)
OK = b"RTSP/1.0 200 OK\r\nCSeq:CSEQ\r\n"
DIALOGUE = [
    OK + b"Public: DESCRIBE, SETUP, PLAY\r\n\r\n",
    OK + b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(SDP) + SDP,
    OK + b"Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n",
    OK + b"Session: 1\r\n\r\n",
]


def test_rtsp_survives_garbage_in_the_place_of_video():
    """Random bytes after a proper greeting end in one clear error, at opening or at reading."""
    garbage = np.random.default_rng(0).integers(0, 256, 200_000, dtype=np.uint8).tobytes()
    with listening() as (listener, url):
        server = threading.Thread(target=answer_once, args=(listener, DIALOGUE, garbage))
        server.start()
        with (
            pytest.raises((UnavailableError, CameraLostError)) as failed,
            open_source(word_of(url, f"timeout={DEADLINE_S}", login=LOGIN)) as source,
        ):
            read_all(source)
        server.join()
    assert_no_secret(failed.value)


def read_all(source):
    while source.read() is not None:
        pass


def test_rtsp_never_tells_a_password_of_any_error_of_ffmpeg(monkeypatch, caplog):
    """Each class of FFmpeg's errors holds the URL; none may get through."""
    caplog.set_level(logging.DEBUG)
    url = parse_source(word_of("rtsp://127.0.0.1:1/live", login=LOGIN))
    for code, kind in av.error.classes.items():
        if not isinstance(code, int):
            continue

        def fail(*_, code=code, kind=kind, **__):
            raise kind(code, f"cannot read {url.target}", url.target)

        monkeypatch.setattr("av.open", fail)
        with pytest.raises((InputError, UnavailableError)) as refused:
            RTSPSource(url)
        assert_no_secret(refused.value)
    assert SECRET not in caplog.text


def assert_no_secret(error):
    told = "".join(traceback.format_exception(error)) + repr(error) + str(error) + error.hint
    chain = error
    while (chain := chain.__cause__ or chain.__context__) is not None:
        told += repr(chain) + str(chain) + repr(vars(chain))
    for secret in (SECRET, quote(SECRET, safe=""), USER):
        assert secret not in told


@needs_server
def test_open_rtsp_takes_the_decoder_that_was_asked_for(server):
    for decoder, kind in (("gstreamer", RTSPPipelineSource), ("ffmpeg", RTSPSource)):
        with open_source(f"{server.url}#decoder={decoder}") as source:
            assert type(source) is kind
            assert source.read().size == server.size


@needs_server
def test_network_camera_is_read_where_gstreamer_is_not_installed(edge, server):
    done = edge(
        "run",
        server.url,
        "--seconds",
        4,
        "--engine",
        "null",
        env={**os.environ, "PATH": "/nowhere"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert server.url in done.stdout
