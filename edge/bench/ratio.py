"""Ratios of latencies: of two cases that took turns in one run, and of two runs.

Two runs of the same thing differ by more than the noise inside each of them tells: the machine may
be slower as a whole, the memory lies elsewhere, other programs come and go. So five things widen
the interval of a ratio of two runs, or take out what is known of them:

1. Whole parts are drawn by the bootstrap, not rounds: an engine was opened anew for each part.
2. The yardstick, a fixed piece of work beside every round, tells how fast the machine was. As much
   of it is taken out as the latency follows it within the runs (analysis of covariance), which is
   nothing where it does not, as on a GPU.
3. By how much the latency drifted within the runs, it may have drifted between them too.
4. `BETWEEN_RUNS` is what a start alone may change.
5. By the share of all cores that other programs took in one run and not in the other, the latency
   may differ for their sake alone.

An engine that got slower is slower in all quantiles of its rounds, while other programs hurt the
upper ones first. So where the medians of the rounds are too noisy to see `SEES_ENOUGH`, a lower
quantile stands in their place, if it is known much better.

Source: Davison and Hinkley, Bootstrap Methods and their Application, section 3.8 (hierarchical
data); Mytkowicz et al., "Producing wrong data without doing anything obviously wrong!", ASPLOS 2009
(what a start may change); Cochran, "Analysis of covariance", Biometrics 13, 1957.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from edge.stats import bootstrap_half_width, resampled_medians

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from edge.bench.case import Round

    Values = npt.NDArray[np.float64]

BETWEEN_RUNS = 0.03
LOWER_QUANTILES = (0.25, 0.1)
"""Of the latencies of a round: what may stand in the place of its median."""
SEES_ENOUGH = 0.05
MUCH_BETTER = 0.7
"""Of the change that the medians would see: to choose freely would find changes by chance."""
POWER_FACTOR = 1.43
"""A change of so many half-widths is seen four times in five: (1.960 + 0.842) / 1.960."""
LEAST_ROUNDS = 6
LARGEST_LOG = 50.0
LEAST_PARTS = 3
SEED = 20160315
"""The same rounds give the same interval."""

Verdict: TypeAlias = Literal["slower", "faster", "no change", "cannot be told"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long the second takes as the first.

    Attributes:
        ratio: of the medians over rounds, without what the machine's own speed did to it.
        quantile: of each round's latencies that stood for it; 0.5 where that is known well.
        low: lower end of its 95 % interval.
        high: upper end.
        raw: the ratio as it was measured.
        machine: how many times as long the yardstick took; 1 where both took turns.
        followed: how much of that is taken out, 0 to 1.
        drift: by how much the latency moved within a run, as a share.
        detectable: the smallest change, as a share, that would be seen four times in five.
    """

    ratio: float
    quantile: float
    low: float
    high: float
    raw: float
    machine: float
    followed: float
    drift: float
    detectable: float

    @property
    def verdict(self) -> Verdict:
        """Whether the difference is more than noise."""
        if not math.isfinite(self.high):
            return "cannot be told"
        if self.low > 1:
            return "slower"
        return "faster" if self.high < 1 else "no change"


def ratio_of_runs(
    before: Sequence[Round], after: Sequence[Round], *, load_gap: float = 0.0
) -> Ratio:
    """Compare the same case in two runs.

    Args:
        before: its rounds in the first run.
        after: in the second one.
        load_gap: share of all cores, 0 to 1, that others took in one run more than in the other.
    """
    of_medians = _ratio_at(0.5, before, after, load_gap)
    if of_medians.detectable <= SEES_ENOUGH:
        return of_medians
    lower = [_ratio_at(quantile, before, after, load_gap) for quantile in LOWER_QUANTILES]
    best = min(lower, key=lambda ratio: ratio.detectable)
    return best if best.detectable < MUCH_BETTER * of_medians.detectable else of_medians


def _ratio_at(
    quantile: float, before: Sequence[Round], after: Sequence[Round], load_gap: float
) -> Ratio:
    first, second = _logs(before, quantile), _logs(after, quantile)
    followed, followed_error = _follow(first, second)
    machine = _median(second.yardstick) - _median(first.yardstick)
    raw = _median(second.latency) - _median(first.latency)
    adjusted = [series.adjusted(followed) for series in (first, second)]
    parts = [_by_part(values, s.part) for values, s in zip(adjusted, (first, second), strict=True)]
    drift = max(map(_drift, parts))
    log_ratio = _median(adjusted[1]) - _median(adjusted[0])

    rng = np.random.default_rng(SEED)
    again = [resampled_medians(one, rng) for one in parts]
    half_width = math.hypot(
        bootstrap_half_width(again[1] - again[0], len(parts[0]) + len(parts[1]), samples=2),
        drift,
        BETWEEN_RUNS,
        load_gap,
        machine * followed_error * 2,
    )
    if min(map(len, parts)) < LEAST_PARTS or min(len(before), len(after)) < LEAST_ROUNDS:
        half_width = math.inf
    return replace(
        _ratio(log_ratio, half_width),
        quantile=quantile,
        raw=math.exp(raw),
        machine=math.exp(machine),
        followed=followed,
        drift=math.expm1(drift),
    )


def ratio_in_turns(first: Sequence[Round], second: Sequence[Round]) -> Ratio:
    """Compare two cases that took turns in one run, round by round.

    Args:
        first: rounds of the case that is 1.
        second: of the other one, as many, each beside the one of the same place.
    """
    pairs = _logs(second).latency - _logs(first).latency
    parts = _by_part(pairs, np.array([one.part for one in first]))
    log_ratio = _median(pairs)
    again = resampled_medians(parts, np.random.default_rng(SEED))
    half_width = bootstrap_half_width(again, len(parts))
    if len(pairs) < LEAST_ROUNDS or len(parts) < LEAST_PARTS:
        half_width = math.inf
    return _ratio(log_ratio, half_width)


@dataclass(frozen=True, slots=True, eq=False)
class _Logs:
    """Logarithms of a run's rounds."""

    latency: Values
    yardstick: Values
    part: npt.NDArray[np.int64]

    def adjusted(self, followed: float) -> Values:
        return self.latency - followed * self.yardstick


def _logs(rounds: Sequence[Round], quantile: float = 0.5) -> _Logs:
    return _Logs(
        np.log([float(np.quantile(one.latencies_ns, quantile)) for one in rounds]),
        np.log([one.yardstick_ms for one in rounds]),
        np.array([one.part for one in rounds]),
    )


def _follow(first: _Logs, second: _Logs) -> tuple[float, float]:
    """Give the slope of latency over yardstick within the runs, 0 to 1, and its standard error."""
    x, y = (
        np.concatenate([values - values.mean() for values in pair])
        for pair in ((first.yardstick, second.yardstick), (first.latency, second.latency))
    )
    power = float(x @ x)
    if power == 0 or len(x) < LEAST_ROUNDS:
        return 0.0, 0.0
    slope = min(max(float(x @ y) / power, 0.0), 1.0)
    left = y - slope * x
    return slope, math.sqrt(float(left @ left) / max(len(x) - 3, 1) / power)


def _drift(parts: Sequence[Values]) -> float:
    """Give by how much the second half of the parts differs from the first."""
    half = len(parts) // 2
    if half == 0:
        return 0.0
    return abs(_median(np.concatenate(parts[-half:])) - _median(np.concatenate(parts[:half])))


def _by_part(values: Values, part: npt.NDArray[np.int64]) -> list[Values]:
    return [values[part == number] for number in np.unique(part)]


def _median(values: Values) -> float:
    return float(np.median(values))


def _ratio(log_ratio: float, half_width: float) -> Ratio:
    """Give the ratio of medians that needed no correction."""
    ratio = math.exp(log_ratio)
    return Ratio(
        ratio=ratio,
        quantile=0.5,
        low=math.exp(log_ratio - half_width),
        high=_exp(log_ratio + half_width),
        raw=ratio,
        machine=1.0,
        followed=0.0,
        drift=0.0,
        detectable=_exp(half_width * POWER_FACTOR) - 1,
    )


def _exp(value: float) -> float:
    """Give e to this power, or infinity where that is too large for a number."""
    return math.exp(value) if value < LARGEST_LOG else math.inf
