"""What a V4L2 device says of itself: its name, what it is for, its modes, and who has it."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.board import SysRoot

TEGRA_DRIVER = "tegra-video"
"""Of a Jetson's CSI sensors, which give raw Bayer pictures here and finished ones through Argus."""

_CAPTURE, _CAPTURE_PLANES, _DEVICE_CAPS = 0x1, 0x1000, 0x80000000
_BUFFER_TYPES = {_CAPTURE: 1, _CAPTURE_PLANES: 9}
_DISCRETE = 1
_MOST_ANSWERS = 256
"""Of one list; a broken driver may never say that it is at its end."""

_CAPABILITY = struct.Struct("=16s32s32s3I12x")
_FORMAT_DESCRIPTION = struct.Struct("=3I32sI16x")
_FRAME_SIZE = struct.Struct("=3I6I8x")
_FRAME_INTERVAL = struct.Struct("=5I6I8x")
_FORMAT = struct.Struct("=I4x200s")


def _request(direction: int, number: int, layout: struct.Struct) -> int:
    """Give the number of an ioctl. Source: Linux include/uapi/asm-generic/ioctl.h, videodev2.h."""
    return direction << 30 | layout.size << 16 | ord("V") << 8 | number


_QUERYCAP = _request(2, 0, _CAPABILITY)
_ENUM_FMT = _request(3, 2, _FORMAT_DESCRIPTION)
_G_FMT = _request(3, 4, _FORMAT)
_S_FMT = _request(3, 5, _FORMAT)
_ENUM_FRAMESIZES = _request(3, 74, _FRAME_SIZE)
_ENUM_FRAMEINTERVALS = _request(3, 75, _FRAME_INTERVAL)


@dataclass(frozen=True, slots=True)
class Mode:
    """One way in which a camera gives pictures.

    Attributes:
        format: its four letters, say "MJPG".
        size: width and height in pixels; the largest, where it gives any size up to that.
        fps: rates that it names, the highest first; empty where it names none.
    """

    format: str
    size: tuple[int, int]
    fps: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """What is behind one /dev/videoN.

    Attributes:
        card: name of the camera.
        driver: name of its kernel driver.
        bus: where it is plugged in.
        buffers: which of V4L2's buffer types it captures into; None where it cannot capture, as
            the second node of a USB camera, which gives metadata.
    """

    card: str
    driver: str
    bus: str
    buffers: int | None


@contextmanager
def open_node(path: Path) -> Iterator[int]:
    """Open a device without waiting, and only for a moment.

    Raises:
        OSError: it is gone, closed to this user, or in use where only one may open it.
    """
    file = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


def read_node(file: int) -> Node:
    """Ask an open device what it is.

    Raises:
        OSError: it is no V4L2 device, or gone.
    """
    answer = bytearray(_CAPABILITY.size)
    fcntl.ioctl(file, _QUERYCAP, answer)
    return parse_capability(bytes(answer))


def parse_capability(answer: bytes) -> Node:
    """Read a `struct v4l2_capability`, 104 bytes."""
    driver, card, bus, _, whole, own = _CAPABILITY.unpack(answer)
    abilities = own if whole & _DEVICE_CAPS else whole  # own: of this node, not of all its camera's
    kinds = [kind for ability, kind in _BUFFER_TYPES.items() if abilities & ability]
    return Node(_text(card), _text(driver), _text(bus), kinds[0] if kinds else None)


def _text(raw: bytes) -> str:
    text = raw.split(b"\0")[0].decode(errors="replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text).strip()


def list_modes(file: int, node: Node) -> tuple[Mode, ...]:
    """Ask an open device for every format, size and rate; MJPG first, then the larger sizes."""
    answers = _answers(file, _ENUM_FMT, _FORMAT_DESCRIPTION, node.buffers or 0)
    codes = [_FORMAT_DESCRIPTION.unpack(answer)[4] for answer in answers]
    modes = [
        Mode(fourcc_text(code), size, _list_rates(file, code, size))
        for code in codes
        for size in _list_sizes(file, code)
    ]
    return tuple(sorted(modes, key=_rank))


def _rank(mode: Mode) -> tuple[bool, str, int]:
    return mode.format != "MJPG", mode.format, -mode.size[0] * mode.size[1]


def fourcc_text(code: int) -> str:
    """Give the four letters of a pixel format; the top bit, which says big-endian, is no letter."""
    letters = (code & 0x7FFFFFFF).to_bytes(4, "little")
    return "".join(chr(byte) if 32 < byte < 127 else "?" for byte in letters.rstrip())


def _list_sizes(file: int, code: int) -> list[tuple[int, int]]:
    sizes = []
    for answer in _answers(file, _ENUM_FRAMESIZES, _FRAME_SIZE, code):
        _, _, kind, *numbers = _FRAME_SIZE.unpack(answer)
        width, height = numbers[:2] if kind == _DISCRETE else (numbers[1], numbers[4])
        sizes.append((width, height))
        if kind != _DISCRETE:  # one range stands for all sizes
            break
    return sizes


def _list_rates(file: int, code: int, size: tuple[int, int]) -> tuple[float, ...]:
    rates = set()
    for answer in _answers(file, _ENUM_FRAMEINTERVALS, _FRAME_INTERVAL, code, *size):
        kind, seconds, per = _FRAME_INTERVAL.unpack(answer)[4:7]
        if seconds and per:
            rates.add(round(per / seconds, 3))
        if kind != _DISCRETE:  # a range begins with its shortest interval
            break
    return tuple(sorted(rates, reverse=True))


def _answers(file: int, request: int, layout: struct.Struct, *asked: int) -> Iterator[bytes]:
    """Ask for entry 0, 1, 2, ... of a list until the driver has no more."""
    for index in range(_MOST_ANSWERS):
        answer = bytearray(layout.size)
        struct.pack_into(f"={1 + len(asked)}I", answer, 0, index, *asked)
        try:
            fcntl.ioctl(file, request, answer)
        except OSError:  # EINVAL is the end, ENOTTY a driver that keeps no such list
            return
        yield bytes(answer)


def is_busy(file: int, node: Node) -> bool:
    """Tell whether another program has the camera, by choosing the format that it has already."""
    answer = bytearray(_FORMAT.size)
    struct.pack_into("=I", answer, 0, node.buffers or 0)
    try:
        fcntl.ioctl(file, _G_FMT, answer)
        fcntl.ioctl(file, _S_FMT, answer)
    except OSError as error:
        return error.errno == errno.EBUSY
    return False


def find_user(device: Path, root: SysRoot) -> str | None:
    """Name a program that has a device open, as "firefox (process 812)".

    None where there is none, and where it belongs to another user, whose files /proc hides.
    """
    try:
        wanted = device.stat()
    except OSError:
        return None
    for process in root.glob("proc/[0-9]*"):
        if process.name != str(os.getpid()) and _has_open(process, wanted):
            name = root.read_text(f"proc/{process.name}/comm") or "a program"
            return f"{name} (process {process.name})"
    return None


def _has_open(process: Path, wanted: os.stat_result) -> bool:
    with suppress(OSError):  # it ended meanwhile, or is not ours to look into
        for file in (process / "fd").iterdir():
            with suppress(OSError):
                if os.path.samestat(file.stat(), wanted):
                    return True
    return False
