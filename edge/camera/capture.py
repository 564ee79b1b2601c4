"""Reads a source in its own thread: a camera hands over its newest frame, a file every frame."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from edge.camera.base import Source
    from edge.frame import Frame


class Capture:
    """One slot between a source's thread and the loop.

    A live source overwrites a frame that nobody took and counts it as dropped, so that there is no
    queue and no lag; any other source waits until its frame is taken.

    Args:
        source: open; stays the caller's to close, after this is closed.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.dropped = 0
        self._frame: Frame | None = None
        self._ended = False
        self._stopping = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read_all, name="capture", daemon=True)

    def __enter__(self) -> Self:
        """Start reading."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop reading and wait for the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def ended(self) -> bool:
        """True once the last frame was taken."""
        with self._changed:
            return self._ended and self._frame is None

    def take(self, wait_s: float) -> Frame | None:
        """Give the frame in the slot, waiting at most so long for one.

        Returns:
            None when there is no frame yet, or no more.

        Raises:
            EdgeError: whatever stopped the source, after its last frame was taken.
        """
        with self._changed:
            if self._frame is None and not self._ended and wait_s > 0:
                self._changed.wait(wait_s)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            if frame is None and self._error is not None:
                raise self._error
            return frame

    def _read_all(self) -> None:
        try:
            while (frame := self.source.read()) is not None and self._hand_over(frame):
                pass
        except Exception as error:  # noqa: BLE001 - the owner raises it in its own thread
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _hand_over(self, frame: Frame) -> bool:
        """Put a frame into the slot; False when reading should stop."""
        with self._changed:
            if self.source.info.live:
                self.dropped += self._frame is not None
            else:
                while self._frame is not None and not self._stopping:
                    self._changed.wait()
            if self._stopping:
                return False
            self._frame = frame
            self._changed.notify_all()
            return True
