"""TensorRT's calibration cache: the scale of each tensor as text, for builders up to 10.

The first line names TensorRT's version and its way to calibrate; each other one is `NAME: HEX`, the
hex digits being a big-endian IEEE 754 float32, the distance of two of the 127 levels beside 0.
Source: the files that TensorRT 8 and 10 write; NvInferVersion.h, NV_TENSORRT_VERSION.
"""

from __future__ import annotations

import math
import re
import struct
from typing import TYPE_CHECKING

from edge.errors import CalibrationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALGORITHM = "EntropyCalibration2"
"""How TensorRT's own calibration chooses its ranges; the DLA takes no other."""

HEADER = re.compile(r"TRT-\w+-(\w+)")
LINE = re.compile(r"(.+): ([0-9a-fA-F]{1,8})")


def format_cache(scales: Mapping[str, float], version: str) -> bytes:
    """Give the bytes that a builder of this version reads.

    Args:
        scales: tensor to its scale; a name holds no line break.
        version: of TensorRT, "10.3.0"; a builder may pass over the cache of another one.
    """
    lines = [f"{name}: {struct.pack('>f', scale).hex()}" for name, scale in scales.items()]
    return "\n".join([f"TRT-{_number(version)}-{ALGORITHM}", *lines, ""]).encode()


def parse_cache(data: bytes, origin: str) -> dict[str, float]:
    """Give the scale of each tensor.

    Args:
        data: of a file.
        origin: the file, for the error's line.

    Raises:
        CalibrationError: this is no cache, is cut short, or comes from another way to calibrate;
            names the line.
    """
    hint = "Write it again with edge quantize --tensorrt-cache"
    try:
        first, *lines = data.decode().split("\n")
    except UnicodeDecodeError:
        first, lines = "", []
    header = HEADER.fullmatch(first.strip())
    if header is None:
        raise CalibrationError(f"{origin}: is no calibration cache of TensorRT", hint=hint)
    if header[1] != ALGORITHM:
        raise CalibrationError(f"{origin}: is of {header[1]}, not of {ALGORITHM}", hint=hint)
    if lines[-1:] != [""]:
        raise CalibrationError(f"{origin}: is cut short", hint=hint)
    scales = {}
    for number, line in enumerate(lines[:-1], start=2):
        entry = LINE.fullmatch(line.rstrip())
        scale = _read(entry[2]) if entry else math.nan
        if entry is None or not 0 <= scale < math.inf:
            raise CalibrationError(f"{origin}, line {number}: is no tensor with a scale", hint=hint)
        scales[entry[1]] = scale
    return scales


def require_tensors(scales: Mapping[str, float], tensors: Iterable[str], origin: str) -> None:
    """Refuse the cache of another network, which TensorRT would take without a word.

    Raises:
        CalibrationError: names the first tensor without a scale.
    """
    missing = [name for name in tensors if name not in scales]
    if missing:
        raise CalibrationError(
            f"{origin}: is of another network, it has no scale for {missing[0]}",
            hint="Write it again for this one with edge quantize --tensorrt-cache",
        )


def _number(version: str) -> int:
    """Give 100300 for 10.3.0 and 8601 for 8.6.1, as TensorRT counts."""
    major, minor, patch = (int(part) for part in version.split(".")[:3])
    return major * (10000 if major >= 10 else 1000) + minor * 100 + patch


def _read(digits: str) -> float:
    (scale,) = struct.unpack(">f", bytes.fromhex(digits.zfill(8)))
    return float(scale)
