"""Takes frames from several captures in turn, so that no source starves another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge.camera.capture import LEAVE_S

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from types import TracebackType

    from typing_extensions import Self

    from edge.camera.capture import Capture
    from edge.frame import Frame


class RoundRobin:
    """The captures of a run, read from the start of a `with` block to its end.

    Args:
        captures: not started yet; at least one.
        changed: the condition that all of them were made with.
    """

    def __init__(self, captures: Sequence[Capture], changed: threading.Condition) -> None:
        self.captures = tuple(captures)
        self._changed = changed
        self._next = 0

    def __enter__(self) -> Self:
        """Start reading them all."""
        for capture in self.captures:
            capture.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop them all at once, and wait for their threads together."""
        for capture in self.captures:
            capture.leave()
        until_s = time.monotonic() + LEAVE_S
        for capture in self.captures:
            capture.join(until_s)

    @property
    def ended(self) -> bool:
        """True once the last frame of each was taken."""
        return all(capture.ended for capture in self.captures)

    @property
    def live(self) -> bool:
        """Whether any of them is live."""
        return any(capture.live for capture in self.captures)

    def take(self, wait_s: float) -> tuple[int, Frame] | None:
        """Give the next frame and the number of its capture, waiting at most so long for one.

        Each capture that has a frame has its turn before any has another.
        """
        until_s = time.monotonic() + wait_s
        with self._changed:
            while True:
                for step in range(len(self.captures)):
                    number = (self._next + step) % len(self.captures)
                    frame = self.captures[number].take(0)
                    if frame is not None:
                        self._next = number + 1
                        return number, frame
                left_s = until_s - time.monotonic()
                if left_s <= 0 or self.ended:
                    return None
                self._changed.wait(left_s)
