"""A USB camera as a source, through OpenCV's V4L2 reader: coded pictures stay coded."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from edge.board import SysRoot
from edge.camera.base import SourceInfo
from edge.camera.listing import JOIN_GROUP, find_sibling
from edge.camera.opencv import SELECT_TIMEOUT_S, open_capture
from edge.camera.v4l2_node import (
    TEGRA_DRIVER,
    find_user,
    fourcc_text,
    is_busy,
    open_node,
    read_node,
)
from edge.errors import CameraLostError, InputError, UnavailableError
from edge.frame import Frame
from edge.image import read_jpeg

if TYPE_CHECKING:
    from edge.camera.url import SourceOptions, SourceURL
    from edge.frame import Data, Pixels

log = logging.getLogger(__name__)

FORMAT, SIZE, FPS = "MJPG", (1280, 720), 30.0
"""MJPEG is asked for, because raw video of this size does not fit through USB 2."""

CODED = frozenset({"MJPG", "JPEG"})
RECENT_NS = 10_000_000_000
"""A driver's stamp that is older is not of the monotonic clock: four queued frames of the slowest
camera are younger."""

START_OF_IMAGE, END_OF_IMAGE = b"\xff\xd8", b"\xff\xd9"
MACHINE = SysRoot(Path("/"))


class V4L2Source:
    """Gives frames as the camera makes them; see `edge.camera.base.Source`.

    The camera may choose another format, size or rate than it is asked for, which is logged: as a
    warning where a person asked, not we.
    OpenCV throws the first picture away and does not tell the driver's count of frames, so that
    `Frame.seq` has no gaps.

    Args:
        url: of a device.

    Raises:
        InputError: the device is no camera, or a sensor that Argus must read.
        UnavailableError: there is no such camera now, it is closed to this user, or in use.
    """

    def __init__(self, url: SourceURL) -> None:
        self._device = Path(url.target)
        _check_device(self._device)
        self._timeout_s = url.options.timeout_s
        self._stopped = threading.Event()
        self._given = 0
        self.unreadable = 0
        self._capture = open_capture(str(self._device), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise _explain_refusal(self._device)
        chosen = _choose(self._capture, url.options)
        self._is_coded = chosen in CODED
        if self._is_coded:
            self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        size = (
            int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
        fps = float(self._capture.get(cv2.CAP_PROP_FPS)) or None
        self.info = SourceInfo(name=url.name, live=True, size=size, fps=fps)
        _log_choice(self.info, chosen, url.options)

    def read(self) -> Frame | None:
        """Wait for the next frame; None after `stop`.

        Raises:
            CameraLostError: the camera was unplugged, or was silent for too long.
        """
        waits_until_ns = time.monotonic_ns() + int(self._timeout_s * 1e9)
        while not self._stopped.is_set():
            if self._wait():
                frame = self._take()
                if frame is not None:
                    return frame
                self.unreadable += 1
            if time.monotonic_ns() >= waits_until_ns:
                raise self._explain_silence()
        return None

    def _wait(self) -> bool:
        """Let OpenCV grab a frame; False when none came for `SELECT_TIMEOUT_S`."""
        began_s = time.monotonic()
        if self._capture.grab():
            return True
        if time.monotonic() - began_s > SELECT_TIMEOUT_S / 2:
            return False
        if self._device.exists():
            raise CameraLostError(
                f"{self.info.name}: its driver reports an error",
                hint="Plug it in again; sudo dmesg says more",
            )
        raise CameraLostError(f"{self.info.name}: unplugged", hint="Check its plug")

    def _take(self) -> Frame | None:
        """Give what was grabbed; None where it is no whole picture."""
        now_ns = time.monotonic_ns()
        stamp_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1000) * 1000  # microseconds
        is_monotonic = 0 <= now_ns - stamp_ns < RECENT_NS
        ok, pixels = self._capture.retrieve()
        data = self._to_data(pixels) if ok else None
        if data is None:
            return None
        frame = Frame(
            data,
            self._given,
            stamp_ns if is_monotonic else now_ns,
            time.monotonic_ns() - now_ns,
            self.info.name,
            stamp_ns=stamp_ns or None,
        )
        self._given += 1
        return frame

    def _to_data(self, pixels: Pixels) -> Data | None:
        if not self._is_coded:
            return pixels
        coded = pixels.tobytes()
        end = coded.rfind(END_OF_IMAGE)  # cameras pad what follows it
        if end < 0 or not coded.startswith(START_OF_IMAGE):
            return None
        try:
            return read_jpeg(coded[: end + len(END_OF_IMAGE)])
        except InputError:
            return None

    def _explain_silence(self) -> CameraLostError:
        silence = f"{self.info.name}: no picture for {self._timeout_s:g} s"
        if not self._device.exists():
            return CameraLostError(silence, hint="Check its plug")
        return CameraLostError(
            silence,
            hint="Plug it in again; if it stops once more, keep USB awake:"
            " echo on | sudo tee /sys/bus/usb/devices/*/power/control",
        )

    def stop(self) -> None:
        """Let `read` give up when OpenCV's present wait of a second is over."""
        self._stopped.set()

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


def _choose(capture: cv2.VideoCapture, options: SourceOptions) -> str:
    """Ask for a format, a size and a rate; gives the format that came of it."""
    width, height = options.size or SIZE
    capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*(options.format or FORMAT)))
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    capture.set(cv2.CAP_PROP_FPS, options.fps or FPS)
    return fourcc_text(int(capture.get(cv2.CAP_PROP_FOURCC)))


def _log_choice(info: SourceInfo, chosen: str, options: SourceOptions) -> None:
    """Say what the camera chose itself: loud where a person had chosen."""
    size = info.size or SIZE
    given = _mode_text(chosen, size, info.fps)
    wanted = _mode_text(options.format or chosen, options.size or size, options.fps or info.fps)
    asked = _mode_text(options.format or FORMAT, options.size or SIZE, options.fps or FPS)
    if given != asked:
        level = logging.INFO if given == wanted else logging.WARNING
        log.log(level, "%s: gives %s, asked for %s", info.name, given, asked)


def _mode_text(fourcc: str, size: tuple[int, int], fps: float | None) -> str:
    return f"{fourcc} {size[0]}x{size[1]}" + (f" at {fps:g} fps" if fps else "")


def _check_device(device: Path) -> None:
    """Look at a device before OpenCV does, which only says that it cannot."""
    if not device.exists():
        raise _explain_absence(device)
    if not os.access(device, os.R_OK | os.W_OK):
        raise UnavailableError(f"{device}: permission denied", hint=JOIN_GROUP)
    try:
        with open_node(device) as file:
            node = read_node(file)
    except OSError as error:
        raise _explain_os_error(device, error) from error
    if node.driver == TEGRA_DRIVER:
        raise InputError(
            f"{device}: a CSI sensor, whose raw pictures must be developed first",
            hint="Give csi://0, or the number that edge cameras tells",
        )
    if node.buffers is None:
        sibling = find_sibling(device, MACHINE)
        raise InputError(
            f"{device}: gives no pictures ({node.card})",
            hint=f"Give {sibling}, which is the same camera" if sibling else "Try edge cameras",
        )


def _explain_absence(device: Path) -> UnavailableError:
    present = ", ".join(str(path) for path in sorted(Path("/dev").glob("video*")))
    return UnavailableError(
        f"{device}: no such camera",
        hint=f"Plug it in; there is {present}" if present else "Plug it in; there is none now",
    )


def _explain_os_error(device: Path, error: OSError) -> UnavailableError:
    if error.errno == errno.EBUSY:
        return _explain_busy(device)
    if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
        return _explain_absence(device)
    return UnavailableError(f"{device}: cannot be opened as a camera", hint="Try edge cameras")


def _explain_refusal(device: Path) -> UnavailableError:
    """Say why OpenCV could not open a camera that gives pictures."""
    try:
        with open_node(device) as file:
            if is_busy(file, read_node(file)):
                return _explain_busy(device)
    except OSError as error:
        return _explain_os_error(device, error)
    return UnavailableError(
        f"{device}: OpenCV reads none of its formats", hint="edge cameras lists them"
    )


def _explain_busy(device: Path) -> UnavailableError:
    user = find_user(device, MACHINE)
    return UnavailableError(
        f"{device}: used by {user or 'another program'}", hint="Close that program"
    )
