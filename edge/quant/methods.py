"""Ways to choose the range of an activation from its histogram alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge.quant.histogram import BINS

if TYPE_CHECKING:
    import numpy.typing as npt

    from edge.quant.histogram import Histogram

    Array = npt.NDArray[np.float64]

PERCENTILE = 99.99
TRIALS = 64
"""Ranges that MSE and entropy compare, evenly spread over the upper part of the histogram."""
LEAST_SHARE = 0.25
"""Of the largest magnitude: smallest range that is compared."""


def min_max(histogram: Histogram, _levels: int) -> float:
    """Give the largest magnitude."""
    return histogram.largest


def percentile(histogram: Histogram, _levels: int) -> float:
    """Give the magnitude that all but a `PERCENTILE` of the values stay below."""
    share = np.cumsum(histogram.counts) / max(1, histogram.counts.sum())
    place = int(np.searchsorted(share, PERCENTILE / 100))
    return _end(histogram, min(place, BINS - 1))


def mse(histogram: Histogram, levels: int) -> float:
    """Give the range with the least mean squared error of rounding and saturation together.

    Source: Banner et al., "Post training 4-bit quantization of convolutional networks",
    arXiv:1810.05723, section 3, by trial in the place of a formula.
    """
    x, weight = histogram.centres(), histogram.counts

    def error(last: int) -> float:
        step = _end(histogram, last) / levels
        rounded = np.minimum(np.rint(x / step), levels) * step
        return float((weight * (x - rounded) ** 2).sum())

    return _end(histogram, min(_trials(), key=error))


def entropy(histogram: Histogram, levels: int) -> float:
    """Give the range whose levels keep most of what the distribution says.

    The part of the histogram inside a range, with all that saturates in its last bin, is compared
    with itself after its bins are joined to `levels` ones, by the Kullback-Leibler divergence.
    Source: S. Migacz, "8-bit Inference with TensorRT", GTC 2017.
    """
    counts = histogram.counts.astype(np.float64)

    def loss(last: int) -> float:
        inside = counts[: last + 1]
        wanted = inside.copy()
        wanted[-1] += counts[last + 1 :].sum()
        level = np.minimum(np.arange(last + 1) * levels // (last + 1), levels - 1)
        sums = np.bincount(level, weights=inside, minlength=levels)
        filled = np.bincount(level, weights=inside > 0, minlength=levels)
        given = np.where(inside > 0, (sums / np.maximum(filled, 1))[level], 0.0)
        return _divergence(wanted, given)

    return _end(histogram, min(_trials(), key=loss))


def _trials() -> list[int]:
    """Give the last bins of the ranges to compare, the widest first, which wins a draw."""
    places = np.linspace(BINS - 1, BINS * LEAST_SHARE, TRIALS)
    return [round(place) for place in places]


def _end(histogram: Histogram, last: int) -> float:
    return histogram.reach * (last + 1) / BINS


def _divergence(wanted: Array, given: Array) -> float:
    """Give the divergence of two unnormalised distributions; what saturates alone costs most."""
    if not wanted.sum() or not given.sum():
        return 0.0
    p, q = wanted / wanted.sum(), given / given.sum()
    some = p > 0
    return float((p[some] * np.log(p[some] / np.maximum(q[some], 1e-9))).sum())


METHODS = {"min-max": min_max, "percentile": percentile, "MSE": mse, "entropy": entropy}
"""Name to function of a histogram and the number of levels above zero."""
