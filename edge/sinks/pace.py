"""Lets through one of the many snapshots of a second."""

from __future__ import annotations


class Pace:
    """Tells when it is time again, by the clock of the run.

    That clock begins anew where a run goes on with another engine; so does this one then, and
    nobody waits until the first part's time is reached again.

    Args:
        every_s: between two times.
        first_s: the first of them, since the start of the run.
    """

    def __init__(self, every_s: float, first_s: float = 0.0) -> None:
        self._every_s = every_s
        self._first_s = self._next_s = first_s
        self._last_s = 0.0

    def is_due(self, elapsed_s: float) -> bool:
        """Tell whether it is time; True once for each time."""
        if elapsed_s < self._last_s:
            self._next_s = self._first_s
        self._last_s = elapsed_s
        if elapsed_s < self._next_s:
            return False
        self._next_s = elapsed_s - elapsed_s % self._every_s + self._every_s
        return True
