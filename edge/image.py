"""A picture cut and resized as the contract says, straight into the engine's own memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.errors import InputError
from edge.files import explain_os_error, read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from edge.model.contract import Contract

    Pixels = npt.NDArray[np.uint8]

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})


def find_pictures(folder: Path) -> list[Path]:
    """Give the files below a folder that are named like pictures, sorted.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        return sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    except OSError as error:
        raise explain_os_error(folder, error) from error


def silence_opencv() -> None:
    """Keep OpenCV's own log lines off stderr; what went wrong is told in ours."""
    is_old = int(cv2.__version__.split(".")[0]) < 5  # OpenCV 5 moved the function
    if is_old:
        cv2.setLogLevel(0)  # type: ignore[attr-defined] # gone from the stubs of OpenCV 5
    else:
        cv2.utils.logging.setLogLevel(0)


def decode(path: Path) -> Pixels:
    """Read a picture file as uint8 (H, W, 3) BGR, turned upright by its EXIF.

    Raises:
        InputError: the file cannot be read or is no picture.
    """
    silence_opencv()
    data = read_bytes(path)
    coded = np.frombuffer(data, dtype=np.uint8)
    is_cut = not data or _is_cut_png(data)
    try:
        pixels: Pixels | None = None if is_cut else cv2.imdecode(coded, cv2.IMREAD_COLOR)
    except cv2.error:  # a header that promises more pixels than OpenCV will hold
        pixels = None
    if pixels is None:
        raise InputError(
            f"{path}: not a picture, or a damaged one", hint="Give a JPEG, PNG, WebP or BMP file"
        )
    return pixels


def _is_cut_png(coded: bytes) -> bool:
    """Tell a PNG without its last chunk, of which libpng itself would complain on stderr."""
    return coded.startswith(b"\x89PNG") and b"IEND" not in coded


def crop_box(height: int, width: int, contract: Contract) -> tuple[int, int, int, int]:
    """Give the part of a picture that the network sees, as (y, x, height, width) in its pixels.

    Resizing the whole picture and cutting the middle gives the same view as cutting the part
    first and resizing only that, which is less work.
    """
    if contract.resize == "stretch":
        return 0, 0, height, width
    factor = min(height, width) / contract.resize_short_px
    box_h = min(height, max(1, round(contract.input_hw[0] * factor)))
    box_w = min(width, max(1, round(contract.input_hw[1] * factor)))
    return (height - box_h) // 2, (width - box_w) // 2, box_h, box_w


def fit(pixels: Pixels, contract: Contract, out: Pixels) -> None:
    """Write what the network is to see of `pixels` into `out`.

    Args:
        pixels: uint8, (H, W, 3), BGR.
        contract: the resize rule and the input size.
        out: uint8, (input height, input width, 3), BGR; every value is overwritten.
    """
    y, x, height, width = crop_box(pixels.shape[0], pixels.shape[1], contract)
    box = pixels[y : y + height, x : x + width]
    if box.shape == out.shape:
        out[...] = box
        return
    shrinks = height > out.shape[0] and width > out.shape[1]
    cv2.resize(
        box,
        (out.shape[1], out.shape[0]),
        dst=out,
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )
