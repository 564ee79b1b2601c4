"""The calibration set that comes with edge: parts of the demo's photographs, near and far."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from edge.assets import bundled
from edge.camera.demo import MANIFEST, list_photographs, photograph_path
from edge.files import read_toml
from edge.image import decode
from edge.quant.picture import Picture

if TYPE_CHECKING:
    from edge.camera.demo import Photograph


def list_demo_pictures() -> list[Picture]:
    """Give every part of every photograph in every light that the manifest names.

    Raises:
        MissingExtraError: scikit-image is not installed.
        InputError: its photographs are other ones than the manifest's.
    """
    wanted = read_toml(bundled(MANIFEST))["calibration"]
    pictures = []
    for photograph in list_photographs():
        path = photograph_path(photograph)
        height, width = decode(path).shape[:2]
        for zoom, shift, light in product(wanted["zooms"], wanted["shifts"], wanted["lights"]):
            box = _box(photograph, zoom, shift, (height, width))
            pictures.append(Picture(path, box, light))
    return pictures


def _box(
    photograph: Photograph, zoom: float, shift: tuple[float, float], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Give a square of the photograph, moved back inside where it would stick out."""
    side = min(round(photograph.height_px * zoom), *size)
    x, y = np.add(photograph.centre, np.multiply(shift, photograph.height_px))
    top, left = (
        min(max(round(middle - side / 2), 0), whole - side)
        for middle, whole in zip((y, x), size, strict=True)
    )
    return top, left, side, side
