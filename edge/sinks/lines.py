"""One plain line a second for each source, for logs and pipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from edge.sinks.pace import Pace
from edge.sinks.text import source_counts_text, state_text, top_text

if TYPE_CHECKING:
    from edge.record import FrameRecord, Snapshot, SourceStatus

EVERY_S = 1.0


class LinesSink:
    """Prints the state of the run once a second.

    Args:
        stream: where to; stays the caller's.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pace = Pace(EVERY_S, first_s=EVERY_S)

    def take_record(self, record: FrameRecord) -> None:
        """Wait for the snapshot."""

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Print when a second has gone by."""
        if not self._pace.is_due(snapshot.elapsed_s):
            return
        several = len(snapshot.sources) > 1
        for source in snapshot.sources:
            name = f"{source.name}  " if several else ""
            self._stream.write(f"{snapshot.elapsed_s:6.1f} s  {name}{_state(source)}\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the stream to its owner."""


def _state(source: SourceStatus) -> str:
    if source.problem or not source.frames:
        return f"{state_text(source)}  {source_counts_text(source)}"
    age = source.age
    return (
        f"{source.fps:6.1f} fps  {top_text(source.latest)}"
        f"  end to end p50 {age.p50_ms:.1f} p90 {age.p90_ms:.1f} p99 {age.p99_ms:.1f} ms"
        f"  {source_counts_text(source)}"
    )
