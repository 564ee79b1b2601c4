"""A USB camera as a source, through OpenCV's V4L2 reader."""

from __future__ import annotations

import os
import time
from pathlib import Path

import cv2

from edge.camera.base import SourceInfo
from edge.camera.opencv import open_capture
from edge.errors import CameraLostError, UnavailableError
from edge.frame import Frame

WIDTH_PX, HEIGHT_PX, FPS = 1280, 720, 30


class V4L2Source:
    """Gives frames as the camera makes them; see `edge.camera.base.Source`.

    MJPEG is asked for, because raw video of this size does not fit through USB 2; the camera may
    choose otherwise.

    Args:
        name: "0" or "/dev/video0".

    Raises:
        UnavailableError: there is no such camera, or it cannot be opened.
    """

    def __init__(self, name: str) -> None:
        device = Path(name if name.startswith("/dev/") else f"/dev/video{name}")
        _check_device(device)
        index = int(device.name.removeprefix("video"))
        self._capture = open_capture(index, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise UnavailableError(
                f"{device}: cannot be opened as a camera",
                hint="Close other programs that use it, or try the next number",
            )
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, WIDTH_PX)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT_PX)
        self._capture.set(cv2.CAP_PROP_FPS, FPS)
        self._given = 0
        self.unreadable = 0
        self.info = SourceInfo(
            name=str(device),
            live=True,
            size=(
                int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
                int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            ),
            fps=float(self._capture.get(cv2.CAP_PROP_FPS)) or None,
        )

    def read(self) -> Frame | None:
        """Wait for the next frame.

        Raises:
            CameraLostError: the camera stopped giving frames.
        """
        while self._capture.grab():
            captured_ns = time.monotonic_ns()
            ok, pixels = self._capture.retrieve()
            if not ok:
                self.unreadable += 1
                continue
            took_ns = time.monotonic_ns() - captured_ns
            frame = Frame(pixels, self._given, captured_ns, took_ns, self.info.name)
            self._given += 1
            return frame
        raise CameraLostError(
            f"{self.info.name}: stopped giving pictures", hint="Check its plug, then run it again"
        )

    def close(self) -> None:
        """Release the device."""
        self._capture.release()


def _check_device(device: Path) -> None:
    if not device.exists():
        present = ", ".join(str(path) for path in sorted(Path("/dev").glob("video*")))
        raise UnavailableError(
            f"{device}: no such camera",
            hint=f"Plug it in; there is {present}" if present else "Plug it in; there is none now",
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise UnavailableError(
            f"{device}: permission denied",
            hint="Run: sudo usermod -aG video $USER, then log in again",
        )
