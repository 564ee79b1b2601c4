"""One picture on its way from a source to the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A decoded picture and where and when it was taken.

    Attributes:
        pixels: uint8, (H, W, 3), BGR. Owned by the frame; sources do not write to it again.
        seq: 0, 1, 2, ... as the source counts; a gap means dropped frames.
        captured_ns: monotonic clock, when the picture reached this machine.
        capture_ns: what reading and decoding took, without waiting for the camera.
        source: how the source is named in records.
        file: the picture's own file name, where it is one.
    """

    pixels: npt.NDArray[np.uint8]
    seq: int
    captured_ns: int
    capture_ns: int
    source: str
    file: str | None = None
