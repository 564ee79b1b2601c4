"""Tells systemd that the run is up and goes on, so that one that hangs is started again."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from edge.sinks.pace import Pace
from edge.sinks.text import counts_text, state_text

if TYPE_CHECKING:
    from edge.record import FrameRecord, Snapshot

STATUS_EVERY_S = 1.0
MOST_STATUS_CHARS = 500

TRYING = frozenset({"connecting", "reconnecting"})
"""Where a source's own thread tries again and again; a stalled one may hang in its driver."""


class SystemdSink:
    """Speaks sd_notify(3): ready at the first snapshot, alive while the run gets on, stopping.

    The first snapshot comes when engine and loop work, whether or not a camera gives pictures yet:
    a camera that is off is awaited, and is no reason to start again. Afterwards the run is alive
    while frames are classified, or a source that is away is tried again. When the engine or the
    loop hangs there are no more snapshots; when a driver hangs there are no more frames. systemd
    then ends the process after WatchdogSec.

    Args:
        address: of systemd's socket, a path or an abstract name that begins with @.

    Source: sd_notify(3), "Well-known assignments".
    """

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)  # noqa: FBT003 - the standard library's own
        self._is_ready = False
        self._frames = 0
        self._pace = Pace(STATUS_EVERY_S)

    def take_record(self, record: FrameRecord) -> None:
        """Wait for the snapshot."""

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Say that the run is alive if it is, and once a second how it goes."""
        words = []
        if not self._is_ready:
            self._is_ready = True
            words.append("READY=1")
        is_trying = any(source.state in TRYING for source in snapshot.sources)
        if snapshot.frames != self._frames or is_trying:
            words.append("WATCHDOG=1")
        self._frames = snapshot.frames
        if self._pace.is_due(snapshot.elapsed_s):
            words.append(f"STATUS={status_text(snapshot)}")
        if words:
            self._send("\n".join(words))

    def close(self) -> None:
        """Say that the end was meant; a second call does nothing."""
        if self._socket.fileno() >= 0:
            self._send("STOPPING=1")
            self._socket.close()

    def _send(self, text: str) -> None:
        with suppress(OSError):  # systemd is busy or gone, and the next word says the same
            self._socket.sendto(text.encode(errors="replace"), self._address)


def status_text(snapshot: Snapshot) -> str:
    """Say in one line how the run goes, and which sources are not live."""
    words = [f"{snapshot.fps:.1f} fps, {counts_text(snapshot)}"]
    words += [
        f"{source.name}: {state_text(source)}" for source in snapshot.sources if source.problem
    ]
    return " ".join("; ".join(words).split())[:MOST_STATUS_CHARS]
