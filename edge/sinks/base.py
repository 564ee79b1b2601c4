"""The sink protocol, and what a sink may take beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge.record import FrameRecord, Snapshot, Summary


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


@runtime_checkable
class SummaryTaker(Protocol):
    """A sink that is also told how the whole run went, before it is closed."""

    def take_summary(self, summary: Summary) -> None:
        """Take the whole run."""


def tell_summary(sinks: Iterable[Sink], summary: Summary) -> None:
    """Hand the summary to those sinks that take one."""
    for sink in sinks:
        if isinstance(sink, SummaryTaker):
            sink.take_summary(summary)
