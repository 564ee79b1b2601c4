"""One plain line a second, for logs and pipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from edge.sinks.text import counts_text, top_text

if TYPE_CHECKING:
    from edge.record import FrameRecord, Snapshot

EVERY_S = 1.0


class LinesSink:
    """Prints the state of the run once a second.

    Args:
        stream: where to; stays the caller's.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next_s = EVERY_S

    def take_record(self, record: FrameRecord) -> None:
        """Wait for the snapshot."""

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Print one line when a second has gone by."""
        if snapshot.elapsed_s < self._next_s or snapshot.latest is None:
            return
        self._next_s = float(int(snapshot.elapsed_s)) + EVERY_S
        age = snapshot.stages["end_to_end"]
        self._stream.write(
            f"{snapshot.elapsed_s:6.1f} s  {snapshot.fps:6.1f} fps  {top_text(snapshot)}"
            f"  end to end p50 {age.p50_ms:.1f} p90 {age.p90_ms:.1f} p99 {age.p99_ms:.1f} ms"
            f"  {counts_text(snapshot)}\n"
        )
        self._stream.flush()

    def close(self) -> None:
        """Leave the stream to its owner."""
