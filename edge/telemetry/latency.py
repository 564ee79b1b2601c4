"""Latency percentiles in constant memory, with less than half a percent of error."""

from __future__ import annotations

import math

import numpy as np

from edge.record import Percentiles

BITS = 7
"""Of a duration behind its first one; what follows is cut off."""

EXACT_NS = 2 << BITS
"""Shorter durations have a bucket each."""

LONGEST_NS = (1 << 43) - 1
"""Two hours and a half; longer durations count as that in percentiles."""


def _place_of(duration_ns: int) -> int:
    shift = duration_ns.bit_length() - BITS - 1
    return duration_ns if shift <= 0 else (shift << BITS) + (duration_ns >> shift)


PLACES = _place_of(LONGEST_NS) + 1


class LatencyHistogram:
    """Counts durations in buckets of which each is less than one percent wide.

    Source: Gil Tene's HdrHistogram, whose buckets are the leading bits of a number.
    """

    def __init__(self) -> None:
        self._counts = [0] * PLACES  # a list counts three times as fast as an array
        self._longest_ns = 0

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return sum(self._counts)

    def add(self, duration_ns: int) -> None:
        """Count one duration; a negative one counts as none."""
        # `_place_of` again: this is called eight times a frame, and a call costs as much as it.
        shift = duration_ns.bit_length() - BITS - 1
        place = duration_ns if shift <= 0 else (shift << BITS) + (duration_ns >> shift)
        if 0 <= place < PLACES:
            self._counts[place] += 1
        else:
            self._counts[0 if duration_ns < 0 else -1] += 1
        self._longest_ns = max(self._longest_ns, duration_ns)

    def percentiles_ms(self, *percents: float) -> tuple[float, ...]:
        """Give for each percentage the smallest duration that so many of all are not above.

        Zero while nothing is counted. Source: the nearest-rank definition of a percentile.
        """
        counts = np.cumsum(self._counts)
        total = int(counts[-1])
        if total == 0:
            return (0.0,) * len(percents)
        ranks = [max(1, math.ceil(total * percent / 100)) for percent in percents]
        places = np.searchsorted(counts, ranks).tolist()
        return tuple(min(_middle_ns(place), self._longest_ns) / 1e6 for place in places)

    def percentiles(self) -> Percentiles:
        """Give p50, p90, p99, p99.9 and the longest."""
        p50, p90, p99, p999 = self.percentiles_ms(50, 90, 99, 99.9)
        return Percentiles(p50, p90, p99, p999, self._longest_ns / 1e6)


def _middle_ns(place: int) -> int:
    """Give the middle of a bucket."""
    if place < EXACT_NS:
        return place
    shift = (place >> BITS) - 1
    return ((place - (shift << BITS)) << shift) + (1 << shift >> 1)
