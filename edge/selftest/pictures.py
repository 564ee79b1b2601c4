"""Pictures made from a number alone: the same bytes on every machine and NumPy."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]
    Integers = npt.NDArray[np.int64]

OCTAVES = (2, 4, 8, 16, 32)
"""Cells a side of each layer of noise, coarse to fine."""
SATURATIONS = (0, 1, 2, 4)
"""Quarters of full colour; grey pictures and colourful ones fall into different classes."""


def make_picture(number: int, input_hw: tuple[int, int]) -> Pixels:
    """Make a picture of smooth noise in several sizes, with integers only.

    Args:
        number: decides everything.
        input_hw: height and width in pixels.

    Returns:
        uint8, (H, W, 3), BGR.
    """
    colour = SATURATIONS[number % len(SATURATIONS)]
    words = _random_words(number, len(OCTAVES) + 3)
    weights, base = words[:-3] % 256, words[-3:] % 160 + 48
    total = np.zeros((*input_hw, 3), dtype=np.int64)
    for place, cells in enumerate(OCTAVES):
        seed = 10 * number + place + 7
        grid = _random_words(seed, (cells + 1) ** 2 * 3).reshape(cells + 1, cells + 1, 3)
        chroma = grid % 256 - 128
        grey = chroma.sum(axis=2, keepdims=True) // 2
        total += _enlarge(grey + chroma * colour // 4, input_hw) * weights[place] // 256
    picture: Pixels = np.clip(total + base, 0, 255).astype(np.uint8)
    return picture


def make_pictures(numbers: Sequence[int], input_hw: tuple[int, int]) -> Pixels:
    """Make several, uint8, (N, H, W, 3), BGR."""
    return np.stack([make_picture(number, input_hw) for number in numbers])


def hash_pictures(pictures: Pixels) -> str:
    """Give the SHA-256 of their pixels in hex."""
    return hashlib.sha256(np.ascontiguousarray(pictures).tobytes()).hexdigest()


def write_pictures(pictures: Pixels, folder: Path) -> None:
    """Write them as PPM files into a new folder, for a calibration."""
    folder.mkdir()
    for place, picture in enumerate(pictures):
        height, width, _ = picture.shape
        header = f"P6 {width} {height} 255\n".encode()
        (folder / f"{place:03}.ppm").write_bytes(header + picture[..., ::-1].tobytes())


def _enlarge(grid: Integers, input_hw: tuple[int, int]) -> Integers:
    """Interpolate a (cells + 1, cells + 1, 3) grid linearly, in steps of 1/256."""
    cells = len(grid) - 1
    y, down = _places(cells, input_hw[0])
    x, right = _places(cells, input_hw[1])
    below: Integers = down.reshape(-1, 1, 1)
    beside: Integers = right.reshape(1, -1, 1)
    rows: Integers = grid[y] * (256 - below) + grid[y + 1] * below
    enlarged: Integers = (rows[:, x] * (256 - beside) + rows[:, x + 1] * beside) // 65536
    return enlarged


def _places(cells: int, side: int) -> tuple[Integers, Integers]:
    """Give the cell of each pixel and how far into it the pixel lies, in 1/256."""
    place: Integers = np.arange(side, dtype=np.int64) * cells * 256 // side
    return place // 256, place % 256


def _random_words(seed: int, count: int) -> Integers:
    """Give `count` numbers below 2^31.

    NumPy's own generators may change their streams between versions.
    Source: S. Vigna, SplitMix64.
    """
    state = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 20)
    state *= np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    words: Integers = (state >> np.uint64(33)).astype(np.int64)
    return words
