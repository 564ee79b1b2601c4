"""A picture to calibrate on: a file, or a part of one in another light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.files import sha256_bytes, sha256_file
from edge.image import decode

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """Where its pixels come from.

    Attributes:
        path: of the file.
        box: the part of it, as (y, x, height, width) in its pixels; None is the whole.
        light: factor on its values, which end at 255.
    """

    path: Path
    box: tuple[int, int, int, int] | None = None
    light: float = 1.0

    def sha256(self) -> str:
        """Hash of the file, or of that with the part and its light, in hex.

        Raises:
            InputError: the file cannot be read.
        """
        file = sha256_file(self.path)
        if self == Picture(self.path):
            return file
        return sha256_bytes(f"{file} {self.box} {self.light}".encode())

    def decode(self) -> Pixels:
        """Give its pixels, uint8 (H, W, 3) BGR; the same ones on every machine.

        Raises:
            InputError: the file cannot be read or is no picture.
        """
        pixels = decode(self.path)
        if self.box is not None:
            y, x, height, width = self.box
            pixels = pixels[y : y + height, x : x + width]
        if self.light == 1:
            return pixels
        lit = np.rint(pixels.astype(np.float32) * np.float32(self.light))
        return np.asarray(np.minimum(lit, 255), dtype=np.uint8)
