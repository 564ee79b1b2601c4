"""A window a source, with its picture and its guesses, for a machine with a screen."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import cv2

from edge.errors import UnavailableError
from edge.image import to_pixels

if TYPE_CHECKING:
    import threading

    import numpy as np
    import numpy.typing as npt

    from edge.record import FrameRecord, Snapshot

ESCAPE, QUIT = 27, ord("q")
WHITE = (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(record: FrameRecord) -> npt.NDArray[np.uint8]:
    """Give a copy of the frame's picture with its guesses and age written over it."""
    picture: npt.NDArray[np.uint8] = to_pixels(record.frame.data).copy()
    scale = max(0.5, picture.shape[0] / 600)
    lines = [f"{guess.label} {guess.p:.0%}" for guess in record.result.top]
    lines.append(f"{record.times.age_ns / 1e6:.1f} ms")
    widths = [cv2.getTextSize(line, FONT, scale, 1)[0][0] for line in lines]
    step_px, margin_px = round(32 * scale), round(14 * scale)
    box = picture[: step_px * len(lines) + margin_px, : max(widths) + 2 * margin_px]
    box //= 3
    for number, line in enumerate(lines, start=1):
        at = (margin_px, step_px * number)
        cv2.putText(picture, line, at, FONT, scale, WHITE, max(1, round(scale)), cv2.LINE_AA)
    return picture


def _can_open_window() -> bool:
    """Try it in a child: Qt ends the whole process when it does not reach the screen."""
    script = "import cv2; cv2.namedWindow('edge')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)  # noqa: S603 - our own words
    return done.returncode == 0


class WindowSink:
    """Shows every classified frame; Q, Escape or closing a window ends the run.

    Args:
        title: what the windows' titles begin with.
        stop: set when the person closes a window.

    Raises:
        UnavailableError: there is no screen, or OpenCV was built without windows.
    """

    def __init__(self, title: str, stop: threading.Event) -> None:
        hint = "Leave --show away, or use a machine with a screen"
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise UnavailableError("--show: there is no screen (DISPLAY is not set)", hint=hint)
        if not _can_open_window():
            raise UnavailableError("--show: no window can be opened on this screen", hint=hint)
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")  # it misses its own fonts
        self._title = title
        self._stop = stop
        self._opened: set[str] = set()

    def take_record(self, record: FrameRecord) -> None:
        """Show the picture."""
        window = f"{self._title} {record.frame.source}"
        if window not in self._opened:
            cv2.namedWindow(window, cv2.WINDOW_NORMAL)
            self._opened.add(window)
        cv2.imshow(window, draw_overlay(record))
        self._look()

    def take_snapshot(self, snapshot: Snapshot) -> None:  # noqa: ARG002 - only the moment counts
        """Look whether the person wants to leave while no picture comes."""
        if self._opened:
            self._look()

    def _look(self) -> None:
        """Draw what is due, and stop where a key or a closed window says so."""
        key = cv2.pollKey()
        closed = any(
            cv2.getWindowProperty(window, cv2.WND_PROP_VISIBLE) < 1 for window in self._opened
        )
        if closed or key in {ESCAPE, QUIT}:
            self._stop.set()

    def close(self) -> None:
        """Close the windows."""
        cv2.destroyAllWindows()
