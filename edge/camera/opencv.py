"""OpenCV's video reader with its own chatter turned off."""

from __future__ import annotations

import os

import cv2

from edge.image import silence_opencv

SELECT_TIMEOUT_S = 1
"""How long `grab` waits for a V4L2 camera; OpenCV itself would be deaf for ten seconds."""


def open_capture(target: str | int, backend: int) -> cv2.VideoCapture:
    """Open a video file or device; the caller checks `isOpened()`.

    OpenCV and FFmpeg would write their complaints to stderr themselves; ours are one line each.
    """
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(SELECT_TIMEOUT_S))
    silence_opencv()
    return cv2.VideoCapture(target, backend)
