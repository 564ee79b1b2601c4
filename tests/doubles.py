"""Doubles that a test drives: a source that plays a generator, a sink that keeps all it gets."""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
from typing import TYPE_CHECKING

from edge.camera.base import SourceInfo
from edge.camera.capture import Capture
from edge.camera.round_robin import RoundRobin
from edge.engine.null import NullEngine
from edge.loop import LoopOptions, run_loop
from edge.record import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge.frame import Frame

DEADLINE_S = 30
"""How long a test waits for an event before it fails."""

NO_POWER = Unavailable("not measured")


class ScriptedSource:
    """A source that plays what a test's generator yields, raises, or waits for."""

    def __init__(self, frames: Iterable[Frame], *, live: bool) -> None:
        self._frames = iter(frames)
        self.info = SourceInfo("scripted", live=live, size=(64, 48), fps=None)
        self.unreadable = 0

    def read(self) -> Frame | None:
        return next(self._frames, None)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


class KeepingSink:
    """Keeps what it is told; `told` is set by the first snapshot."""

    def __init__(self) -> None:
        self.records = []
        self.snapshots = []
        self.told = threading.Event()

    def take_record(self, record) -> None:
        self.records.append(record)

    def take_snapshot(self, snapshot) -> None:
        self.snapshots.append(snapshot)
        self.told.set()

    def close(self) -> None:
        pass

    @property
    def seqs(self):
        return [record.frame.seq for record in self.records]


def reading(*sources, **options):
    """Give the captures of sources, to be entered."""
    changed = threading.Condition()
    captures = [Capture(source, changed=changed, **options) for source in sources]
    return RoundRobin(captures, changed)


def run_source(source, model, *, engine=None, sinks=None, **options):
    """Run a source through the loop; gives the summary and the first sink."""
    sinks = [KeepingSink()] if sinks is None else sinks
    with reading(source) as captures:
        summary = run_loop(
            captures,
            engine or NullEngine(model),
            model.contract,
            sinks,
            LoopOptions(read_power=lambda: NO_POWER, **options),
        )
    return summary, sinks[0]


def die_while_answering() -> None:
    """Be the work of a child, see `edge.engine.child`, that is killed while it answers."""
    pipe = sys._getframe(1).f_locals["parent"].fileno()
    os.write(pipe, struct.pack("!i", 100) + b"half")
    signal.raise_signal(signal.SIGKILL)


def work_for_a_parent(progress: Callable[[str, int, int], bool]) -> None:
    """Be the work of a child, see `edge.engine.child`, that goes on while somebody listens."""
    while progress("working", 1, 2):
        pass
    sys.stdout.write("nobody listens\n")
