"""The sink of `edge run --web`: keeps references for the server, which looks at them by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.sinks.web.access import make_token
from edge.sinks.web.server import Server
from edge.sinks.web.state import Handed, LiveState

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.record import FrameRecord, RunInfo, Snapshot, Summary
    from edge.sinks.listening import Port


class WebSink:
    """Shows the run to whoever opens its page.

    Args:
        port: where others come; closed with this.
        describe: says what runs now; called by the server's thread too.
        token: a person's own; without it one is made where others can reach the address.

    Attributes:
        url: what to type into a browser; it holds the token if that was made here.

    Raises:
        InputError: the token cannot be used.
    """

    def __init__(
        self, port: Port, describe: Callable[[], RunInfo], token: str | None = None
    ) -> None:
        needed = make_token(token, is_loopback=port.is_loopback)
        self.url = f"http://{port.address}/"
        if needed is not None and not token:
            self.url += f"?token={needed}"
        self._handed = Handed()
        self._server = Server(LiveState(self._handed, describe), port.socket, needed)

    def take_record(self, record: FrameRecord) -> None:
        """Keep a reference."""
        handed = self._handed
        handed.latest[record.frame.source] = record
        handed.ages_ns.append(record.times.age_ns)

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a reference.

        Raises:
            Exception: what ended the server, which is a bug.
        """
        self._handed.snapshot = snapshot
        if self._server.error is not None:
            raise self._server.error

    def take_summary(self, summary: Summary) -> None:
        """Let the page end with the figures of the whole run."""
        self._handed.snapshot = summary.final

    def close(self) -> None:
        """Tell all viewers that the run is over and end the server."""
        self._server.close()
