"""A file played as in life: each frame when it is due, so that what is too slow misses some."""

from __future__ import annotations

import time
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.camera.base import Source
    from edge.frame import Frame

ASSUMED_FPS = 30.0
"""For pictures without time stamps from a source without a rate."""


class PacedSource:
    """Gives the frames of a source that has no clock of its own at the times of their stamps.

    Args:
        source: a file; closed with this.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._stopping = Event()
        self._interval_ns = int(1e9 / (source.info.fps or ASSUMED_FPS))
        self._start: tuple[int, int] | None = None
        self.info = replace(source.info, live=True)

    @property
    def unreadable(self) -> int:
        """As of the source inside."""
        return self._source.unreadable

    def read(self) -> Frame | None:
        """Wait until the next frame is due; one that is late comes at once.

        Raises:
            CameraLostError: as of the source inside.
        """
        frame = None if self._stopping.is_set() else self._source.read()
        if frame is None:
            return None
        stamp_ns = frame.seq * self._interval_ns if frame.stamp_ns is None else frame.stamp_ns
        if self._start is None:
            self._start = stamp_ns, time.monotonic_ns()
        first_stamp_ns, started_ns = self._start
        wait_ns = started_ns + stamp_ns - first_stamp_ns - time.monotonic_ns()
        if self._stopping.wait(max(0, wait_ns) / 1e9):
            return None
        return replace(frame, captured_ns=time.monotonic_ns())

    def stop(self) -> None:
        """End the wait of `read` at once."""
        self._stopping.set()
        self._source.stop()

    def close(self) -> None:
        """Close the source inside."""
        self._source.close()
