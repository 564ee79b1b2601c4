"""The live view's server: what it tells, what pictures cost, and viewers that misbehave."""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from contextlib import ExitStack
from http.client import HTTPConnection

import cv2
import numpy as np
import pytest
import simplejpeg
from doubles import DEADLINE_S
from samples import make_snapshot, make_status
from viewers import INFO, Viewer, ask, open_deaf, open_view, port_of, show

from edge.frame import Jpeg, Planes
from edge.schema import snapshot_row
from edge.sinks.address import Address
from edge.sinks.listening import listen
from edge.sinks.web.server import MOST_CONNECTIONS, MOST_VIEWERS, Server
from edge.sinks.web.state import Handed, LiveState

ANY_PORT = Address("127.0.0.1", 0)
NOISE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
EVENTS = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"
PICTURE = b"GET /pictures/0 HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def view():
    with open_view() as sink:
        yield sink


def picture(sink, place=0):
    answer = ask(sink, f"/pictures/{place}")
    assert answer.status == 200
    return simplejpeg.decode_jpeg(answer.body, "BGR")


def coded(sink):
    return sink._server.state.pictures.coded


def test_viewer_hears_of_the_run_its_state_and_its_pictures(view):
    snapshot = make_snapshot(sources=(make_status(),))
    show(view, NOISE, seq=41)
    view.take_snapshot(snapshot)
    with Viewer(view) as viewer:
        assert viewer.answer.headers["Content-Type"] == "text/event-stream"
        heard = {}
        for name, data in viewer.hear():
            heard[name] = data
            if {"run", "snapshot", "frame", "points"} <= heard.keys():
                break
    assert {name: heard["run"][name] for name in ("source", "model", "engine", "top_k")} == {
        "source": "scripted", "model": "small", "engine": "null", "top_k": 3,
    }  # fmt: skip
    assert heard["snapshot"] == snapshot_row(snapshot)
    assert heard["frame"]["place"] == 0
    assert heard["frame"]["frame"]["seq"] == 41
    assert heard["points"][0]["age_p50_ms"] == 4.321


def test_viewer_hears_only_what_is_new(view):
    with Viewer(view) as viewer:
        events = viewer.hear()
        show(view, NOISE, seq=1)
        assert next(data for name, data in events if name == "frame")["frame"]["seq"] == 1
        show(view, NOISE, seq=2)
        names = []
        for name, data in events:
            names.append(name)
            if name == "frame":
                assert data["frame"]["seq"] == 2
                break
        assert "run" not in names


def test_end_of_the_run_is_told_last_and_ends_the_stream():
    with open_view() as sink:
        show(sink, NOISE)
        with Viewer(sink) as viewer:
            events = viewer.hear()
            assert next(events)[0] == "run"
            sink.close()
            *_, last = events
    assert last == ("ended", {"elapsed_s": 2.5})


def test_jpeg_of_a_camera_is_passed_on_as_it_is(view):
    jpeg = simplejpeg.encode_jpeg(NOISE, 60, colorspace="BGR")
    show(view, Jpeg(jpeg, 480, 640), seq=7)
    with Viewer(view) as viewer:
        viewer.wait_for("frame")
        answer = ask(view, "/pictures/0")
    assert (answer.body, answer.headers["Edge-Seq"]) == (jpeg, "7")
    assert answer.headers["Content-Type"] == "image/jpeg"


def test_jpeg_without_huffman_tables_is_made_whole(view):
    """MJPEG of USB cameras leaves them out, and not every browser knows which are meant."""
    smooth = cv2.resize(NOISE[:6, :8], (640, 480), interpolation=cv2.INTER_CUBIC)
    whole = simplejpeg.encode_jpeg(smooth, 90, colorspace="BGR")
    bare = bytearray(whole)
    while (at := bare.find(b"\xff\xc4")) >= 0:
        del bare[at : at + 2 + int.from_bytes(bare[at + 2 : at + 4], "big")]
    show(view, Jpeg(bytes(bare), 480, 640))
    with Viewer(view) as viewer:
        viewer.wait_for("frame")
        body = ask(view, "/pictures/0").body
    assert b"\xff\xc4" in body
    off = simplejpeg.decode_jpeg(body, "BGR").astype(int) - simplejpeg.decode_jpeg(whole, "BGR")
    assert np.abs(off).mean() < 3


def test_huge_photograph_is_sent_small(view):
    photograph = cv2.resize(NOISE, (4000, 3000), interpolation=cv2.INTER_CUBIC)
    jpeg = simplejpeg.encode_jpeg(photograph, 90, colorspace="BGR")
    show(view, Jpeg(jpeg, 3000, 4000))
    with Viewer(view) as viewer:
        viewer.wait_for("frame")
        assert picture(view).shape == (480, 640, 3)


@pytest.mark.parametrize("height", [48, 1080])
def test_pixels_and_planes_are_sent_at_most_640_wide(view, height):
    width = height * 16 // 9 // 2 * 2
    red = np.empty((height, width, 3), np.uint8)
    red[:] = 20, 30, 200
    yuv = cv2.cvtColor(red, cv2.COLOR_BGR2YCrCb)
    small = (width // 2, height // 2)
    planes = Planes(
        yuv[..., 0].copy(), cv2.resize(yuv[..., 2], small), cv2.resize(yuv[..., 1], small),
        full_range=True,
    )  # fmt: skip
    with Viewer(view) as viewer:
        for seq, data in enumerate((red, planes)):
            show(view, data, seq=seq)
            viewer.wait_for("frame")
            shown = picture(view)
            assert shown.shape == (min(360, height), min(640, width), 3)
            assert np.abs(shown.mean(axis=(0, 1)) - (20, 30, 200)).max() < 6


def test_ten_viewers_cost_one_coding(view):
    show(view, NOISE, seq=5)
    with ExitStack() as stack:
        viewers = [stack.enter_context(Viewer(view)) for _ in range(10)]
        for viewer in viewers:
            assert viewer.wait_for("frame")["frame"]["seq"] == 5
        bodies = {ask(view, "/pictures/0").body for _ in viewers}
    assert len(bodies) == 1
    assert coded(view) == 1


def test_nothing_is_coded_while_nobody_asks(view):
    with Viewer(view) as viewer:
        for seq in range(5):
            show(view, NOISE, seq=seq)
            viewer.wait_for("frame")
    assert coded(view) == 0


def test_damaged_picture_is_not_found_and_the_next_one_is(view):
    show(view, Jpeg(b"\xff\xd8 not one", 480, 640))
    with Viewer(view) as viewer:
        viewer.wait_for("frame")
        assert {ask(view, "/pictures/0").status for _ in range(3)} == {404}
        assert coded(view) == 1
        show(view, NOISE, seq=1)
        viewer.wait_for("frame")
        assert picture(view).shape == (480, 640, 3)


def test_source_without_picture_is_not_found(view):
    show(view, NOISE)
    assert ask(view, "/pictures/3").status == 404


def test_viewer_too_many_is_told_so(view):
    with ExitStack() as stack:
        for _ in range(MOST_VIEWERS):
            stack.enter_context(Viewer(view)).wait_for("run")
        with Viewer(view) as one_more:
            assert one_more.answer.status == 503
            assert "32 viewers are here already" in one_more.answer.read().decode()
        assert ask(view, "/events", method="HEAD").status == 503
        assert ask(view, "/").status == 200


def test_connections_are_bounded(view):
    with ExitStack() as stack:
        for _ in range(MOST_CONNECTIONS):
            client = HTTPConnection("127.0.0.1", port_of(view), timeout=DEADLINE_S)
            stack.callback(client.close)
            client.request("HEAD", "/")
            assert client.getresponse().read() == b""
        with pytest.raises(ConnectionError):
            ask(view, "/")
    until_s = time.monotonic() + DEADLINE_S
    while True:  # the server has to notice that they went
        try:
            assert ask(view, "/").status == 200
            break
        except ConnectionError:
            assert time.monotonic() < until_s


def test_slow_viewer_holds_no_more_than_a_picture(view):
    """It asks for many pictures and reads none: they are not piled up for it."""
    show(view, NOISE)
    with Viewer(view) as viewer, open_deaf(view, PICTURE * 100):
        viewer.wait_for("frame")
        size = len(ask(view, "/pictures/0").body)
        waiting = wait_for_full_buffer(view._server)
        assert waiting <= size + 65_536 + 1024
        for seq in range(1, 4):
            show(view, NOISE, seq=seq)
            assert viewer.wait_for("frame")["frame"]["seq"] == seq


def wait_for_full_buffer(server):
    """Give the bytes that wait for a viewer which does not read."""
    found = threading.Event()
    sizes = []

    def look():
        sizes[:] = [transport.get_write_buffer_size() for transport in server._busy]
        if max(sizes, default=0) > 65_536:
            found.set()
        else:
            server._loop.call_later(0.02, look)

    server._loop.call_soon_threadsafe(look)
    assert found.wait(DEADLINE_S)
    return max(sizes)


def test_viewer_that_takes_nothing_is_sent_away():
    handed = Handed()
    server = Server(
        LiveState(handed, lambda: INFO), listen(ANY_PORT, "--web").socket, None, slow_s=0.1
    )
    # An event that is larger than what a socket holds, again and again.
    sources = (make_status("x" * 3_000_000),)
    gone = threading.Event()

    def play():
        while not gone.wait(0.02):
            handed.snapshot = make_snapshot(sources=sources)

    player = threading.Thread(target=play)
    player.start()
    try:
        with socket.create_connection(server._listening.getsockname(), DEADLINE_S) as deaf:
            deaf.sendall(EVENTS)
            told = select.poll()
            told.register(deaf, select.POLLHUP)  # reading would make room
            assert told.poll(1000 * DEADLINE_S)
    finally:
        gone.set()
        player.join()
        server.close()


@pytest.mark.parametrize("request_of_deaf", [EVENTS, PICTURE * 50, b"GET / HT", b""])
def test_close_ends_with_deaf_viewers(request_of_deaf):
    with open_view() as sink:
        show(sink, NOISE)
        with Viewer(sink) as viewer:
            viewer.wait_for("frame")
            with open_deaf(sink, request_of_deaf):
                sink.close()
        assert not sink._server._thread.is_alive()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port_of(sink)), DEADLINE_S)
        sink.close()  # a second time does nothing


@pytest.mark.parametrize(
    "nonsense",
    [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n\r\n", b"\r\n" * 10,
     b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
     b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
     b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n123"],
)  # fmt: skip
def test_nonsense_is_refused_without_a_word(view, nonsense, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        with socket.create_connection(("127.0.0.1", port_of(view)), DEADLINE_S) as stranger:
            stranger.sendall(nonsense)
            stranger.shutdown(socket.SHUT_WR)
            stranger.recv(1000)
        assert ask(view, "/").status == 200
    said = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert (said, capfd.readouterr().err) == ([], "")


def test_fault_of_a_request_is_told_in_one_line_and_the_view_goes_on(view, caplog):
    view._server._files["/page.css"] = None
    assert ask(view, "/page.css").status == 500
    (record,) = caplog.records
    assert record.getMessage().startswith("live view: a request failed (TypeError: ")
    assert record.exc_info is None
    assert ask(view, "/").status == 200


def test_fault_of_the_server_reaches_the_run():
    def describe():
        if threading.current_thread().name == "web":
            raise LookupError("a bug")
        return INFO

    from edge.sinks.web.sink import WebSink

    sink = WebSink(listen(ANY_PORT, "--web"), describe)
    try:
        sink.take_snapshot(make_snapshot())
        sink._server._thread.join(DEADLINE_S)
        with pytest.raises(LookupError, match="a bug"):
            sink.take_snapshot(make_snapshot())
    finally:
        sink.close()
