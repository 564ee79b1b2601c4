"""The figures of rounds: percentiles of all submissions, and how well their median is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.stats import median_interval, nearest_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from edge.bench.case import CaseResult, Nanoseconds, Round

NS_A_MS = 1e6


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took; every value counts, none is dropped.

    Percentiles follow the nearest-rank definition, over the values of all rounds; the median is the
    median of the rounds' medians, so that its interval is one of it.

    Attributes:
        count: of values.
        min_ms: the shortest.
        p50_ms: the median of the rounds' medians.
        p50_low_ms: lower end of its 95 % interval, None where there are fewer than six rounds.
        p50_high_ms: upper end.
        p90_ms: so many percent are not above.
        p99_ms: the same.
        p999_ms: the same.
        max_ms: the longest.
        mean_ms: of all values.
        std_ms: standard deviation of all values.
    """

    count: int
    min_ms: float
    p50_ms: float
    p50_low_ms: float | None
    p50_high_ms: float | None
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    mean_ms: float
    std_ms: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What a case costs beside time.

    Attributes:
        fps: pictures a second while it was measured.
        cpu_ms_per_frame: processor time of the process for a picture, all threads together.
        energy_mj_per_frame: of the whole board or package, idle included; None without a meter.
        net_energy_mj_per_frame: the same above idle.
    """

    fps: float
    cpu_ms_per_frame: float
    energy_mj_per_frame: float | None
    net_energy_mj_per_frame: float | None


def round_medians(rounds: Sequence[Round]) -> npt.NDArray[np.float64]:
    """Give the median latency of each round in milliseconds."""
    return np.array([float(np.median(one.latencies_ns)) / NS_A_MS for one in rounds])


def half_width_share(medians: npt.NDArray[np.float64]) -> float | None:
    """Give half the width of the median's 95 % interval as a share of the median.

    Rounds are its values, not submissions: those of one round depend on each other.
    """
    interval = median_interval(medians)
    if interval is None:
        return None
    return (interval[1] - interval[0]) / 2 / float(np.median(medians))


def engine_spread(result: CaseResult) -> Spread:
    """Give the latency from submission to scores, with what is copied to the device and back."""
    return _spread([one.latencies_ns for one in result.rounds])


def network_spread(result: CaseResult) -> Spread:
    """Give the time of the network alone, as the engine itself takes it."""
    return _spread([one.network_ns for one in result.rounds])


def cost(result: CaseResult, idle_mw: float | None) -> Cost:
    """Give throughput, processor time and energy.

    Args:
        result: of a case.
        idle_mw: power at rest; None where it is not known.
    """
    frames = sum(one.frames for one in result.rounds)
    wall_s = sum(one.wall_s for one in result.rounds)
    metered = [one for one in result.rounds if one.power_mw is not None]
    metered_s = sum(one.wall_s for one in metered)
    metered_frames = sum(one.frames for one in metered)
    energy_mj = net_energy_mj = None
    if metered:
        energy_mj = sum((one.power_mw or 0.0) * one.wall_s for one in metered) / metered_frames
        if idle_mw is not None:
            net_energy_mj = energy_mj - idle_mw * metered_s / metered_frames
    return Cost(
        fps=frames / wall_s,
        cpu_ms_per_frame=1000 * sum(one.cpu_s for one in result.rounds) / frames,
        energy_mj_per_frame=energy_mj,
        net_energy_mj_per_frame=net_energy_mj,
    )


def _spread(rounds_ns: Sequence[Nanoseconds]) -> Spread:
    every = np.sort(np.concatenate(rounds_ns)).astype(np.float64) / NS_A_MS
    medians = np.array([float(np.median(one)) / NS_A_MS for one in rounds_ns])
    low, high = median_interval(medians) or (None, None)
    return Spread(
        count=len(every),
        min_ms=float(every[0]),
        p50_ms=float(np.median(medians)),
        p50_low_ms=low,
        p50_high_ms=high,
        p90_ms=nearest_rank(every, 0.9),
        p99_ms=nearest_rank(every, 0.99),
        p999_ms=nearest_rank(every, 0.999),
        max_ms=float(every[-1]),
        mean_ms=float(every.mean()),
        std_ms=float(every.std()),
    )
