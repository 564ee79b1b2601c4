"""A picture decoded, cut and resized as the contract says, into the engine's own memory."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import simplejpeg

from edge.errors import InputError
from edge.files import explain_os_error, read_bytes
from edge.frame import Jpeg, Planes

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from edge.frame import Data, Pixels
    from edge.model.contract import Contract

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})

DAMAGED = "It is skipped and counted"

JPEG_QUALITY = 80


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
    return decode_bytes(read_bytes(path), path)


def decode_bytes(coded: bytes, path: Path) -> Pixels:
    """Decode what was read of a picture file; see `decode`.

    Args:
        coded: the whole file.
        path: names it in the error.

    Raises:
        InputError: it is no picture.
    """
    silence_opencv()
    data = np.frombuffer(coded, dtype=np.uint8)
    is_cut = not coded or _is_cut_png(coded)
    try:
        pixels: Pixels | None = None if is_cut else cv2.imdecode(data, cv2.IMREAD_COLOR)
    except cv2.error:  # a header that promises more pixels than OpenCV will hold
        pixels = None
    if pixels is None:
        raise no_picture(path)
    return pixels


def no_picture(path: Path) -> InputError:
    """Make the error of a file that cannot be decoded."""
    return InputError(
        f"{path}: not a picture, or a damaged one", hint="Give a JPEG, PNG, WebP or BMP file"
    )


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


def read_jpeg(coded: bytes) -> Jpeg:
    """Look at the head of a JPEG.

    Raises:
        InputError: it is none.
    """
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(coded, strict=False)
    except (ValueError, KeyError) as error:  # KeyError where the head names no known subsampling
        raise InputError("not a JPEG", hint=DAMAGED) from error
    return Jpeg(coded, height, width)


def to_pixels(data: Data) -> Pixels:
    """Give the whole picture as uint8 (H, W, 3) BGR; of `Pixels` the very same memory.

    Raises:
        InputError: the picture is damaged.
    """
    if isinstance(data, Jpeg):
        return _decode_jpeg(data, (0, 0), Memory())
    if isinstance(data, Planes):
        height, width = data.luma.shape
        planes = [data.luma, *(cv2.resize(part, (width, height)) for part in (data.blue, data.red))]
        return np.asarray(cv2.transform(cv2.merge(planes), to_bgr(data)), dtype=np.uint8)
    return data


def to_jpeg(data: Data, most_width_px: int) -> bytes:
    """Code the whole picture as a JPEG, made smaller where it is wider than so many pixels.

    Raises:
        InputError: the picture is damaged.
    """
    if isinstance(data, Jpeg):
        pixels = _shrink(_decode_jpeg(data, (0, most_width_px), Memory()), most_width_px)
    elif isinstance(data, Planes):
        pixels = to_pixels(replace(data, luma=_shrink(data.luma, most_width_px)))
    else:
        pixels = _shrink(data, most_width_px)
    coded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), JPEG_QUALITY, colorspace="BGR", colorsubsampling="420"
    )
    return coded


def _shrink(pixels: Pixels, most_width_px: int) -> Pixels:
    height, width = pixels.shape[:2]
    if width <= most_width_px:
        return pixels
    size = most_width_px, max(1, round(height * most_width_px / width))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def to_thumbnail(pixels: Pixels, side_px: int) -> bytes:
    """Give the middle square of a picture as a small JPEG file.

    Args:
        pixels: uint8, (H, W, 3), BGR.
        side_px: of the square.
    """
    height, width = pixels.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    way = cv2.INTER_AREA if side > side_px else cv2.INTER_LINEAR
    square = pixels[y : y + side, x : x + side]
    small = cv2.resize(square, (side_px, side_px), interpolation=way)
    return bytes(simplejpeg.encode_jpeg(small, quality=JPEG_QUALITY, colorspace="BGR"))


def to_bgr(planes: Planes) -> npt.NDArray[np.float32]:
    """Give the affine map from Y'CbCr to BGR, (3, 4).

    Source: ITU-R BT.601-7 section 2.5 and BT.709-6 section 3, the equations of luma and of the
    colour differences solved for R, G and B.
    """
    red, blue = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}[planes.matrix]
    green = 1 - red - blue
    black, swing, chroma_swing = (0, 255, 255) if planes.full_range else (16, 219, 224)
    of_luma = np.full(3, 255 / swing)
    of_blue = np.array([2 * (1 - blue), -2 * blue * (1 - blue) / green, 0]) * 255 / chroma_swing
    of_red = np.array([0, -2 * red * (1 - red) / green, 2 * (1 - red)]) * 255 / chroma_swing
    offset = -black * of_luma - 128 * (of_blue + of_red)
    return np.stack([of_luma, of_blue, of_red, offset], axis=1).astype(np.float32)


class Memory:
    """Memory that is kept from picture to picture, as fresh pages cost as much as the decoding."""

    def __init__(self) -> None:
        self._flat = np.empty(0, dtype=np.uint8)

    def give(self, shape: tuple[int, ...]) -> Pixels:
        """Give an array of this shape over what was given last; it grows where it must."""
        count = math.prod(shape)
        if count > self._flat.size:
            self._flat = np.empty(count, dtype=np.uint8)
        return self._flat[:count].reshape(shape)


class Fitter:
    """Writes what the network is to see of a picture straight into the engine's own memory.

    A JPEG is decoded in the smallest size, in eighths, that the network's view can be cut from;
    of video only the view becomes BGR. For one thread.

    Args:
        contract: the resize rule and the input size.

    Attributes:
        decode_ns: what the last `fit` took of its time to decode.
    """

    def __init__(self, contract: Contract) -> None:
        cv2.setNumThreads(1)  # waking others for such small pictures costs more than it brings
        self.decode_ns = 0
        self._contract = contract
        height, width = contract.input_hw
        self._decoded = Memory()
        self._halves = Memory(), Memory()
        self._planes = np.empty((3, height, width), dtype=np.uint8)
        self._merged = np.empty((height, width, 3), dtype=np.uint8)

    def fit(self, data: Data, out: Pixels) -> None:
        """Cut and resize a picture.

        Args:
            data: the picture.
            out: uint8, (input height, input width, 3), BGR; every value is overwritten.

        Raises:
            InputError: the picture is damaged; `out` is undefined then.
        """
        self.decode_ns = 0
        if isinstance(data, Planes):
            self._fit_planes(data, out)
            return
        if isinstance(data, Jpeg):
            started_ns = time.monotonic_ns()
            pixels = _decode_jpeg(data, _least_size(self._contract), self._decoded)
            self.decode_ns = time.monotonic_ns() - started_ns
            is_small = pixels.shape[:2] != (data.height, data.width)
        else:
            pixels, is_small = data, False
        self._resize(self._cut(pixels), out, is_smooth=is_small)

    def _fit_planes(self, planes: Planes, out: Pixels) -> None:
        parts = (planes.luma, planes.blue, planes.red)
        for part, plane in zip(parts, self._planes, strict=True):
            self._resize(self._cut(part), plane, is_smooth=part is not planes.luma)
        cv2.merge(list(self._planes), dst=self._merged)
        cv2.transform(self._merged, to_bgr(planes), dst=out)

    def _cut(self, pixels: Pixels) -> Pixels:
        y, x, height, width = crop_box(pixels.shape[0], pixels.shape[1], self._contract)
        return pixels[y : y + height, x : x + width]

    def _resize(self, box: Pixels, out: Pixels, *, is_smooth: bool) -> None:
        """Resize by halves, which is fast, and the rest by interpolation.

        Args:
            box: what to resize.
            out: overwritten.
            is_smooth: it was made smaller before, so that no detail is left that could alias.
        """
        if box.shape == out.shape:
            out[...] = box
            return
        turn = 0
        while box.shape[0] >= 2 * out.shape[0] and box.shape[1] >= 2 * out.shape[1]:
            height, width = box.shape[0] // 2, box.shape[1] // 2
            half = self._halves[turn % 2].give((height, width, *box.shape[2:]))
            even = box[: 2 * height, : 2 * width]
            cv2.resize(even, (width, height), dst=half, interpolation=cv2.INTER_AREA)
            box, is_smooth, turn = half, True, turn + 1
        shrinks = box.shape[0] > out.shape[0] and box.shape[1] > out.shape[1]
        way = cv2.INTER_AREA if shrinks and not is_smooth else cv2.INTER_LINEAR
        cv2.resize(box, (out.shape[1], out.shape[0]), dst=out, interpolation=way)


def _least_size(contract: Contract) -> tuple[int, int]:
    """Give the least height and width that the network's view can be cut from."""
    if contract.resize == "stretch":
        return contract.input_hw
    return contract.resize_short_px, contract.resize_short_px


def _decode_jpeg(jpeg: Jpeg, least_hw: tuple[int, int], memory: Memory) -> Pixels:
    """Decode a JPEG in the smallest size that is not below a height and a width; 0 is any."""
    least = {"min_height": least_hw[0], "min_width": least_hw[1]}
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg.coded, **least, strict=False)
        out = memory.give((height, width, 3))
        simplejpeg.decode_jpeg(jpeg.coded, "BGR", **least, buffer=out)
    except (ValueError, KeyError) as error:
        raise InputError("a damaged JPEG", hint=DAMAGED) from error
    return out
