"""Reads a source in its own thread, for one slot, and opens it again when it is lost."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from edge.backoff import Backoff
from edge.errors import CameraLostError, EdgeError, MissingExtraError, UnavailableError
from edge.frame import Jpeg
from edge.record import SourceCounts

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from edge.camera.base import Source
    from edge.frame import Frame
    from edge.record import SourceState

log = logging.getLogger(__name__)

LEAVE_S = 1.5
"""How long the owner waits for the thread at the end; a hung driver must not hold up the rest."""

STALL_S = 1.0
STALL_INTERVALS = 5
"""A source is stalled after the longer of both without a frame. An interval is the stated one, or
the last one if that was longer: many slow cameras state none."""

OVER = frozenset({"ended", "lost"})


class Capture:
    """One slot between a source's thread and the loop.

    A live source overwrites a frame that nobody took and counts it as dropped, so that there is no
    queue and no lag; any other source waits until its frame is taken.

    Args:
        source: open; None where `reopen` is to open the first one too. Closed with this.
        reopen: opens a live source again after a loss; None for one that is over then.
        name: how the source is told of; that of `source` where it is left away.
        changed: notified when there is a frame or an end; several captures may share it.
        backoff: how long to wait between two tries.
    """

    def __init__(
        self,
        source: Source | None = None,
        *,
        reopen: Callable[[], Source] | None = None,
        name: str | None = None,
        changed: threading.Condition | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        if source is None and reopen is None:
            raise ValueError("a capture wants a source, or a way to open one")
        self.name = name or (source.info.name if source else "source")
        self._source = source
        self._reopen = reopen or _nothing
        self._backoff = backoff or Backoff()
        self._changed = changed or threading.Condition()
        self._leaving = threading.Event()
        self._state: SourceState = "connecting"
        self._problem = ""
        self._error: Exception | None = None
        self._frame: Frame | None = None
        self._counts = SourceCounts()
        self._previous: Frame | None = None
        self._next_seq = 0
        self._came_ns = time.monotonic_ns()
        self._interval_s = 0.0
        self._thread = threading.Thread(target=self._work, name="capture", daemon=True)

    def __enter__(self) -> Self:
        """Start reading."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop reading and wait for the thread, but not for ever."""
        self.leave()
        self.join(time.monotonic() + LEAVE_S)

    def start(self) -> None:
        """Start reading; `leave` and `join` end it."""
        self._thread.start()

    def leave(self) -> None:
        """Ask the thread to end; does not wait."""
        with self._changed:
            self._leaving.set()
            self._changed.notify_all()
            source = self._source
        if source is not None:
            source.stop()

    def join(self, until_s: float) -> None:
        """Wait for the thread, until a time of the monotonic clock at most."""
        self._thread.join(max(0.0, until_s - time.monotonic()))
        if self._thread.is_alive() and self._source is not None:
            log.warning("%s: hangs in its driver; its device is free when edge ends", self.name)

    @property
    def live(self) -> bool:
        """Whether frames come when they come, so that only the newest one counts."""
        source = self._source
        return source.info.live if source else self._reopen is not _nothing

    @property
    def ended(self) -> bool:
        """True once the last frame was taken; `error` says whether something stopped it."""
        with self._changed:
            return self._state in OVER and self._frame is None

    @property
    def error(self) -> Exception | None:
        """What stopped the source, or keeps it away now; None while it is well."""
        return self._error

    @property
    def counts(self) -> SourceCounts:
        """What befell the frames so far."""
        with self._changed:
            source = self._source
            unreadable = self._counts.unreadable + (source.unreadable if source else 0)
            return replace(self._counts, unreadable=unreadable)

    def look(self) -> tuple[SourceState, str]:
        """Give the state and, where it is not live, why; notices a stall."""
        with self._changed:
            silent_s = (time.monotonic_ns() - self._came_ns) / 1e9
            if self._state == "live" and self.live and silent_s > self._stall_s():
                self._state = "stalled"
                self._count(stalls=1)
            if self._state == "stalled":
                return self._state, f"no frame for {silent_s:.0f} s"
            return self._state, self._problem

    def count_unreadable(self) -> None:
        """Count a frame that turned out to be damaged after it was taken."""
        with self._changed:
            self._count(unreadable=1)

    def take(self, wait_s: float) -> Frame | None:
        """Give the frame in the slot, waiting at most so long for one.

        Returns:
            None when there is no frame yet, or no more.
        """
        with self._changed:
            if self._frame is None and self._state not in OVER and wait_s > 0:
                self._changed.wait(wait_s)
            frame, self._frame = self._frame, None
            if frame is not None:
                self._changed.notify_all()
            return frame

    def _work(self) -> None:
        error: Exception | None = None
        try:
            try:
                self._read_until_over()
            finally:
                self._let_go()
        except Exception as failure:  # noqa: BLE001 - the owner looks at it in its own thread
            error = failure
        with self._changed:
            self._error = error
            self._state = "lost" if error else "ended"
            self._problem = self._reason(error) if error else ""
            self._changed.notify_all()

    def _read_until_over(self) -> None:
        failures = 0
        while not self._leaving.is_set():
            opened_ns = time.monotonic_ns()
            try:
                self._read_all(self._connect())
            except EdgeError as error:
                if self._leaving.is_set():
                    return
                if not self._may_pass(error):
                    raise
                calm = (self._came_ns - opened_ns) / 1e9 > self._backoff.calm_s
                failures = 1 if calm else failures + 1
                self._let_go()
                self._tell_loss(error)
            else:
                return
            self._leaving.wait(self._backoff.wait_s(failures))

    def _connect(self) -> Source:
        source = self._source
        if source is None:
            source = self._reopen()
            with self._changed:
                self._source = source
        return source

    def _let_go(self) -> None:
        with self._changed:
            source, self._source = self._source, None
            if source is not None:
                self._count(unreadable=source.unreadable)
        if source is not None:
            source.close()

    def _may_pass(self, error: EdgeError) -> bool:
        """Tell whether to open it again; what worked once is worth any try.

        A source that is not live would begin once more at its first frame, and never end.
        """
        is_file = self._source is not None and not self._source.info.live
        if self._reopen is _nothing or is_file or isinstance(error, MissingExtraError):
            return False
        return self._next_seq > 0 or isinstance(error, (CameraLostError, UnavailableError))

    def _tell_loss(self, error: EdgeError) -> None:
        """Keep the reason for whoever looks, and log it when it is a new one."""
        reason = self._reason(error)
        with self._changed:
            is_new = self._problem != reason
            self._state = "reconnecting" if self._next_seq else "connecting"
            self._problem, self._error = reason, error
        if is_new:
            log.warning("%s: %s. Trying again", self.name, reason)

    def _reason(self, error: Exception) -> str:
        """Give what went wrong, without the name that stands before it anyway."""
        reason = str(error.args[0]) if error.args else type(error).__name__
        return reason.removeprefix(f"{self.name}: ")

    def _read_all(self, source: Source) -> None:
        """Hand over frames until the source ends or the owner leaves."""
        first_seq, self._previous = self._next_seq, None
        while not self._leaving.is_set():
            frame = source.read()
            if frame is None:
                return
            if first_seq:
                frame = replace(frame, seq=first_seq + frame.seq)
            if not self._hand_over(frame, source.info.live):
                return

    def _hand_over(self, frame: Frame, live: bool) -> bool:  # noqa: FBT001 - the source's own word
        """Put a frame into the slot; False when reading should stop."""
        with self._changed:
            self._note_arrival()
            if live:
                self._note_order(frame)
                self._count(dropped=int(self._frame is not None))
            self._next_seq = frame.seq + 1
            if not live:
                while self._frame is not None and not self._leaving.is_set():
                    self._changed.wait()
            if self._leaving.is_set():
                return False
            self._frame = frame
            self._changed.notify_all()
            return True

    def _note_arrival(self) -> None:
        now_ns = time.monotonic_ns()
        silent_s = (now_ns - self._came_ns) / 1e9
        is_first = self._state not in {"live", "stalled"}
        if self._state == "reconnecting":
            self._count(reconnects=1)
            log.info("%s: is back", self.name)
        elif self._state == "live" and self.live:
            self._count(stalls=int(silent_s > self._stall_s()))
        self._state, self._problem, self._error = "live", "", None
        self._came_ns, self._interval_s = now_ns, 0.0 if is_first else silent_s

    def _note_order(self, frame: Frame) -> None:
        """Compare a live frame with the one before; what is odd is counted, not left out."""
        before, self._previous = self._previous, frame
        self._count(dropped=frame.seq - self._next_seq)
        if before is None:
            return
        if _is_same(frame, before):
            self._count(duplicates=1)
        elif frame.stamp_ns is not None and before.stamp_ns is not None:
            self._count(out_of_order=int(frame.stamp_ns < before.stamp_ns))

    def _stall_s(self) -> float:
        fps = self._source.info.fps if self._source else None
        return max(STALL_S, STALL_INTERVALS * max(1 / fps if fps else 0.0, self._interval_s))

    def _count(self, **more: int) -> None:
        for name, count in more.items():
            if count:
                total = getattr(self._counts, name) + count
                self._counts = replace(self._counts, **{name: total})


def _nothing() -> Source:
    raise LookupError("this source is opened once")


def _is_same(frame: Frame, before: Frame) -> bool:
    if frame.stamp_ns is not None and before.stamp_ns is not None:
        return frame.stamp_ns == before.stamp_ns
    if isinstance(frame.data, Jpeg) and isinstance(before.data, Jpeg):
        return frame.data.coded == before.data.coded
    return False
