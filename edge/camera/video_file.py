"""A video file as a source: every frame, as fast as they are taken."""

from __future__ import annotations

import time
from pathlib import Path

import cv2

from edge.camera.base import SourceInfo
from edge.camera.opencv import open_capture
from edge.errors import CameraLostError, InputError
from edge.files import explain_os_error
from edge.frame import Frame

EXACT_COUNT = frozenset({".avi", ".m4v", ".mov", ".mp4"})
"""Containers that say how many frames they hold; of others FFmpeg guesses it from the duration."""

GUESSED_AT_LEAST = 0.9


class VideoFileSource:
    """Gives each frame of a file once; see `edge.camera.base.Source`.

    Args:
        name: path of a video that FFmpeg reads.

    Raises:
        InputError: the file cannot be read or is no video.
    """

    def __init__(self, name: str) -> None:
        path = Path(name)
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise explain_os_error(path, error) from error
        self._capture = open_capture(name, cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise InputError(
                f"{name}: not a video, or a truncated one",
                hint="Play it elsewhere, or copy it again",
            )
        self._announced = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._given = 0
        self.unreadable = 0
        self.info = SourceInfo(
            name=name,
            live=False,
            size=(
                int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
                int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            ),
            fps=float(self._capture.get(cv2.CAP_PROP_FPS)) or None,
        )

    def read(self) -> Frame | None:
        """Decode the next frame.

        Raises:
            CameraLostError: the file ends before the frames that its header announces.
        """
        started_ns = time.monotonic_ns()
        ok, pixels = self._capture.read()
        if not ok:
            self._check_whole()
            return None
        took_ns = time.monotonic_ns() - started_ns
        frame = Frame(pixels, self._given, started_ns, took_ns, self.info.name)
        self._given += 1
        return frame

    def _check_whole(self) -> None:
        counts_exactly = Path(self.info.name).suffix.lower() in EXACT_COUNT
        least = self._announced if counts_exactly else GUESSED_AT_LEAST * self._announced
        if self._given < least:
            raise CameraLostError(
                f"{self.info.name}: ends after {self._given} of {self._announced} frames,"
                " it is truncated or damaged",
                hint="Copy it again",
            )

    def close(self) -> None:
        """Release the file."""
        self._capture.release()
