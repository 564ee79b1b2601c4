"""Tells which JPEG files may be decoded small: those of which every decoder makes one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.errors import InputError
from edge.image import read_jpeg

if TYPE_CHECKING:
    from edge.frame import Jpeg

PIXEL_LIMIT = 1 << 30
"""What OpenCV decodes at most; a header that promises more is a bomb or damage."""

_PLAIN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive, all with Huffman codes."""

_OTHER_FRAMES = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_ORIENTATION = 0x0112


def read_plain_jpeg(coded: bytes) -> Jpeg | None:
    """Look at the head of a file.

    Returns:
        None where it is no JPEG, or one that OpenCV turns upright or that has other colours than
        gray and Y'CbCr with 8 bits: CMYK, RGB, arithmetic codes, EXIF orientation.
    """
    if not _is_plain(coded):
        return None
    try:
        jpeg = read_jpeg(coded)
    except InputError:
        return None
    return jpeg if jpeg.height * jpeg.width <= PIXEL_LIMIT else None


def _is_plain(coded: bytes) -> bool:
    """Walk the segments up to the first scan.

    Source: ITU-T T.81, annex B; JFIF, EXIF and Adobe by their application segments.
    """
    if not coded.startswith(b"\xff\xd8"):
        return False
    is_plain, at = False, 2
    while at + 4 <= len(coded) and coded[at] == 0xFF:
        code = coded[at + 1]
        if code == 0xFF or code in _ALONE:
            at += 1 if code == 0xFF else 2
            continue
        if code == _START_OF_SCAN:
            return is_plain
        length = int.from_bytes(coded[at + 2 : at + 4], "big")
        body = coded[at + 4 : at + 2 + length]
        if code in _PLAIN_FRAMES:
            is_plain = _has_plain_colours(body)
        elif code in _OTHER_FRAMES or _says_otherwise(code, body):
            return False
        at += 2 + length
    return False


def _has_plain_colours(frame: bytes) -> bool:
    """Read a frame header: precision, height, width, count, then three bytes a component."""
    if len(frame) < 6 or frame[0] != 8:
        return False
    identifiers = frame[6::3]
    return frame[5] == 1 or (frame[5] == 3 and identifiers != b"RGB")


def _says_otherwise(code: int, body: bytes) -> bool:
    """Tell whether an application segment speaks of RGB, or of a picture that lies on its side."""
    if code == 0xEE and body.startswith(b"Adobe"):
        return len(body) < 12 or body[11] != 1
    if code == 0xE1 and body.startswith(b"Exif\0"):
        return _orientation(body[6:]) != 1
    return False


def _orientation(tiff: bytes) -> int:
    """Read the orientation out of EXIF; 1 where it does not say one, 0 where it is damaged.

    Source: TIFF 6.0, section 2, and EXIF 2.32, section 4.6.4.
    """
    if len(tiff) < 8 or tiff[:4] not in {b"II*\0", b"MM\0*"}:
        return 0

    def number(at: int, length: int) -> int:
        return int.from_bytes(tiff[at : at + length], "little" if tiff[:1] == b"I" else "big")

    table = number(4, 4)
    if table + 2 > len(tiff):
        return 0
    for entry in range(table + 2, table + 2 + 12 * number(table, 2), 12):
        if number(entry, 2) == _ORIENTATION:
            return number(entry + 8, 2)
    return 1
