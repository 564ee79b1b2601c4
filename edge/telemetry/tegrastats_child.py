"""NVIDIA's `tegrastats` as a source of power: a child that prints a line each interval."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from edge.record import Unavailable
from edge.telemetry.meter import PowerSample
from edge.telemetry.rails import list_totals
from edge.telemetry.tegrastats import parse_tegrastats

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

    from edge.telemetry.rails import Total

PROGRAM = "tegrastats"
PATIENCE_S = 1.0
WORDS_CHARACTERS = 120
CPU_CLOCK_OF_PROCESS = 2


class TegrastatsChild:
    """One running program. It is never started again: when it ends, `ended` says how.

    When we are killed it ends by itself at its next line, which nobody takes.

    Args:
        process: prints to a pipe, in a process group of its own: Ctrl-C is ours to answer.
    """

    not_connected: tuple[str, ...] = ()  # it prints them all as NC

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._is_stopped = False
        self._totals: tuple[Total, ...] = ()
        self._names: tuple[str, ...] = ()
        self.ended: Unavailable | None = None

    @classmethod
    def start(cls, interval_ms: int) -> Self | Unavailable:
        """Start the program, or say why it cannot be."""
        program = shutil.which(PROGRAM)
        if program is None:
            return Unavailable(f"{PROGRAM} is not on this machine: it comes with JetPack")
        try:
            process = subprocess.Popen(  # noqa: S603 # a fixed program, no shell
                [program, "--interval", str(interval_ms)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            return Unavailable(f"{PROGRAM} cannot be started: {error}")
        return cls(process)

    def elsewhere_ns(self) -> int:
        """Give the program's CPU time so far; 0 when it is gone.

        Source: clock_getcpuclockid(3); the kernel's include/linux/posix-timers.h makes a clock's
        number of a process's like this.
        """
        try:
            return time.clock_gettime_ns(~self._process.pid << 3 | CPU_CLOCK_OF_PROCESS)
        except OSError:
            return 0

    def samples(self) -> Iterator[PowerSample]:
        """Give a sample a line, until the program ends; it is then reaped."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        words = ""
        with self._process.stdout as lines:
            for line in lines:
                sample = self._read(line, time.monotonic_ns())
                if sample is not None:
                    yield sample
                else:
                    words = line.strip() or words
        code = self._process.wait()
        if not self._is_stopped:
            self.ended = Unavailable(_explain_end(code, words))

    def _read(self, line: str, now_ns: int) -> PowerSample | None:
        """Read a line; None for words that are no line of figures.

        The totals are those of the first line that makes one: a line that lacks a rail is no reason
        to take another sum for the total.
        """
        parsed = parse_tegrastats(line)
        if not parsed.is_tegrastats:
            return None
        rails_mw: dict[str, float | Unavailable] = {
            rail.name: float(rail.power_mw) for rail in parsed.rails
        }
        self._totals = self._totals or list_totals(rails_mw)
        self._names = tuple(dict.fromkeys((*self._names, *rails_mw)))
        missing = Unavailable(f"was not in the last line of {PROGRAM}")
        all_mw = {name: rails_mw.get(name, missing) for name in self._names}
        return PowerSample(now_ns, 0, all_mw, self._totals)

    def stop(self) -> None:
        """End the program and what it may have started, in a second."""
        self._is_stopped = True
        if self.ended is not None:
            return  # and its number may be another's by now
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE_S)


def _explain_end(code: int, words: str) -> str:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    said = f': "{words[:WORDS_CHARACTERS]}"' if words else ""
    return f"{PROGRAM} {how}{said}"
