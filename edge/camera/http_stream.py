"""Opens an HTTP address whose answer has no end, and reads it under a deadline."""

from __future__ import annotations

import io
import secrets
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, cast
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from edge import __version__
from edge.camera.http_auth import Login, authorize
from edge.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REQUESTS = 10
"""Redirects and questions for a password until an address is given up."""

CHUNK_BYTES = 1 << 16


class TimedSocket(io.RawIOBase):
    """The reading side of a connected socket, which waits until `deadline_s` and no longer.

    A time limit of each wait alone would let a server hold the reader with a byte now and then.

    Attributes:
        deadline_s: on the clock of `time.monotonic`.
    """

    def __init__(self, connected: socket.socket, deadline_s: float) -> None:
        self._socket = connected
        self.deadline_s = deadline_s

    def readable(self) -> bool:
        """Tell that this can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Wait for bytes; 0 at the end."""
        left_s = self.deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(left_s)
        return self._socket.recv_into(buffer)

    def makefile(self, _: str) -> io.BufferedReader:
        """Give what `HTTPResponse` reads of a socket."""
        return io.BufferedReader(self)

    def shut(self) -> None:
        """End the wait of another thread; a second call, or one after `close`, does nothing.

        This goes past TLS, whose own farewell is for the thread that reads.
        """
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket with this."""
        if not self.closed:
            self._socket.close()
        super().close()


class Stream:
    """An answer whose body can be read as it comes.

    Attributes:
        status: of the answer.
        content_type: as the server writes it, empty where it says nothing.
    """

    def __init__(self, response: HTTPResponse, timed: TimedSocket) -> None:
        self._response = response
        self._timed = timed
        self.status = response.status
        self.content_type = self.header("Content-Type")

    def header(self, name: str) -> str:
        """Give a header of the answer, empty where it is missing."""
        return self._response.headers.get(name, "")

    @property
    def challenges(self) -> list[str]:
        """The ways of authentication that the server offers."""
        return self._response.headers.get_all("WWW-Authenticate", [])

    def read(self, deadline_s: float) -> bytes:
        """Wait for the next bytes, at most `CHUNK_BYTES`; empty at the end.

        Args:
            deadline_s: on the clock of `time.monotonic`.

        Raises:
            OSError: the connection broke, or the time is over (`TimeoutError`).
            HTTPException: the server broke the rules.
        """
        self._timed.deadline_s = deadline_s
        return self._response.read1(CHUNK_BYTES)

    def shut(self) -> None:
        """Let a `read` in another thread end at once."""
        self._timed.shut()

    def close(self) -> None:
        """Release the connection; a second call does nothing."""
        self._response.close()
        self._timed.close()


def open_stream(target: str, name: str, timeout_s: float) -> Stream:
    """Ask for an address, follow where it leads, and give the password where it is asked for.

    The password is only for the server that the address names: another one that it leads to does
    not get it. A proxy is not used, as cameras stand on this side of it.

    Args:
        target: http or https, with user and password where there are some.
        name: the address without them, for messages.
        timeout_s: until the head of the answer has come.

    Raises:
        InputError: the address leads round in circles, or to something that is not read here.
        OSError: there is no connection.
        HTTPException: what answers breaks the rules of HTTP.
    """
    asked = _Asked.of(urlsplit(target))
    deadline_s = time.monotonic() + timeout_s
    for _ in range(MOST_REQUESTS):
        stream = _ask(asked, deadline_s)
        try:
            following = asked.follow(stream, name)
        except InputError:
            stream.close()
            raise
        if following is None:
            return stream
        stream.close()
        asked = following
    raise InputError(
        f"{name}: is redirected again and again", hint="Give the address of the stream itself"
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, and what follows of its answer."""

    parts: SplitResult
    login: Login | None
    authorization: str | None = None

    @classmethod
    def of(cls, parts: SplitResult) -> _Asked:
        """Take the login out of an address."""
        if parts.username is None:
            return cls(parts, None)
        return cls(parts, Login(unquote(parts.username), unquote(parts.password or "")))

    @property
    def path(self) -> str:
        """Path and query; what a person may type but HTTP may not say is percent-encoded."""
        path, query = self.parts.path or "/", self.parts.query
        return quote(f"{path}?{query}" if query else path, safe="%/:=&?~+!$,;'@()*[]|")

    def follow(self, stream: Stream, name: str) -> _Asked | None:
        """Give the next request, None where this one's answer is the last."""
        if stream.status in REDIRECTS:
            parts = _redirected(self.parts, stream.header("Location"), name)
            is_same = _origin(parts) == _origin(self.parts)
            return _Asked(parts, self.login if is_same else None)
        if stream.status == 401 and self.login and self.authorization is None:
            answer = authorize(stream.challenges, self.login, self.path, secrets.token_hex(8))
            return replace(self, authorization=answer) if answer else None
        return None


def _ask(asked: _Asked, deadline_s: float) -> Stream:
    """Send one request and wait for the head of its answer."""
    left_s = max(0.001, deadline_s - time.monotonic())
    host, port = asked.parts.hostname or "", asked.parts.port
    connection = (
        HTTPSConnection(host, port, timeout=left_s, context=ssl.create_default_context())
        if asked.parts.scheme.lower() == "https"
        else HTTPConnection(host, port, timeout=left_s)
    )
    headers = {"User-Agent": f"edge/{__version__}", "Accept": "*/*", "Connection": "close"}
    if asked.authorization is not None:
        headers["Authorization"] = asked.authorization
    try:
        connection.request("GET", asked.path, headers=headers)
    except BaseException:
        connection.close()
        raise
    timed = TimedSocket(connection.sock, deadline_s)
    try:
        response = HTTPResponse(cast("socket.socket", timed), method="GET")
        response.begin()
    except BaseException:
        timed.close()
        raise
    return Stream(response, timed)


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    scheme = parts.scheme.lower()
    return scheme, parts.hostname, parts.port or {"https": 443}.get(scheme, 80)


def _redirected(parts: SplitResult, location: str, name: str) -> SplitResult:
    try:
        following = urlsplit(urljoin(parts.geturl(), location))
        _origin(following)  # reads the port, which may be none
    except ValueError:
        following = urlsplit("")
    is_open_now = parts.scheme.lower() == "https" and following.scheme.lower() == "http"
    if not location or is_open_now or following.scheme.lower() not in {"http", "https"}:
        way = "from https to http" if is_open_now else "to something that is not http"
        raise InputError(
            f"{name}: is redirected {way}", hint="Give the address of the stream itself"
        )
    return following
