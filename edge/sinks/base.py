"""The sink protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edge.record import FrameRecord, Snapshot


class Sink(Protocol):
    """Takes what a run has to tell. Called by the loop's thread; closed once, at the end."""

    def take_record(self, record: FrameRecord) -> None:
        """Take one classified frame.

        Raises:
            EdgeError: it cannot be kept, and the run should end.
        """

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Take the state of the run, a few times a second."""

    def close(self) -> None:
        """Write what is left and let go; a second call does nothing."""
