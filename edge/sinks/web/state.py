"""What the page is told: the newest of each kind, written once for all who watch."""

from __future__ import annotations

import json
import secrets
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING

from edge.schema import frame_row, snapshot_row
from edge.sinks.web.history import SPAN_S, History
from edge.sinks.web.pictures import Pictures

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.record import FrameRecord, RunInfo, Snapshot

MOST_AGES = 16_384
"""Latencies kept until the next point of the history; more than a second has."""


class Handed:
    """What the loop's thread leaves for the server's: references, each replaced whole.

    Attributes:
        snapshot: the newest.
        latest: the newest record of each source, by its name.
        ages_ns: from arrival to label, of the frames that the server has not looked at.
    """

    __slots__ = ("ages_ns", "latest", "snapshot")

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self.latest: dict[str, FrameRecord] = {}
        self.ages_ns: deque[int] = deque(maxlen=MOST_AGES)


class _Message:
    """One server-sent event; written when the first viewer needs it."""

    def __init__(self, event: str, version: int, row: Callable[[], object]) -> None:
        self.version = version
        self._event = event
        self._row = row
        self._coded: bytes | None = None

    @property
    def coded(self) -> bytes:
        if self._coded is None:
            self._coded = write_event(self._event, self._row())
        return self._coded


def write_event(event: str, data: object) -> bytes:
    """Write a server-sent event.

    Source: HTML Living Standard, section 9.2.5 (parsing an event stream).
    """
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return f"event: {event}\ndata: {text}\n\n".encode()


class LiveState:
    """Turns what the loop handed over into events and pictures. For the server's thread.

    Args:
        handed: filled by the loop's thread.
        describe: says what runs now; the engine may change meanwhile.
    """

    def __init__(self, handed: Handed, describe: Callable[[], RunInfo]) -> None:
        self.pictures = Pictures()
        self.ended = False
        self._handed = handed
        self._describe = describe
        self._info: RunInfo | None = None
        self._snapshot: Snapshot | None = None
        self._history = History()
        self._messages: dict[str, _Message] = {}
        self._version = 0
        self._fixed = {"id": secrets.token_hex(8), "span_s": SPAN_S}
        self._look_at_info()

    @property
    def _elapsed_s(self) -> float:
        return self._snapshot.elapsed_s if self._snapshot else 0.0

    @property
    def sources(self) -> int:
        """Give how many sources there are, 1 before the first snapshot."""
        return len(self._snapshot.sources) if self._snapshot else 1

    def look(self, *, is_watched: bool) -> bool:
        """Take what is new; False when nothing is.

        Args:
            is_watched: whether pictures and guesses are wanted.
        """
        before = self._version
        snapshot = self._handed.snapshot
        if snapshot is not None and snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._look_at_info()
            self._put("snapshot", "snapshot", lambda: snapshot_row(snapshot))
            if self._history.is_due(snapshot.elapsed_s):
                self._history.add(snapshot, self._take_ages())
        if is_watched and self._snapshot is not None:
            for place, source in enumerate(self._snapshot.sources):
                self._look_at_picture(place, source.name)
        return self._version != before

    def end(self) -> None:
        """Tell that the run is over."""
        self.look(is_watched=True)
        self.ended = True

    def news(self, seen: dict[str, int]) -> bytes:
        """Give the events that somebody has not seen, and note that they are seen now.

        Args:
            seen: version by kind, empty for a new viewer; changed.
        """
        parts = []
        for name, message in self._messages.items():
            if seen.get(name, 0) < message.version:
                seen[name] = message.version
                parts.append(message.coded)
        points = self._history.since(seen.get("points", 0))
        if points:
            seen["points"] = self._history.count
            parts.append(write_event("points", points))
        if self.ended:  # last, for the page listens no further
            parts.append(write_event("ended", {"elapsed_s": round(self._elapsed_s, 3)}))
        return b"".join(parts)

    def _look_at_info(self) -> None:
        info = self._describe()
        if info != self._info:
            self._info = info
            self._put("run", "run", lambda: {**self._fixed, **asdict(info)})

    def _look_at_picture(self, place: int, name: str) -> None:
        record = self._handed.latest.get(name)
        if record is not None and self.pictures.show(place, record):
            row = {"place": place}
            self._put(f"frame {place}", "frame", lambda: {**row, "frame": frame_row(record)})

    def _take_ages(self) -> list[int]:
        ages_ns = self._handed.ages_ns
        return [ages_ns.popleft() for _ in range(len(ages_ns))]

    def _put(self, name: str, event: str, row: Callable[[], object]) -> None:
        self._version += 1
        self._messages[name] = _Message(event, self._version, row)
