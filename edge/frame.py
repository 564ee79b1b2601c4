"""One picture on its way from a source to the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Pixels: TypeAlias = npt.NDArray[np.uint8]
"""A decoded picture: uint8, (H, W, 3), BGR."""

Matrix = Literal["bt601", "bt709"]


@dataclass(frozen=True, slots=True, eq=False)
class Jpeg:
    """A picture as a camera coded it, so that no more of it is decoded than is looked at.

    Attributes:
        coded: the whole file.
        height: of the picture, in pixels.
        width: of the picture, in pixels.
    """

    coded: bytes
    height: int
    width: int


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Y'CbCr as a video decoder gives it, so that only what is looked at becomes BGR.

    Attributes:
        luma: uint8, (H, W).
        blue: uint8, Cb, (H, W) or less a side.
        red: uint8, Cr, as `blue`.
        matrix: which weights made luma of colours (ITU-R BT.601 or BT.709).
        full_range: luma from 0 to 255, in the place of 16 to 235.
    """

    luma: npt.NDArray[np.uint8]
    blue: npt.NDArray[np.uint8]
    red: npt.NDArray[np.uint8]
    matrix: Matrix = "bt601"
    full_range: bool = False


Data: TypeAlias = Pixels | Jpeg | Planes


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A picture and where and when it was taken.

    Attributes:
        data: owned by the frame; sources do not write to it again.
        seq: 0, 1, 2, ... as the source counts; a gap means dropped frames.
        captured_ns: monotonic clock, when the driver took the picture, where it says so; else when
            it reached this machine.
        capture_ns: what reading took, without waiting for the camera.
        source: how the source is named in records.
        file: the picture's own file name, where it is one.
        stamp_ns: the source's own time of the picture, on its own clock, where it tells one.
        decode_ns: what the source took to decode it after reading; 0 where it is left to others.
    """

    data: Data
    seq: int
    captured_ns: int
    capture_ns: int
    source: str
    file: str | None = None
    stamp_ns: int | None = None
    decode_ns: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        if isinstance(self.data, Jpeg):
            return self.data.width, self.data.height
        shape = self.data.luma.shape if isinstance(self.data, Planes) else self.data.shape
        return shape[1], shape[0]
