"""Latency percentiles in constant memory, with less than one percent of error."""

from __future__ import annotations

import math

import numpy as np

from edge.record import Percentiles

FIRST_NS = 100
GROWTH = 1.01
BUCKETS = 2200
"""From 100 ns to 100 ns * 1.01^2200, about five minutes; longer times count as that."""

_LOG_GROWTH = math.log(GROWTH)


class LatencyHistogram:
    """Counts durations in buckets that grow by one percent."""

    def __init__(self) -> None:
        self._counts = [0] * (BUCKETS + 1)  # a list counts three times as fast as an array
        self.count = 0
        self._longest_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration; anything below 100 ns counts as that."""
        if duration_ns <= FIRST_NS:
            bucket = 0
        else:
            bucket = min(BUCKETS, round(math.log(duration_ns / FIRST_NS) / _LOG_GROWTH))
        self._counts[bucket] += 1
        self.count += 1
        self._longest_ns = max(self._longest_ns, duration_ns)

    def percentiles_ms(self, *percents: float) -> tuple[float, ...]:
        """Give for each percentage the smallest duration that so many of all are not above.

        Zero while nothing is counted. Source: the nearest-rank definition of a percentile.
        """
        if self.count == 0:
            return (0.0,) * len(percents)
        ranks = [max(1, math.ceil(self.count * percent / 100)) for percent in percents]
        buckets = np.searchsorted(np.cumsum(self._counts), ranks).tolist()
        longest_ns = max(FIRST_NS, self._longest_ns)
        return tuple(min(FIRST_NS * GROWTH**bucket, longest_ns) / 1e6 for bucket in buckets)

    def percentiles(self) -> Percentiles:
        """Give p50, p90, p99, p99.9 and the longest."""
        p50, p90, p99, p999 = self.percentiles_ms(50, 90, 99, 99.9)
        return Percentiles(p50, p90, p99, p999, self._longest_ns / 1e6)
