"""OpenCV's video reader with its own chatter turned off."""

from __future__ import annotations

import os

import cv2

from edge.image import silence_opencv


def open_capture(target: str | int, backend: int) -> cv2.VideoCapture:
    """Open a video file or device; the caller checks `isOpened()`.

    OpenCV and FFmpeg would write their complaints to stderr themselves; ours are one line each.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    silence_opencv()
    return cv2.VideoCapture(target, backend)
