"""The arithmetic of figures: intervals of shares and means, divergence, calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float64]

Z95 = 1.959963984540054
"""How many standard deviations from the middle 95 % of a normal distribution end."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the interval that it lies in at 95 % confidence.

    Attributes:
        value: what was measured.
        low: lower end.
        high: upper end.
    """

    value: float
    low: float
    high: float


def wilson_interval(hits: int, trials: int) -> Estimate:
    """Give a share with its 95 % Wilson score interval, which never leaves 0 to 1.

    Args:
        hits: 0 to `trials`.
        trials: at least one.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927), without correction for continuity.
    """
    share, z2 = hits / trials, Z95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    # Rounding may push an end past the share that it holds, where that is 0 or 1.
    return Estimate(share, max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)))


def paired_difference(only_one: int, only_other: int, trials: int) -> Estimate:
    """Give how much more often one is right than another on the same trials, -1 to 1.

    Args:
        only_one: trials that one alone got right.
        only_other: those that the other one alone got right.
        trials: all of them, at least one.

    Source: Agresti and Min, "Simple improved confidence intervals for comparing matched
    proportions", Statistics in Medicine 24 (2005): half a trial more of each of the four kinds,
    without which the interval of two that never differ is a point.
    """
    difference, more = only_one - only_other, trials + 2
    half = Z95 * math.sqrt(only_one + only_other + 1 - difference**2 / more) / more
    value, middle = difference / trials, difference / more
    return Estimate(
        value, max(-1.0, min(middle - half, value)), min(1.0, max(middle + half, value))
    )


def log_softmax(scores: npt.NDArray[np.floating]) -> Array:
    """Give the natural logarithms of the probabilities that scores, (..., C), stand for."""
    shifted = scores.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def divergence_nats(wanted: Array, given: Array) -> Array:
    """Give the Kullback-Leibler divergence of `given` from `wanted`, one value a row.

    Args:
        wanted: natural logarithms of probabilities, (..., C).
        given: the same; finite wherever `wanted` is.
    """
    return np.asarray((np.exp(wanted) * (wanted - given)).sum(axis=-1))


class RunningMean:
    """The mean of values that are not kept, with its 95 % interval.

    Source: Welford, "Note on a method for calculating corrected sums of squares and products",
    Technometrics 4 (1962). The interval is the normal one, for which some ten values are few.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean = self._squares = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.count += 1
        step = value - self._mean
        self._mean += step / self.count
        self._squares += step * (value - self._mean)

    def estimate(self) -> Estimate | None:
        """Give the mean; None of no value. Of a single one the interval is endless."""
        if not self.count:
            return None
        half = math.inf
        if self.count > 1:
            half = Z95 * math.sqrt(self._squares / (self.count - 1) / self.count)
        return Estimate(self._mean, self._mean - half, self._mean + half)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Answers that were given with about the same probability.

    Attributes:
        low: probability from which on an answer counts here, which 0 does in the first bin too.
        high: up to which, this one included.
        count: of answers.
        confidence: mean of their probabilities; None where there is no answer.
        accuracy: share of them that is right; None likewise.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


class Reliability:
    """Counts how often answers of each probability are right, in bins of equal width.

    Args:
        bins: how many.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.
    """

    def __init__(self, bins: int) -> None:
        self._counts = np.zeros(bins, dtype=np.int64)
        self._hits = np.zeros(bins, dtype=np.int64)
        self._sums = np.zeros(bins)

    def add(self, p: float, *, is_right: bool) -> None:
        """Count the answer of one picture; `p` is its probability, 0 to 1."""
        bins = len(self._counts)
        place = min(max(math.ceil(p * bins) - 1, 0), bins - 1)
        self._counts[place] += 1
        self._hits[place] += is_right
        self._sums[place] += p

    def error(self) -> float:
        """Give the expected calibration error, 0 to 1; 0 of no answer.

        That is the distance between probability and accuracy, over the bins, by their answers.
        """
        total = max(1, int(self._counts.sum()))
        return float(np.abs(self._sums - self._hits).sum() / total)

    def bins(self) -> tuple[ReliabilityBin, ...]:
        """Give the bins, those without an answer too, from the least probability on."""
        number = len(self._counts)
        return tuple(
            ReliabilityBin(
                low=place / number,
                high=(place + 1) / number,
                count=int(count),
                confidence=float(total / count) if count else None,
                accuracy=float(hits / count) if count else None,
            )
            for place, (count, hits, total) in enumerate(
                zip(self._counts, self._hits, self._sums, strict=True)
            )
        )
