"""A pipeline in a child process, `gst-launch-1.0`: its pictures, its words, its end."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from edge.camera.gdp import PacketReader
from edge.camera.gst_tools import INSTALL, LAUNCH, find_program
from edge.errors import UnavailableError

if TYPE_CHECKING:
    from edge.camera.gdp import Packet

PIPE_BYTES = 1 << 20
"""What a process may ask for without rights; the kernel's own 64 KiB wake us far more often."""

WORDS_BYTES = 1 << 16
"""How much of what the child says is kept: the last part, as it says last why it gives up."""

PATIENCE_S = ((signal.SIGINT, 0.7), (signal.SIGTERM, 0.5), (signal.SIGKILL, 0.5))
"""How it is asked to end, and how long each is waited for. On SIGINT it lets devices go."""


class Child:
    """One running pipeline; its packets are received by one thread, `stop` is for any.

    The pictures come through a pipe of their own, as some elements print to stdout. It ends by
    itself when we are gone, however that happens: a write to the broken pipe is an error to the
    pipeline (SIGPIPE stays ignored), and its stdin is a pipe that only we hold open, which has the
    kernel send SIGINT when it breaks. The latter reaches a pipeline that writes nothing, and unlike
    PR_SET_PDEATHSIG it does not take the end of the thread that opened for the end of us.

    Args:
        pipeline: its text, without the `gdppay` and `fdsink` at its end.

    Raises:
        UnavailableError: `gst-launch-1.0` is not installed, or cannot be started.
    """

    def __init__(self, pipeline: str) -> None:
        program = find_program(LAUNCH)
        self.came_ns = 0
        self._reader = PacketReader()
        self._words = bytearray()
        self._lock = threading.Lock()
        self._is_stopped = self._is_closed = False
        with ExitStack() as opened:
            self._frames, frames_in = _pipe(opened)
            self._words_out, words_in = _pipe(opened)
            lifeline_out, self._lifeline = _pipe(opened)
            self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            opened.callback(os.close, self._wake)
            with suppress(OSError):  # beyond the limit of all of a user's pipes
                fcntl.fcntl(self._frames, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            text = f"{pipeline} ! gdppay crc-header=true ! fdsink sync=false fd={frames_in}"
            try:
                self._process = subprocess.Popen(  # noqa: S603 # no shell; the text is the person's own
                    # It joins its words by single spaces and parses the outcome, so these words
                    # give it the text unchanged. Without --no-fault it spins after a crash.
                    [program, "--quiet", "--no-fault", "--", *text.split(" ")],
                    stdin=lifeline_out,
                    stdout=words_in,
                    stderr=words_in,
                    pass_fds=(frames_in,),
                    env={**os.environ, "LC_ALL": "C"},
                    start_new_session=True,
                    restore_signals=False,
                )
            except OSError as error:
                raise UnavailableError(f"{LAUNCH}: {error}", hint=INSTALL) from error
            _signal_when_broken(lifeline_out, self._process.pid)
            for theirs in (frames_in, words_in, lifeline_out):
                os.close(theirs)
            opened.pop_all()
        for ours in (self._frames, self._words_out):
            os.set_blocking(ours, False)
        self._poll = select.poll()
        for ours in (self._frames, self._words_out, self._wake):
            self._poll.register(ours, select.POLLIN)

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._is_stopped

    @property
    def words(self) -> str:
        """What it said so far, or the last part of it; may hold a password."""
        return self._words.decode("utf-8", "replace")

    @property
    def code(self) -> int | None:
        """Its exit code, or the signal that ended it as a negative number; None while it runs."""
        return self._process.poll()

    @property
    def is_between(self) -> bool:
        """Whether no packet has begun."""
        return self._reader.is_between

    def receive(self, deadline_s: float) -> Packet | None:
        """Wait for the next packet; None when it ended or was stopped.

        `came_ns` then says on the monotonic clock when the packet's first bytes were there.

        Args:
            deadline_s: on the clock of `time.monotonic`.

        Raises:
            TimeoutError: no whole packet came in time.
            InputError: what came is no packet.
        """
        while not self._is_stopped:
            try:
                count = os.readv(self._frames, [self._reader.space()])
            except BlockingIOError:
                self._wait(deadline_s)
                continue
            if not count:
                break
            if self._reader.is_between:
                self.came_ns = time.monotonic_ns()
            packet = self._reader.advance(count)
            if packet is not None:
                return packet
        return None

    def _wait(self, deadline_s: float) -> None:
        """Wait until there is something to read or to obey; keep what the child says."""
        left_s = deadline_s - time.monotonic()
        ready = dict(self._poll.poll(left_s * 1000)) if left_s > 0 else {}
        if not ready:
            raise TimeoutError
        if self._words_out in ready:
            self._listen()

    def _listen(self) -> bool:
        """Keep what the child said; False when it will say no more."""
        try:
            said = os.read(self._words_out, WORDS_BYTES)
        except BlockingIOError:
            return True
        if not said:
            with suppress(KeyError):
                self._poll.unregister(self._words_out)
            return False
        self._words += said
        del self._words[:-WORDS_BYTES]
        return True

    def stop(self) -> None:
        """Let a `receive` that waits in another thread give up at once, and the child begin to."""
        with self._lock:
            if self._is_closed:
                return
            self._is_stopped = True
            os.eventfd_write(self._wake, 1)
            self._send(signal.SIGINT)

    def close(self) -> None:
        """End the child, in less than two seconds, and reap it; a second call does nothing.

        `words` and `code` then are complete.
        """
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        os.close(self._frames)  # first: it may be waiting to write
        for number, patience_s in PATIENCE_S:
            self._send(number)
            if self._ends_within(patience_s):
                break
        for descriptor in (self._words_out, self._lifeline, self._wake):
            os.close(descriptor)

    def wait(self, patience_s: float) -> None:
        """Let it end by itself, and keep its last words."""
        self._ends_within(patience_s)

    def _ends_within(self, patience_s: float) -> bool:
        """Listen until it has ended, so that a full pipe does not hold it up."""
        deadline_s = time.monotonic() + patience_s
        words = select.poll()
        words.register(self._words_out, select.POLLIN)
        while (left_s := deadline_s - time.monotonic()) > 0:
            if not words.poll(left_s * 1000) or not self._listen():
                break
        try:
            self._process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _send(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def _pipe(opened: ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        opened.callback(os.close, end)
    return ends


def _signal_when_broken(end: int, pid: int) -> None:
    """Have the kernel send SIGINT to a process when the other end of this pipe is gone.

    Source: fcntl(2), F_SETOWN, F_SETSIG and O_ASYNC; pipe(7).
    """
    fcntl.fcntl(end, fcntl.F_SETOWN, pid)
    fcntl.fcntl(end, fcntl.F_SETSIG, signal.SIGINT)
    fcntl.fcntl(end, fcntl.F_SETFL, fcntl.fcntl(end, fcntl.F_GETFL) | os.O_ASYNC)
