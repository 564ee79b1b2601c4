"""Activation ranges from a stream of tensors, in memory that does not grow with it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.model.weights import LEVELS

BINS = 2048
_FIRST_REACH = 1e-3 * 2.0**-64  # a tensor that stays below counts as zero
_CANDIDATES = 128


class RangeObserver:
    """A histogram of magnitudes whose reach doubles when a larger value comes."""

    def __init__(self) -> None:
        self.largest = 0.0
        self._reach = _FIRST_REACH
        self._counts = np.zeros(BINS, dtype=np.int64)

    def add(self, values: npt.NDArray[np.float32]) -> None:
        """Count the magnitudes of a tensor of any shape; all must be finite."""
        magnitudes = np.abs(values).ravel()
        largest = float(magnitudes.max(initial=0.0))
        self.largest = max(self.largest, largest)
        while self._reach < largest:
            pairs = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts = np.concatenate([pairs, np.zeros(BINS // 2, dtype=np.int64)])
            self._reach *= 2
        bins = np.minimum((magnitudes * (BINS / self._reach)).astype(np.int64), BINS - 1)
        self._counts += np.bincount(bins, minlength=BINS)

    def best_range(self) -> float:
        """Give the range whose symmetric int8 has the least squared error.

        Values above the range are clipped to it; below it the rounding error is uniform, with
        variance step^2 / 12. A tensor that was always zero gets the range 1.
        """
        if self.largest <= _FIRST_REACH:
            return 1.0
        width = self._reach / BINS
        centres = (np.arange(BINS) + 0.5) * width
        counts = self._counts.astype(np.float64)
        counts[0] = 0.0  # zeros, which most of a ReLU's output is, have no rounding error
        best, least = self.largest, np.inf
        for candidate in np.linspace(self.largest / _CANDIDATES, self.largest, _CANDIDATES):
            clipped = np.maximum(centres - candidate, 0.0)
            rounding = (candidate / LEVELS) ** 2 / 12
            error = float((counts * np.where(clipped > 0, clipped**2, rounding)).sum())
            if error < least:
                best, least = float(candidate), error
        return best
