"""The newest picture of each source as a JPEG, coded at most once and only when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.errors import InputError
from edge.frame import Jpeg
from edge.image import to_jpeg

if TYPE_CHECKING:
    from edge.frame import Data
    from edge.record import FrameRecord

WIDTH_PX = 640
MOST_BYTES = 400_000
"""A JPEG above it, say a photograph of 12 megapixels, is coded anew, small."""
HUFFMAN_TABLES = b"\xff\xc4"
"""Cameras may leave them out of MJPEG; not every browser then knows which ones are meant."""


def jpeg_of(data: Data) -> bytes:
    """Give a picture as a JPEG that any browser shows; a camera's own is passed on as it is.

    Raises:
        InputError: the picture is damaged.
    """
    if isinstance(data, Jpeg) and len(data.coded) <= MOST_BYTES and HUFFMAN_TABLES in data.coded:
        return data.coded
    return to_jpeg(data, WIDTH_PX)


class Pictures:
    """What is on show. For one thread.

    Attributes:
        coded: pictures made ready so far.
    """

    def __init__(self) -> None:
        self.coded = 0
        self._shown: dict[int, FrameRecord] = {}
        self._ready: dict[int, tuple[FrameRecord, bytes | None]] = {}

    def show(self, place: int, record: FrameRecord) -> bool:
        """Put a record's picture on show; False when it is already."""
        is_new = self._shown.get(place) is not record
        self._shown[place] = record
        return is_new

    def give(self, place: int) -> tuple[int, bytes] | None:
        """Give sequence number and JPEG of what is on show; None without one, or a damaged one."""
        record = self._shown.get(place)
        if record is None:
            return None
        ready = self._ready.get(place)
        if ready is None or ready[0] is not record:
            ready = self._ready[place] = record, self._code(record)
        return None if ready[1] is None else (record.frame.seq, ready[1])

    def _code(self, record: FrameRecord) -> bytes | None:
        self.coded += 1
        try:
            return jpeg_of(record.frame.data)
        except InputError:
            return None
