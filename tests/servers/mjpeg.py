"""A camera that sends MJPEG over HTTP, and fails in every way that real ones do.

As a program: `python tests/servers/mjpeg.py --port 0 --fps 30 --size 640x480` prints its address
and serves until it is stopped.
"""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping

    from typing_extensions import Self

PICTURES = 12
USER, PASSWORD = "viewer", "p@ss/wörd"
REALM, NONCE = "camera", "dcd98b7102dd2f0e8b11d0f600bfb0c0"
LEAVE_S = 10


def make_jpegs(size: tuple[int, int]) -> list[bytes]:
    """Give pictures whose mean pixel is about 20 times their number plus 10, a little noisy."""
    rng = np.random.default_rng(0)
    width, height = size
    coded = []
    for number in range(PICTURES):
        pixels = 20 * number + rng.integers(0, 20, (height, width, 3), dtype=np.uint8)
        coded.append(cv2.imencode(".jpg", pixels.astype(np.uint8))[1].tobytes())
    return coded


@dataclass(frozen=True, slots=True)
class Style:
    """How a server writes its stream.

    Attributes:
        content_type: of the answer.
        boundary: the line before each part, dashes included.
        line_end: of all lines in the body.
        length: whether Content-Length is right, wrong or left away.
        timestamps: whether parts carry an X-Timestamp.
    """

    content_type: str = "multipart/x-mixed-replace; boundary=frame"
    boundary: str = "--frame"
    line_end: str = "\r\n"
    length: Literal["right", "wrong", "none"] = "right"
    timestamps: bool = True

    def part(self, jpeg: bytes, stamp_s: float) -> bytes:
        """Give one part of the stream."""
        lines = [self.boundary, "Content-Type: image/jpeg"]
        if self.length != "none":
            lines.append(f"Content-Length: {len(jpeg) if self.length == 'right' else 7}")
        if self.timestamps:
            lines.append(f"X-Timestamp: {stamp_s:.6f}")
        head = self.line_end.join([*lines, "", ""])
        return head.encode() + jpeg + self.line_end.encode()


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked.

    Attributes:
        path: with its query.
        headers: by their names in lower case.
    """

    path: str
    headers: Mapping[str, str]


class MJPEGServer:
    """Serves `/stream`, `/picture.jpg`, `/page.html`, and `/moved` which leads to `redirect_to`.

    Use it in a `with` block. All of its public attributes and methods may be used while clients
    read, from any thread.

    Args:
        port: 0 for any.
        fps: pictures per second to each client; 0 for as fast as they are taken.
        size: width and height of the pictures.
        auth: what is asked of a client, whose login is `USER` and `PASSWORD`.
        style: how the stream is written.
        tls: encrypts with this.

    Attributes:
        redirect_to: where `/moved` leads.
        status: answered in the place of all else, where it is not 200.
        reply: pieces that are sent raw in the place of any answer, perhaps without end.
        requests: all so far.
        sent: parts so far, to all clients.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        fps: float = 30,
        size: tuple[int, int] = (64, 48),
        auth: Literal["basic", "digest", "digest-sha256"] | None = None,
        style: Style | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = port
        self.fps = fps
        self.auth = auth
        self.style = style or Style()
        self.redirect_to = "/stream"
        self.status = 200
        self.reply: Iterable[bytes] | None = None
        self.requests: list[Request] = []
        self.sent = 0
        self._tls = tls
        self._jpegs = make_jpegs(size)
        self._says = b""
        self._says_number = 0
        self._flowing = threading.Event()
        self._flowing.set()
        self._leaving = threading.Event()
        self._server: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The stream's address, without a login."""
        return f"{self.origin}/stream"

    @property
    def origin(self) -> str:
        """The address without a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def url_for(self, path: str, login: str = "") -> str:
        """Give the address of a path, with `user:password@` where that is given."""
        return f"{self.origin}{path}".replace("://", f"://{login}", 1)

    def start(self) -> None:
        """Listen; after `kill` on the same port as before."""
        self._leaving.clear()
        self._server = _Listener(self)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="mjpeg-server"
        )
        self._thread.start()

    def kill(self) -> None:
        """Stop listening and cut all connections, as a camera that loses its power."""
        if self._server is None or self._thread is None:
            return
        self._leaving.set()
        self._server.shutdown()
        self._server.cut()
        self._server.server_close()  # joins the clients' threads
        self._thread.join(LEAVE_S)
        self._server = None

    def cut(self) -> None:
        """Cut all connections, and listen on."""
        if self._server is not None:
            self._server.cut()

    def stall(self) -> None:
        """Send nothing more, with the connections open."""
        self._flowing.clear()

    def resume(self) -> None:
        """Send again."""
        self._flowing.set()

    def say(self, garbage: bytes) -> None:
        """Send these bytes once to each client before its next part."""
        self._says, self._says_number = garbage, self._says_number + 1

    def set_size(self, size: tuple[int, int]) -> None:
        """Send pictures of another size from now on."""
        self._jpegs = make_jpegs(size)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.kill()

    def is_welcome(self, header: str | None, path: str) -> bool:
        """Tell whether an Authorization header is the right one."""
        if self.auth is None:
            return True
        if header is None:
            return False
        if self.auth == "basic":
            pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            return header == f"Basic {pair}"
        return header == self._digest(header, path)

    def _digest(self, header: str, path: str) -> str:
        """Give the header that is expected of a client that chose this header's cnonce."""
        algorithm = "SHA-256" if self.auth == "digest-sha256" else "MD5"
        make_hash = hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5
        found = re.search(r'cnonce="([^"]+)"', header)
        cnonce = found[1] if found else ""

        def hashed(text: str) -> str:
            return make_hash(text.encode()).hexdigest()

        secret, asked = hashed(f"{USER}:{REALM}:{PASSWORD}"), hashed(f"GET:{path}")
        response = hashed(f"{secret}:{NONCE}:00000001:{cnonce}:auth:{asked}")
        return (
            f'Digest username="{USER}", realm="{REALM}", nonce="{NONCE}", uri="{path}",'
            f' qop=auth, nc=00000001, cnonce="{cnonce}", response="{response}",'
            f" algorithm={algorithm}"
        )

    def challenges(self) -> list[str]:
        """Give the WWW-Authenticate headers."""
        basic = f'Basic realm="{REALM}"'
        md5 = f'Digest realm="{REALM}", nonce="{NONCE}", qop="auth,auth-int", algorithm=MD5'
        sha = md5.replace("MD5", "SHA-256")
        offers = {"basic": [basic], "digest": [basic, md5], "digest-sha256": [md5, sha]}
        return offers[self.auth] if self.auth else []

    def stream_to(self, handler: BaseHTTPRequestHandler) -> None:
        """Send parts until the client or this server leaves."""
        number, said = 0, self._says_number
        due_s = time.monotonic()
        while not self._leaving.is_set():
            if not self._flowing.wait(0.05):
                continue
            if said != self._says_number:
                said = self._says_number
                handler.wfile.write(self._says)
            jpeg = self._jpegs[number % PICTURES]
            handler.wfile.write(self.style.part(jpeg, time.monotonic()))
            number += 1
            self.sent += 1
            if self.fps:
                due_s = max(due_s + 1 / self.fps, time.monotonic() - 1)
                self._leaving.wait(max(0.0, due_s - time.monotonic()))

    def picture(self) -> bytes:
        """Give one picture."""
        return self._jpegs[0]


class _Listener(ThreadingHTTPServer):
    """Knows its connections, so that they can be cut."""

    allow_reuse_address = True
    daemon_threads = False
    block_on_close = True

    def __init__(self, owner: MJPEGServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", owner.port), _Handler)
        if owner._tls is not None:
            self.socket = owner._tls.wrap_socket(self.socket, server_side=True)

    def process_request(self, request, client_address) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """A client that leaves is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Listener

    def do_GET(self) -> None:
        owner = self.server.owner
        headers = {name.lower(): value for name, value in self.headers.items()}
        owner.requests.append(Request(self.path, headers))
        path = self.path.partition("?")[0]
        if owner.reply is not None:
            for piece in owner.reply:
                self.wfile.write(piece)
        elif owner.status != 200:
            self._answer(owner.status, "text/plain", b"no\n")
        elif path == "/moved":
            self.send_response(302)
            self.send_header("Location", owner.redirect_to)
            self.end_headers()
        elif not owner.is_welcome(headers.get("authorization"), self.path):
            self._answer(401, "text/plain", b"who are you?\n")
        elif path == "/stream":
            self._answer(200, owner.style.content_type, b"")
            owner.stream_to(self)
        elif path == "/picture.jpg":
            self._answer(200, "image/jpeg", owner.picture())
        elif path == "/page.html":
            self._answer(200, "text/html; charset=utf-8", b"<html></html>")
        else:
            self._answer(404, "text/plain", b"no\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        if status == 401:
            for challenge in self.server.owner.challenges():
                self.send_header("WWW-Authenticate", challenge)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


def main() -> None:
    """Serve until the program is stopped."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--size", default="640x480", help="width x height in pixels")
    arguments = parser.parse_args()
    width, height = (int(word) for word in arguments.size.split("x"))
    with MJPEGServer(port=arguments.port, fps=arguments.fps, size=(width, height)) as server:
        print(server.url, flush=True)  # noqa: T201 # a program of its own
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
