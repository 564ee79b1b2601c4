"""The last minutes of a run, a point a second, for whoever opens the page later."""

from __future__ import annotations

import statistics
from collections import deque
from typing import TYPE_CHECKING

from edge.record import BoardReading, PowerReading
from edge.sinks.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.record import Snapshot
    from edge.schema import Row

SPAN_S = 300
EVERY_S = 1.0
NOT_READ = BoardReading({})


class History:
    """Keeps a bounded number of points.

    Attributes:
        count: points made so far, those forgotten included.
    """

    def __init__(self) -> None:
        self.count = 0
        self._points: deque[Row] = deque(maxlen=round(SPAN_S / EVERY_S))
        self._pace = Pace(EVERY_S, first_s=EVERY_S)
        self._before: dict[str, int] = {}

    def is_due(self, elapsed_s: float) -> bool:
        """Tell whether it is time for the next point; True once for each."""
        return self._pace.is_due(elapsed_s)

    def add(self, snapshot: Snapshot, ages_ns: Sequence[int]) -> None:
        """Make a point of what came since the one before.

        Args:
            snapshot: now.
            ages_ns: from a picture's arrival to its label, of the frames since then.
        """
        power = snapshot.power
        board = snapshot.board if isinstance(snapshot.board, BoardReading) else NOT_READ
        self._points.append({
            "elapsed_s": round(snapshot.elapsed_s, 3),
            "fps": round(snapshot.fps, 3),
            "age_p50_ms": round(statistics.median(ages_ns) / 1e6, 3) if ages_ns else None,
            "age_max_ms": round(max(ages_ns) / 1e6, 3) if ages_ns else None,
            "power_mw": round(power.power_mw, 3) if isinstance(power, PowerReading) else None,
            "temperature_c": max(board.temperatures_c.values(), default=None),
            "throttling": list(board.throttling),
            **self._since_before(snapshot),
        })  # fmt: skip
        self.count += 1

    def since(self, count: int) -> list[Row]:
        """Give the points after so many, as far as they are kept."""
        new = min(self.count - count, len(self._points))
        return list(self._points)[len(self._points) - new :]

    def _since_before(self, snapshot: Snapshot) -> dict[str, int]:
        """Give how much the counters grew."""
        now = {
            "dropped": snapshot.dropped,
            "reconnects": sum(source.counts.reconnects for source in snapshot.sources),
            "throttles": getattr(snapshot.board, "throttles", 0),
        }
        grown = {name: count - self._before.get(name, 0) for name, count in now.items()}
        self._before = now
        return grown
