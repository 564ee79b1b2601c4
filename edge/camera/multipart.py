"""Finds the pictures in the body of an MJPEG stream, whatever its server makes of the format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PICTURE_LIMIT_BYTES = 32 << 20
HEAD_LIMIT_BYTES = 16 << 10

SOI = b"\xff\xd8\xff"
"""How a JPEG begins: its first marker and the first byte of the next one."""

_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""A marker that is not a stuffed byte, a fill byte or a restart inside the coded picture."""

_START, _END, _ALONE = 0xD8, 0xD9, 0x01
"""Markers without a length: start and end of a picture, and TEM."""

_BOUNDARY = re.compile(r'(?i);\s*boundary\s*=\s*(?:"([^"]*)"?|([^\s;"]+))')


@dataclass(frozen=True, slots=True)
class Part:
    """One picture of the stream.

    Attributes:
        head: the part's header lines, their names in lower case.
        body: a JPEG as far as its first bytes tell; cut off where the stream left it.
        came_ns: of the bytes that it began with, as they were given to `feed`.
    """

    head: Mapping[str, str]
    body: bytes
    came_ns: int


def read_boundary(content_type: str) -> str:
    """Give the boundary that a Content-Type names, empty where it names none."""
    match = _BOUNDARY.search(content_type)
    return (match[1] or match[2] or "") if match else ""


class _State(Enum):
    GAP = auto()  # between pictures: whatever comes is passed over
    HEAD = auto()  # after a boundary line
    PICTURE = auto()


class Splitter:
    """Takes the body as it comes, in pieces of any size, and gives its pictures.

    A picture ends where its own markers say so, and is given at once, not only when the next part
    begins. So neither Content-Length, which some servers get wrong, nor the boundary is relied
    on; the latter only ends a picture that was cut off, and begins the header lines. No bytes
    raise anything, and no more are kept than the limits.

    Args:
        boundary: as the Content-Type names it, with or without its leading dashes.
        limit_bytes: a longer picture is passed over.
    """

    def __init__(self, boundary: str, limit_bytes: int = PICTURE_LIMIT_BYTES) -> None:
        self._line, self._longest = _boundary_line(boundary)
        self._gap_end = re.compile(rb"(?P<line>%b)|%b" % (self._line.pattern, SOI))
        self._limit_bytes = limit_bytes
        self._held = bytearray(b"\n")
        self._state = _State.GAP
        self._head: dict[str, str] = {}
        self._head_bytes = 0
        self._came_ns = 0
        self._marker_at = 0
        self._line_at = 0
        self.skipped = 0
        """Parts that held no picture, or one beyond the limit."""

    def feed(self, data: bytes, came_ns: int) -> list[Part]:
        """Take the next bytes and give the pictures that they complete.

        Args:
            data: as it comes.
            came_ns: when it came; goes into the parts that begin in it.
        """
        self._held += data
        parts: list[Part] = []
        steps = {
            _State.GAP: self._pass_gap,
            _State.HEAD: self._read_head,
            _State.PICTURE: self._read_picture,
        }
        while steps[self._state](came_ns, parts):
            pass
        return parts

    def _pass_gap(self, came_ns: int, _: list[Part]) -> bool:
        """Look for a boundary line or a picture; False when more bytes are wanted."""
        match = self._gap_end.search(self._held)
        if match is None:
            del self._held[: max(0, len(self._held) - self._longest)]
            return False
        if match["line"] is None:
            self._start_picture(match.start(), came_ns)
            return True
        self.skipped += bool(self._head)  # a part has ended, and there was no picture in it
        self._start_head(match.end())
        return True

    def _start_head(self, at: int) -> None:
        del self._held[:at]
        self._head, self._head_bytes = {}, 0
        self._state = _State.HEAD

    def _read_head(self, came_ns: int, _: list[Part]) -> bool:
        """Take one header line; False when more bytes are wanted.

        A picture may follow without the blank line, and a boundary line may come twice.
        """
        allowed = HEAD_LIMIT_BYTES - self._head_bytes
        line_end = self._held.find(b"\n", 0, allowed)
        picture_at = self._held.find(SOI, 0, allowed if line_end < 0 else line_end)
        if picture_at >= 0:
            self._start_picture(picture_at, came_ns)
        elif line_end >= 0:
            self._take_head_line(line_end + 1)
        elif len(self._held) < allowed:
            return False
        else:
            self.skipped += 1
            self._start_gap(0)
        return True

    def _take_head_line(self, length: int) -> None:
        line = bytes(self._held[:length])
        if self._line.fullmatch(b"\n" + line):
            self.skipped += bool(self._head)
            self._start_head(length)
            return
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon and not name.strip():
            del self._held[: length - 1]  # a boundary line may follow and wants its line end
            self._state = _State.GAP
            return
        del self._held[:length]
        self._head_bytes += length
        if colon:
            self._head.setdefault(name.strip().lower(), value.strip())

    def _start_gap(self, at: int) -> None:
        """Go on behind a part that is done with; its header lines are not the next one's."""
        del self._held[:at]
        self._held[:0] = b"\n"  # some servers send no line end before the boundary
        self._head = {}
        self._state = _State.GAP

    def _start_picture(self, at: int, came_ns: int) -> None:
        del self._held[:at]
        self._came_ns = came_ns
        self._marker_at, self._line_at = 2, 2
        self._state = _State.PICTURE

    def _read_picture(self, _: int, parts: list[Part]) -> bool:
        """Look for the end of the picture; False when more bytes are wanted."""
        seen = min(len(self._held), self._limit_bytes + self._longest)
        line = self._line.search(self._held, self._line_at, seen)
        end = self._find_end(line.start() if line else seen)
        if end is None and line is not None:
            end = line.start()
        if end is None and seen < self._limit_bytes + self._longest:
            self._line_at = max(2, seen - self._longest)
            return False
        if end is None or end > self._limit_bytes:
            self.skipped += 1
            end = self._limit_bytes
        else:
            parts.append(Part(self._head, bytes(self._held[:end]), self._came_ns))
        self._start_gap(end)
        return True

    def _find_end(self, stop: int) -> int | None:
        """Follow the markers up to `stop` and give where the picture ends, if that is to be seen.

        It ends behind its last marker, or where another one starts because it was cut off.
        """
        while match := _MARKER.search(self._held, self._marker_at, stop):
            at, code = match.start(), match[0][1]
            if code == _END:
                return at + 2
            if code == _START:
                return at
            if code == _ALONE:
                self._marker_at = at + 2
                continue
            if at + 4 > stop:
                self._marker_at = at
                return None
            length = int.from_bytes(self._held[at + 2 : at + 4], "big")
            self._marker_at = at + 2 + length
        self._marker_at = max(self._marker_at, stop - 1)
        return None


def _boundary_line(boundary: str) -> tuple[re.Pattern[bytes], int]:
    """Give what a boundary line looks like, and how long it can be in bytes.

    Servers name it with its dashes, or send it without them. In a coded picture a long enough
    word does not come up by chance, so it need not stand at the start of a line.
    """
    core = boundary.encode("latin-1", "replace").strip().strip(b"-")[:200]
    if not core:
        return re.compile(rb"(?!)"), len(SOI)
    start = rb"(?:\n-{0,80}|-{2,80})" if len(core) >= 6 else rb"\n-{2,80}"
    line = re.compile(rb"%b%b(?:--)?[ \t]{0,8}\r?\n" % (start, re.escape(core)))
    return line, 1 + 80 + len(core) + 2 + 8 + 2
