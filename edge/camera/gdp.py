"""The packets of GStreamer's `gdppay`, put together from whatever pieces a pipe gives.

A packet is a header of 62 bytes and a payload. Numbers are big-endian:

    0  version, two bytes: 1, 0      26  offset, 8 bytes
    2  flags: 1 the header has a     34  end of offset, 8 bytes
       checksum, 2 the payload too   42  flags of the buffer, 2 bytes
    4  kind, 2 bytes: 1 a buffer,    44  decoding time in ns, 8 bytes
       2 caps, 64 and more an event  58  checksum of bytes 0 to 57
    6  length of the payload, 4      60  checksum of the payload
    10 presentation time in ns, 8    (what is not named is zero)
    18 duration in ns, 8 bytes

A time of all ones is none. The checksum is the 16-bit CCITT one (polynomial 0x1021, begun with all
ones, inverted at the end). Caps and events are texts that end in a zero byte.

Source: gst-plugins-bad, gst/gdp/dataprotocol.h and dp-private.h (GStreamer Data Protocol 1.0).
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

HEADER_BYTES = 62
MOST_BUFFER_BYTES = 1 << 28
MOST_TEXT_BYTES = 1 << 20
"""What longer packets than these promise is refused before any memory is taken for it."""

_HEADER = struct.Struct(">BBBxHIQQ16xH14xH2x")
_CHECKED_BYTES = 58
_HAS_CHECKSUM = 1
_BUFFER, _CAPS, _FIRST_EVENT = 1, 2, 64
_DISCONTINUITY = 1 << 6
_NO_TIME = (1 << 64) - 1

Kind = Literal["buffer", "caps", "event"]


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """One whole packet.

    Attributes:
        kind: what the payload is.
        payload: uint8, flat; memory of its own.
        pts_ns: presentation time of a buffer, where it has one.
        is_after_gap: something was lost before this buffer.
    """

    kind: Kind
    payload: npt.NDArray[np.uint8]
    pts_ns: int | None
    is_after_gap: bool

    @property
    def text(self) -> str:
        """The payload of caps or an event as text."""
        return self.payload.tobytes().rstrip(b"\0").decode("utf-8", "replace")


class PacketReader:
    """Takes bytes in pieces of any size and gives whole packets.

    The caller writes to the memory that `space` gives, which is where the bytes belong: a payload
    is never copied. After an error the stream has no meaning any more.
    """

    def __init__(self) -> None:
        self._header = bytearray(HEADER_BYTES)
        self._packet: Packet | None = None
        self._rest = memoryview(self._header)

    @property
    def is_between(self) -> bool:
        """Whether no packet has begun."""
        return self._packet is None and len(self._rest) == HEADER_BYTES

    def space(self) -> memoryview:
        """Give the memory for the next bytes; it is never empty."""
        return self._rest

    def advance(self, count: int) -> Packet | None:
        """Take the first `count` bytes of `space` as written; give the packet that they complete.

        Raises:
            InputError: the bytes are no packet.
        """
        self._rest = self._rest[count:]
        if self._rest:
            return None
        packet = self._packet
        if packet is None:
            packet = _begin(self._header)
            if packet.payload.size:
                self._packet = packet
                self._rest = packet.payload.data
                return None
        self._packet = None
        self._rest = memoryview(self._header)
        return packet


def _begin(header: bytearray) -> Packet:
    """Read a header and take memory for its payload.

    Raises:
        InputError: it is none, or it promises more than any picture has.
    """
    major, minor, flags, code, length, pts_ns, _, buffer_flags, checksum = _HEADER.unpack(header)
    if (major, minor) != (1, 0) or not flags & _HAS_CHECKSUM:
        raise _broken("no header of GDP 1.0 with a checksum")
    if checksum != crc_hqx(memoryview(header)[:_CHECKED_BYTES], 0xFFFF) ^ 0xFFFF:
        raise _broken("a header's checksum is wrong")
    kind: Kind = "buffer" if code == _BUFFER else "caps" if code == _CAPS else "event"
    if kind == "event" and code < _FIRST_EVENT:
        raise _broken(f"a packet of the unknown kind {code}")
    if length > (MOST_BUFFER_BYTES if kind == "buffer" else MOST_TEXT_BYTES):
        raise _broken(f"a packet of {length} bytes")
    return Packet(
        kind=kind,
        payload=np.empty(length, dtype=np.uint8),
        pts_ns=None if pts_ns == _NO_TIME or kind != "buffer" else pts_ns,
        is_after_gap=kind == "buffer" and bool(buffer_flags & _DISCONTINUITY),
    )


def _broken(what: str) -> InputError:
    return InputError(f"not a stream of gdppay: {what}", hint="Open the source again")
