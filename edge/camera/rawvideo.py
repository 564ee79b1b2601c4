"""What GStreamer's caps say of raw I420 video, and its memory seen as planes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.errors import InputError
from edge.frame import Planes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge.frame import Matrix

MOST_SIDE_PX = 1 << 15

SD_HEIGHT_PX = 576
"""Up to this height GStreamer takes video for BT.601 where the caps do not say."""

_FIELD = re.compile(r"([a-z][a-z-]*)=(?:\([a-z]+\))?\"?([^,;\"]*)")
_NAMED: dict[str, tuple[Matrix, bool]] = {
    "bt601": ("bt601", False),
    "bt709": ("bt709", False),
    "smpte240m": ("bt709", False),
    "bt2020": ("bt709", False),
    "bt2020-10": ("bt709", False),
    "bt2100-pq": ("bt709", False),
    "bt2100-hlg": ("bt709", False),
}
_FULL_RANGE, _UNKNOWN = "1", "0"
_LIKE_BT709 = frozenset({"3", "5", "6"})
"""Numbers of GstVideoColorMatrix: BT.709, SMPTE 240M, BT.2020; the last two have no closer kin."""


@dataclass(frozen=True, slots=True)
class I420:
    """How the pictures of a stream lie in memory.

    Rows start at multiples of four bytes, and an odd height has one more row of luma's memory than
    of luma.

    Attributes:
        width: in pixels.
        height: in pixels.
        fps: frames per second, None where it varies.
        matrix: see `edge.frame.Planes`.
        full_range: see there.
        is_interlaced: chroma then has an even number of rows in memory.

    Source: gst-plugins-base, gst-libs/gst/video/video-info.c, default strides and offsets.
    """

    width: int
    height: int
    fps: float | None
    matrix: Matrix
    full_range: bool
    is_interlaced: bool = False

    @property
    def size_bytes(self) -> int:
        """What one picture takes."""
        luma_bytes, chroma_bytes = self._parts()
        return luma_bytes + 2 * chroma_bytes

    def _strides(self) -> tuple[int, int]:
        return _round_up(self.width, 4), _round_up((self.width + 1) // 2, 4)

    def _parts(self) -> tuple[int, int]:
        luma_stride, chroma_stride = self._strides()
        chroma_rows = _round_up((self.height + 1) // 2, 2 if self.is_interlaced else 1)
        return luma_stride * _round_up(self.height, 2), chroma_stride * chroma_rows

    def planes(self, memory: npt.NDArray[np.uint8]) -> Planes:
        """See a picture's memory as planes, without a copy.

        Args:
            memory: uint8, flat.

        Raises:
            InputError: it is not as long as a picture.
        """
        if memory.size != self.size_bytes:
            raise InputError(
                f"{memory.size} bytes came, where {self.width}x{self.height} I420 has"
                f" {self.size_bytes}",
                hint="Put videoconvert before its end",
            )
        luma_bytes, chroma_bytes = self._parts()
        luma_stride, chroma_stride = self._strides()
        luma, blue, red = (
            part.reshape(-1, stride)
            for part, stride in (
                (memory[:luma_bytes], luma_stride),
                (memory[luma_bytes : luma_bytes + chroma_bytes], chroma_stride),
                (memory[luma_bytes + chroma_bytes :], chroma_stride),
            )
        )
        half_height, half_width = (self.height + 1) // 2, (self.width + 1) // 2
        return Planes(
            luma=luma[: self.height, : self.width],
            blue=blue[:half_height, :half_width],
            red=red[:half_height, :half_width],
            matrix=self.matrix,
            full_range=self.full_range,
        )


def parse_caps(text: str) -> I420:
    """Read caps such as `video/x-raw, format=(string)I420, width=(int)640, height=(int)480`.

    Raises:
        InputError: they are not of raw I420 video in main memory, or without a size.
    """
    head, _, rest = text.partition(",")
    fields = {name: value.strip() for name, value in _FIELD.findall(rest)}
    width, height = _side(fields.get("width", "")), _side(fields.get("height", ""))
    is_raw = head.strip() in {"video/x-raw", "video/x-raw(memory:SystemMemory)"}
    if not is_raw or fields.get("format") != "I420" or width is None or height is None:
        raise InputError(
            f"no raw I420 video: {text[:200]}", hint="End the pipeline in raw video (video/x-raw)"
        )
    matrix, full_range = _colours(fields.get("colorimetry", ""), height)
    return I420(
        width,
        height,
        _rate(fields.get("framerate", "")),
        matrix,
        full_range,
        is_interlaced=fields.get("interlace-mode", "progressive") != "progressive",
    )


def _side(text: str) -> int | None:
    if re.fullmatch(r"[0-9]{1,6}", text) is None:
        return None
    return int(text) if 0 < int(text) <= MOST_SIDE_PX else None


def _rate(text: str) -> float | None:
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if match is None or not int(match[1]) or not int(match[2]):
        return None
    return int(match[1]) / int(match[2])


def _colours(text: str, height: int) -> tuple[Matrix, bool]:
    """Read a colorimetry: a name, or range:matrix:transfer:primaries in numbers.

    Source: gst-plugins-base, gst-libs/gst/video/video-color.c and .h.
    """
    usual: Matrix = "bt601" if height <= SD_HEIGHT_PX else "bt709"
    if text in _NAMED:
        return _NAMED[text]
    numbers = text.split(":")
    if len(numbers) != 4:
        return usual, False
    full_range = numbers[0] == _FULL_RANGE
    if numbers[1] == _UNKNOWN:
        return usual, full_range
    return "bt709" if numbers[1] in _LIKE_BT709 else "bt601", full_range


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step
