"""Writes lines in a thread of its own, so that a slow disk never stalls who offers them."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.sinks.line_file import Lines

WAITING_BYTES = 4_000_000
"""Four minutes of JSON lines at thirty frames a second."""

EVERY_S = 0.05
"""The thread looks for lines so often; to wake it for each would cost the loop more than to write
the line itself, for the thread may then run in its place."""

CLOSE_S = 1.0
"""What is left at the end may take so long; a run ends within two seconds of Ctrl-C."""

_LOGGER = logging.getLogger(__name__)


class BackgroundLines:
    """Takes lines without waiting; what comes while too much waits is dropped and counted.

    Lines and not records: making a line takes as long in any thread, for one alone runs Python at a
    time, and a record would keep its whole picture waiting with it. The write, which may take
    seconds, is what lets other threads run.

    Args:
        lines: where to; closed with this.
        name: of it, for warnings and metrics.
        most_bytes: that wait at any time.
    """

    def __init__(self, lines: Lines, name: str, most_bytes: int = WAITING_BYTES) -> None:
        self._lines = lines
        self.name = name
        self._most_bytes = most_bytes
        self._waiting: deque[bytes] = deque()
        # Each is written by one thread alone, so that no lock is needed.
        self._offered_bytes = self._written_bytes = 0
        self._offered = self._written = 0
        self._failure: BaseException | None = None
        self._told = False
        self._closing = threading.Event()
        self.dropped = 0
        self._thread = threading.Thread(target=self._write_all, name="rows", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Offer one line; never waits.

        Raises:
            EdgeError: an earlier line could not be written.
            BrokenPipeError: the reader went away.
        """
        self._tell_failure()
        if self._offered_bytes - self._written_bytes + len(line) > self._most_bytes:
            if not self.dropped:
                _LOGGER.warning("%s: cannot be written fast enough, lines are dropped", self.name)
            self.dropped += 1
            return
        self._offered_bytes += len(line)
        self._offered += 1
        self._waiting.append(line)

    def close(self, within_s: float = CLOSE_S) -> None:
        """Write what is left and close the file.

        Who hangs longer in a write is left to its fate, and what it did not write is dropped: the
        thread ends with the process, for nothing can call it back.

        Raises:
            EdgeError: a line could not be written, and `write` has not said so yet.
            BrokenPipeError: the reader went away.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        self._thread.join(within_s)
        if self._thread.is_alive():
            self.dropped += self._offered - self._written
        else:
            self._lines.close()
        if self.dropped:
            total = self._written + self.dropped
            _LOGGER.warning("%s: %d of %d lines are missing", self.name, self.dropped, total)
        self._tell_failure()

    def _tell_failure(self) -> None:
        """Raise, once, in the owner's thread what ended ours."""
        if self._failure is not None and not self._told:
            self._told = True
            raise self._failure

    def _write_all(self) -> None:
        is_last = False
        try:
            while not is_last:
                is_last = self._closing.wait(EVERY_S)
                self._write_waiting()
        except Exception as failure:  # noqa: BLE001 - the owner raises it in its own thread
            self._failure = failure

    def _write_waiting(self) -> None:
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if lines:
            self._lines.write(b"".join(lines))
            self._written_bytes += sum(map(len, lines))
            self._written += len(lines)
