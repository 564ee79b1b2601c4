"""How long to wait before a lost source or broker is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits that double, with jitter.

    Attributes:
        first_s: the longest wait before the first try.
        most_s: the longest wait before any try.
        calm_s: what was well for so long starts again from `first_s`.
        jitter: gives a number from 0 to 1; half of each wait is left to it, so that a fleet does
            not come back in one moment.
    """

    first_s: float = 0.25
    most_s: float = 15.0
    calm_s: float = 1.0
    jitter: Callable[[], float] = field(default=random.random)

    def wait_s(self, failures: int) -> float:
        """Give the wait after so many failures in a row, 1 or more."""
        doubled_s = self.first_s * 2.0 ** min(failures - 1, 30)
        return min(self.most_s, doubled_s) * (0.5 + 0.5 * self.jitter())
