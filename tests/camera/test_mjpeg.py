"""MJPEG over HTTP against a real server: pictures, refusals, losses, and no password anywhere."""

from __future__ import annotations

import itertools
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import closing
from urllib.parse import quote

import pytest
from doubles import DEADLINE_S
from hypothesis import given
from hypothesis import strategies as st
from samples import ROOT
from servers.mjpeg import PASSWORD, USER, MJPEGServer, Style
from strategies import QUICK

from edge.camera.base import open_source
from edge.camera.mjpeg import MJPEGSource, read_stamp
from edge.camera.url import parse_source
from edge.errors import CameraLostError, EdgeError, InputError, UnavailableError
from edge.image import to_pixels

LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"
WRONG_LOGIN = f"{USER}:{quote('hidden/word', safe='')}@"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n"


@pytest.fixture
def server():
    with MJPEGServer() as started:
        yield started


def number_of(frame) -> int:
    """Tell which of the server's pictures this is."""
    return int(to_pixels(frame.data).mean() // 20)


def read_some(name: str, count: int = 3):
    with open_source(name) as source:
        return [source.read() for _ in range(count)]


def read_on(source) -> None:
    while source.read() is not None:
        pass


def refusal(name: str) -> EdgeError:
    """Give the error that opening raises, in which no password may stand."""
    with pytest.raises(EdgeError) as caught:
        MJPEGSource(parse_source(name))
    text = f"{caught.value}{caught.value!r}"
    assert not any(word in text for word in (PASSWORD, "hidden", LOGIN, WRONG_LOGIN, USER))
    return caught.value


def test_source_gives_the_stream_of_pictures(server):
    frames = read_some(server.url, 5)
    assert [frame.seq for frame in frames] == list(range(5))
    assert [number_of(frame) for frame in frames] == list(range(5))
    assert {frame.size for frame in frames} == {(64, 48)}


def test_source_gives_the_cameras_own_stamps(server):
    stamps = [frame.stamp_ns for frame in read_some(server.url)]
    assert stamps == sorted(set(stamps))


def test_source_reads_a_stream_in_chunks(server):
    part = Style().part(server.picture(), 0)
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (part[:100], part[100:])]
    server.reply = [STREAM + b"Transfer-Encoding: chunked\r\n\r\n", *chunks]
    (frame,) = read_some(server.url, 1)
    assert number_of(frame) == 0


def test_source_follows_a_change_of_size_and_passes_over_garbage(server):
    with open_source(server.url) as source:
        assert source.read().size == (64, 48)
        server.set_size((32, 16))
        server.say(b"garbage\r\n--frame\r\nContent-Type: text/plain\r\n\r\nbusy\r\n")
        frames = (source.read() for _ in range(1000))
        assert any(frame.size == (32, 16) for frame in frames)
        assert source.unreadable == 1


def test_source_counts_a_jpeg_that_is_none(server):
    bad = Style().part(b"\xff\xd8\xff\xd9", 0)
    server.reply = [STREAM, b"\r\n", bad, Style().part(server.picture(), 0)]
    with open_source(server.url) as source:
        assert source.read().seq == 0
        assert source.unreadable == 1


@pytest.mark.parametrize("auth", ["basic", "digest", "digest-sha256"])
def test_login_of_the_address_opens_the_stream(auth):
    with MJPEGServer(auth=auth) as server:
        (frame,) = read_some(server.url_for("/stream?channel=1&name=a b", LOGIN), 1)
        assert (number_of(frame), frame.source) == (
            0,
            server.url_for("/stream?channel=1&name=a b"),
        )
        assert "authorization" not in server.requests[0].headers
        assert isinstance(refusal(server.url), InputError)
        error = refusal(server.url_for("/stream", WRONG_LOGIN))
        assert isinstance(error, InputError)
        assert "answers 401 Unauthorized. Put user:password@ before" in str(error)


def test_login_goes_with_a_redirect_on_the_same_server():
    with MJPEGServer(auth="digest") as server:
        assert number_of(read_some(server.url_for("/moved", LOGIN), 1)[0]) == 0


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_login_does_not_go_to_another_server(auth):
    with MJPEGServer(auth=auth) as other, MJPEGServer() as server:
        server.redirect_to = other.url
        refusal(server.url_for("/moved", LOGIN))
        assert [request.path for request in other.requests] == ["/stream"]
        sent = [request.headers for request in (*other.requests, *server.requests)]
        assert not any({"authorization", "referer"} & headers.keys() for headers in sent)


def test_redirect_gives_the_stream_it_leads_to(server):
    with MJPEGServer() as other:
        server.redirect_to = other.url
        assert number_of(read_some(server.url_for("/moved"), 1)[0]) == 0


@pytest.mark.parametrize("location", ["/moved", "ftp://127.0.0.1/x", "", "http://[", "file:///x"])
def test_redirect_to_nowhere_is_refused(server, location):
    server.redirect_to = location
    error = refusal(server.url_for("/moved"))
    assert isinstance(error, InputError)
    assert "is redirected" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InputError),
        (401, InputError),
        (403, InputError),
        (404, InputError),
        (429, UnavailableError),
        (500, UnavailableError),
        (503, UnavailableError),
        (204, InputError),
    ],
)
def test_status_says_who_has_to_act(server, status, kind):
    server.status = status
    error = refusal(server.url_for("/stream", WRONG_LOGIN))
    assert type(error) is kind
    assert f"{server.url}: answers {status}" in str(error)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/page.html", "gives text/html, not an MJPEG stream"),
        ("/picture.jpg", "gives one picture, not an MJPEG stream. This is the camera's snapshot"),
        ("/absent", "answers 404 Not Found"),
    ],
)
def test_other_content_is_refused_by_its_name(server, path, said):
    error = refusal(server.url_for(path))
    assert isinstance(error, InputError)
    assert said in str(error)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ([b"SSH-2.0-OpenSSH_9.6\r\n"], InputError),
        ([b""], UnavailableError),
        ([b"HTTP/1.1 200 OK\r\nContent-Type: <secret>\r\n\r\n"], InputError),
        (itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"a: b\r\n")), InputError),
        (itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"a" * 999)), InputError),
    ],
    ids=["ssh", "nothing", "odd type", "header lines", "header line"],
)
def test_server_that_breaks_the_rules_is_refused(server, reply, kind):
    server.reply = reply
    error = refusal(f"{server.url_for('/', WRONG_LOGIN)}#timeout={DEADLINE_S}")
    assert isinstance(error, kind)
    assert "<secret>" not in str(error)


def test_server_that_never_comes_to_the_point_is_unavailable(server):
    server.reply = itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")
    error = refusal(f"{server.url_for('/', WRONG_LOGIN)}#timeout=0.5")
    assert isinstance(error, UnavailableError)


def test_nobody_there_is_unavailable(server):
    server.kill()
    error = refusal(server.url_for("/stream", WRONG_LOGIN))
    assert isinstance(error, UnavailableError)
    assert str(error).startswith(f"{server.url}: connection refused. ")


def test_unknown_host_is_unavailable():
    error = refusal(f"http://{WRONG_LOGIN}camera.invalid/stream")
    assert isinstance(error, UnavailableError)
    assert "camera.invalid/stream: its host is not known" in str(error)


def test_host_that_can_be_none_is_refused():
    assert isinstance(refusal(f"http://{'a' * 70}.b/"), (InputError, UnavailableError))


def test_server_that_does_not_answer_is_unavailable():
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
        error = refusal(f"http://{WRONG_LOGIN}127.0.0.1:{port}/#timeout=0.2")
    assert isinstance(error, UnavailableError)
    assert "did not answer within 0.2 s" in str(error)


def test_server_that_falls_silent_is_lost(server):
    with open_source(server.url) as source:
        source.read()
        source._timeout_s = 0.3  # from here on: a busy machine may be slow to open it
        server.stall()
        with pytest.raises(CameraLostError, match=r"gave no picture for 0\.3 s"):
            read_on(source)


def test_server_that_sends_no_picture_for_ever_is_lost(server):
    server.reply = itertools.chain([STREAM, b"\r\n"], itertools.repeat(b"\r\n--frame\r\n" * 99))
    with open_source(server.url) as source:
        source._timeout_s = 0.3
        with pytest.raises(CameraLostError, match=r"gave no picture for 0\.3 s"):
            source.read()


def test_server_that_dies_is_lost_and_back_on_the_same_port(server):
    with open_source(server.url) as source:
        source.read()
        server.kill()
        with pytest.raises(CameraLostError, match=r"ended the stream|connection broke"):
            read_on(source)
    server.start()
    assert number_of(read_some(server.url, 1)[0]) == 0


def test_stream_that_ends_is_lost(server):
    server.reply = [STREAM, b"\r\n", Style().part(server.picture(), 0)]
    with open_source(server.url) as source:
        assert source.read().seq == 0
        with pytest.raises(CameraLostError, match="the camera ended the stream"):
            source.read()


def stop_while_reading(source, server) -> None:
    answers = []
    source.read()
    server.stall()  # the thread below waits for what never comes

    def read() -> None:
        read_on(source)
        answers.append(None)

    reader = threading.Thread(target=read)
    reader.start()
    source.stop()
    reader.join(DEADLINE_S)
    assert answers == [None]
    assert source.read() is None


def test_stop_ends_a_waiting_read(server):
    with open_source(f"{server.url}#timeout=1000") as source:
        stop_while_reading(source, server)
        source.close()
        source.stop()


def test_stop_ends_a_waiting_read_over_tls(tmp_path, monkeypatch):
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate, and is not here")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=camera",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with MJPEGServer(tls=context) as server:
        error = refusal(server.url_for("/stream", WRONG_LOGIN))
        assert isinstance(error, InputError)
        assert "its certificate is not trusted (self-signed certificate)" in str(error)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        server.redirect_to = server.url.replace("https", "http")
        assert "from https to http" in str(refusal(server.url_for("/moved")))
        with open_source(f"{server.url}#timeout=1000") as source:
            assert number_of(source.read()) == 0
            stop_while_reading(source, server)


def test_http_address_with_the_scheme_of_tls_is_refused(server):
    assert "does not speak TLS" in str(refusal(server.url.replace("http", "https")))


@pytest.mark.parametrize(
    ("text", "stamp_ns"),
    [
        ("1700000000.123456", 1_700_000_000_123_456_000),
        ("12", 12_000_000_000),
        ("0.000000", None),
        ("1700000000.1234567891", 1_700_000_000_123_456_789),
        ("-1", None),
        ("1e5", None),
        ("٣", None),
        ("", None),
    ],
)
def test_stamp_is_a_number_of_seconds(text, stamp_ns):
    assert read_stamp(text) == stamp_ns


@QUICK
@given(st.text() | st.decimals().map(str))
def test_no_stamp_raises(text):
    assert read_stamp(text) is None or read_stamp(text) > 0


def test_server_is_a_program_too():
    program = [sys.executable, ROOT / "tests" / "servers" / "mjpeg.py", "--size", "32x16"]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    try:
        (frame,) = read_some(process.stdout.readline().strip(), 1)
    finally:
        process.terminate()
        process.wait(DEADLINE_S)
        process.stdout.close()
    assert frame.size == (32, 16)
