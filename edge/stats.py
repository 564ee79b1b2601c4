"""The arithmetic of figures: intervals of shares, means and medians, divergence, calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float64]

Z95 = 1.959963984540054
"""How many standard deviations from the middle 95 % of a normal distribution end."""

CONFIDENCE = 0.95
RESAMPLES = 2000


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
    Technometrics 4 (1962). The interval is that of Student's t: of few values that are far from
    normal it is still too narrow.
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
            error = math.sqrt(self._squares / (self.count - 1) / self.count)
            half = student_t(self.count - 1) * error
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


def nearest_rank(values: Array, share: float) -> float:
    """Give the smallest value that a share (0 to 1) of all are not above.

    Args:
        values: sorted, at least one.
        share: 0.5 gives the median.
    """
    return float(values[max(1, math.ceil(share * len(values))) - 1])


def median_interval(values: Array, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Give an interval of the median that assumes nothing of the values but independence.

    It lies between two of the values: with the median M of what they come from, the number of
    values below M is binomial(n, 1/2), so [x(l), x(n + 1 - l)] holds M with a probability of
    1 - 2 P(B < l). The narrowest such interval of at least this confidence is given.

    Source: David and Nagaraja, Order Statistics, 3rd edition, section 7.1.

    Args:
        values: in any order.
        confidence: 0 to 1.

    Returns:
        None where so few values allow no interval of this confidence; 95 % wants six.
    """
    count = len(values)
    log_terms = [
        math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
        - count * math.log(2)
        for k in range(count // 2 + 1)
    ]  # fmt: skip
    below = np.cumsum(np.exp(log_terms))  # below[k] is P(B <= k)
    rank = int(np.searchsorted(below, (1 - confidence) / 2, side="right"))
    if rank == 0:
        return None
    ordered = np.sort(values)
    return float(ordered[rank - 1]), float(ordered[count - rank])


def student_t(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Give how many standard errors an interval reaches to each side.

    Exact for one and two degrees of freedom, within 0.5 % of the truth for more.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3, 26.7.4 and 26.7.5.

    Args:
        freedom: degrees of freedom, at least one.
        confidence: 0 to 1.
    """
    if freedom == 1:
        return math.tan(math.pi / 2 * confidence)
    if freedom == 2:
        return confidence * math.sqrt(2 / (1 - confidence**2))
    z, v = NormalDist().inv_cdf((1 + confidence) / 2), freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4)
    )


def resampled_medians(clusters: Sequence[Array], rng: np.random.Generator) -> Array:
    """Give the medians of values drawn again, `RESAMPLES` times.

    Array of one cluster may depend on each other, so whole clusters are drawn, as many as there
    are, and then as many values of each as it has.

    Source: Davison and Hinkley, Bootstrap Methods and their Application, section 3.8.

    Args:
        clusters: one or more, none of them empty.
        rng: draws.
    """
    sizes = np.array([len(cluster) for cluster in clusters])
    table = np.full((len(clusters), sizes.max()), np.nan)
    for number, cluster in enumerate(clusters):
        table[number, : len(cluster)] = cluster
    drawn = rng.integers(len(clusters), size=(RESAMPLES, len(clusters), 1))
    places = rng.integers(sizes[drawn], size=(RESAMPLES, len(clusters), sizes.max()))
    values = table[drawn, places]
    values[np.arange(sizes.max()) >= sizes[drawn]] = np.nan
    medians: Array = np.nanmedian(values.reshape(RESAMPLES, -1), axis=1)
    return medians


def bootstrap_half_width(figures: Array, clusters: int, samples: int = 1) -> float:
    """Give half the width of the bootstrap interval of a figure, widened for few clusters.

    A bootstrap of k clusters is too narrow by sqrt((k - 1) / k), and by the difference of
    Student's t to the normal distribution; both are made good.

    Args:
        figures: one for each time that the clusters were drawn again.
        clusters: how many there are in all.
        samples: of independent series that the figure is made of.

    Returns:
        Infinity where there are too few clusters to say anything.
    """
    freedom = clusters - samples
    if freedom < 1:
        return math.inf
    low, high = np.quantile(figures, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    widened = student_t(freedom) / Z95 * math.sqrt(clusters / freedom)
    return float(high - low) / 2 * widened
