"""How often an activation has which magnitude, channel by channel, in memory that does not grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Array = npt.NDArray[np.float64]
    Counts = npt.NDArray[np.int64]

BINS = 1024
"""Of a channel; a power of two, because its range grows by merging bins in pairs."""

PLACES = 256
"""Most places of one picture that are counted; the largest magnitude is looked for everywhere."""


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Magnitudes of a whole activation.

    Attributes:
        counts: int64 (BINS,), of equal width from 0 on.
        reach: where the last bin ends.
        largest: the largest magnitude seen, not above `reach`.
    """

    counts: Counts
    reach: float
    largest: float

    def centres(self) -> Array:
        """Give the middle of each bin, float64 (BINS,)."""
        return np.asarray((np.arange(BINS) + 0.5) * (self.reach / BINS), dtype=np.float64)


class ChannelHistograms:
    """Magnitudes of each channel of an activation, added up picture by picture."""

    def __init__(self) -> None:
        self._counts: Counts = np.zeros((0, BINS), dtype=np.int64)
        self._reach: Array = np.zeros(0)
        self.largest: Array = np.zeros(0)
        """The largest magnitude of each channel, float64 (C,)."""

    def add(self, values: Floats) -> None:
        """Count a picture's activation, finite, float32 (1, C, ...)."""
        flat = np.abs(values.reshape(values.shape[1], -1))
        if not len(self.largest):
            channels = len(flat)
            self._counts = np.zeros((channels, BINS), dtype=np.int64)
            self._reach, self.largest = np.zeros(channels), np.zeros(channels)
        largest = flat.max(axis=1).astype(np.float64)
        self.largest = np.maximum(self.largest, largest)
        self._grow(largest)
        sample = flat[:, :: -(-flat.shape[1] // PLACES)]
        widths = np.where(self._reach > 0, self._reach, 1.0) / BINS
        bins = np.minimum((sample / widths[:, None]).astype(np.int64), BINS - 1)
        bins += BINS * np.arange(len(flat))[:, None]
        added = np.bincount(bins.ravel(), minlength=self._counts.size)
        self._counts += added.reshape(self._counts.shape)

    def _grow(self, largest: Array) -> None:
        """Widen the ranges that are too small; those that were empty fit exactly."""
        empty = self._reach == 0
        self._reach[empty] = largest[empty]
        while (small := self._reach < largest).any():
            pairs = self._counts[small].reshape(-1, BINS // 2, 2).sum(axis=2)
            self._counts[small] = np.concatenate([pairs, np.zeros_like(pairs)], axis=1)
            self._reach[small] *= 2

    def join(self, factors: Array) -> Histogram:
        """Give one histogram of all channels, each divided by its factor.

        Args:
            factors: positive, float64 (C,).
        """
        largest = float((self.largest / factors).max(initial=0.0)) or 1.0
        centres = (np.arange(BINS) + 0.5) * (self._reach / factors / BINS)[:, None]
        bins = np.minimum((centres / largest * BINS).astype(np.int64), BINS - 1)
        weights = self._counts.astype(np.float64).ravel()
        counts = np.bincount(bins.ravel(), weights=weights, minlength=BINS)
        return Histogram(np.rint(counts).astype(np.int64), largest, largest)
