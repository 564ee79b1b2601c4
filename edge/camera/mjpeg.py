"""An MJPEG stream over HTTP as a source, as network cameras and small boards send it."""

from __future__ import annotations

import re
import ssl
import time
from collections import deque
from http.client import HTTPException, responses
from socket import gaierror
from typing import TYPE_CHECKING

from edge.camera.base import SourceInfo
from edge.camera.http_stream import Stream, open_stream
from edge.camera.multipart import Part, Splitter, read_boundary
from edge.errors import CameraLostError, EdgeError, InputError, UnavailableError
from edge.frame import Frame
from edge.image import read_jpeg

if TYPE_CHECKING:
    from edge.camera.url import SourceURL

BARE = frozenset({"video/mjpeg", "video/x-mjpeg", "video/x-motion-jpeg"})
"""Content types of pictures one after the other without boundaries."""

_SECONDS = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,9})[0-9]*)?")

CHECK_LINE = "Check that the camera is on and the address is right"
CHECK_ADDRESS = "Open the address in a browser, or look up the camera's MJPEG address"
LOGIN_HINT = "Put user:password@ before the host, percent-encoded, as in http://user:p%40ss@host/"


class MJPEGSource:
    """Gives the stream's pictures as they come; see `edge.camera.base.Source`.

    A frame's `captured_ns` is when the first bytes of the picture were read, as the camera had
    taken it by then; its `capture_ns` is what the rest took to come through the network. A part's
    X-Timestamp, where it is a number of seconds, becomes `stamp_ns`.

    Args:
        url: http or https, with user and password where the camera asks for them.

    Raises:
        InputError: the address gives no MJPEG stream, or wants another password.
        UnavailableError: nothing answers there now.
    """

    def __init__(self, url: SourceURL) -> None:
        self._name = url.name
        self._timeout_s = url.options.timeout_s
        self._stream = _open(url)
        try:
            _check_answer(self._stream, url.name)
        except EdgeError:
            self._stream.close()
            raise
        self._splitter = Splitter(read_boundary(self._stream.content_type))
        self._parts: deque[Part] = deque()
        self._is_stopped = False
        self._given = 0
        self._spoiled = 0
        self.info = SourceInfo(name=url.name, live=True, size=None, fps=None)

    @property
    def unreadable(self) -> int:
        """How many parts were no JPEG, or one too large to be true."""
        return self._spoiled + self._splitter.skipped

    def read(self) -> Frame | None:
        """Wait for the next picture; None after `stop`.

        Raises:
            CameraLostError: the stream ended, or gave no picture for `timeout_s`.
        """
        deadline_s = time.monotonic() + self._timeout_s
        while not self._is_stopped:
            if self._parts:
                frame = self._make_frame(self._parts.popleft())
                if frame is not None:
                    return frame
            else:
                self._receive(deadline_s)
        return None

    def _receive(self, deadline_s: float) -> None:
        """Wait for more of the body and take it apart."""
        try:
            data = self._stream.read(deadline_s)
        except TimeoutError as error:
            if self._is_stopped:
                return
            raise CameraLostError(
                f"{self._name}: gave no picture for {self._timeout_s:g} s",
                hint="Check the network, or wait longer with #timeout=20",
            ) from error
        except (OSError, HTTPException, ValueError) as error:  # ValueError: TLS that was cut short
            if self._is_stopped:
                return
            raise CameraLostError(f"{self._name}: the connection broke", hint=CHECK_LINE) from error
        if data:
            self._parts += self._splitter.feed(data, time.monotonic_ns())
        elif not self._is_stopped:
            raise CameraLostError(f"{self._name}: the camera ended the stream", hint=CHECK_LINE)

    def _make_frame(self, part: Part) -> Frame | None:
        """Give a part as a frame, None where it is no JPEG."""
        try:
            jpeg = read_jpeg(part.body)
        except InputError:
            self._spoiled += 1
            return None
        took_ns = time.monotonic_ns() - part.came_ns
        stamp_ns = read_stamp(part.head.get("x-timestamp", ""))
        frame = Frame(jpeg, self._given, part.came_ns, took_ns, self.info.name, stamp_ns=stamp_ns)
        self._given += 1
        return frame

    def stop(self) -> None:
        """Cut the connection, so that a waiting `read` ends at once."""
        self._is_stopped = True
        self._stream.shut()

    def close(self) -> None:
        """Release the connection."""
        self._stream.close()


def read_stamp(text: str) -> int | None:
    """Give a number of seconds in nanoseconds, None where it is none.

    Zero is none too: mjpg-streamer says 0.000000 of pictures whose time it does not know.
    """
    match = _SECONDS.fullmatch(text)
    if match is None:
        return None
    return int(match[1]) * 1_000_000_000 + int((match[2] or "").ljust(9, "0")) or None


def _open(url: SourceURL) -> Stream:
    """Open the stream; what the libraries raise becomes ours."""
    name, timeout_s = url.name, url.options.timeout_s
    try:
        return open_stream(url.target, name, timeout_s)
    except gaierror as error:
        raise UnavailableError(
            f"{name}: its host is not known",
            hint="Check the name, or give the camera's IP address",
        ) from error
    except TimeoutError as error:
        raise UnavailableError(
            f"{name}: did not answer within {timeout_s:g} s", hint=CHECK_LINE
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise InputError(
            f"{name}: its certificate is not trusted ({error.verify_message})",
            hint="Name the camera's certificate in SSL_CERT_FILE, or use http://",
        ) from error
    except ssl.SSLError as error:
        raise InputError(f"{name}: does not speak TLS as it should", hint="Try http://") from error
    except ConnectionRefusedError as error:
        raise UnavailableError(f"{name}: connection refused", hint=CHECK_LINE) from error
    except ConnectionError as error:
        raise UnavailableError(f"{name}: hung up before it answered", hint=CHECK_LINE) from error
    except OSError as error:
        raise UnavailableError(
            f"{name}: cannot be reached ({error.strerror or 'no route'})", hint=CHECK_LINE
        ) from error
    except (HTTPException, ValueError) as error:  # ValueError: a host name that cannot be one
        raise InputError(f"{name}: no web server answers there", hint=CHECK_ADDRESS) from error


def _check_answer(stream: Stream, name: str) -> None:
    """Refuse an answer that is no MJPEG stream."""
    status = stream.status
    if status != 200:
        said = f"{name}: answers {status} {responses.get(status, '')}".rstrip()
        if status in {401, 403}:
            raise InputError(said, hint=LOGIN_HINT)
        if status == 404:
            raise InputError(said, hint=CHECK_ADDRESS)
        if status >= 500 or status in {408, 429}:
            raise UnavailableError(said, hint="Close other programs that use it, or try again")
        raise InputError(said, hint=CHECK_ADDRESS)
    kind = stream.content_type.partition(";")[0].strip().lower()
    if kind.startswith("multipart/") or kind in BARE:
        return
    if kind == "image/jpeg":
        raise InputError(
            f"{name}: gives one picture, not an MJPEG stream",
            hint="This is the camera's snapshot address; give that of its stream",
        )
    if re.fullmatch(r"[\w.+-]{1,40}/[\w.+-]{1,40}", kind) is None:  # it is a stranger's text
        kind = "something without a type"
    raise InputError(f"{name}: gives {kind}, not an MJPEG stream", hint=CHECK_ADDRESS)
