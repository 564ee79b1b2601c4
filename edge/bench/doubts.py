"""What speaks against a measurement: what is wrong, by how much, and what mends it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.bench.figures import half_width_share, round_medians
from edge.record import BoardReading
from edge.stats import median_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge.bench.case import CaseResult, Round
    from edge.bench.conditions import Conditions
    from edge.bench.measure import Measured, Options

BUSY_CORES = 0.1
STEAL_SHARE = 0.01
DRIFT_SHARE = 0.05
YARDSTICK_SHARE = 0.05
WARMER_C = 10.0


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that speaks against the figures.

    Attributes:
        about: "machine", "measurement", or the name of a case.
        problem: what is wrong and how much.
        mend: what to do about it.
    """

    about: str
    problem: str
    mend: str

    def __str__(self) -> str:
        """Give the line that a person reads."""
        return f"{self.about}: {self.problem}. {self.mend}"


def find_doubts(measured: Measured, conditions: Conditions, options: Options) -> tuple[Doubt, ...]:
    """Judge a measurement by what is known of it; nothing found is no proof that all is well."""
    rounds = [one for result in measured.results for one in result.rounds]
    interrupted = Doubt("measurement", "was interrupted before it was over", "Measure again")
    return (
        *((interrupted,) if measured.interrupted else ()),
        *_of_board(measured, conditions),
        *_of_load(conditions),
        *_of_yardstick(rounds),
        *(doubt for result in measured.results for doubt in _of_case(result, options)),
    )


def _of_board(measured: Measured, conditions: Conditions) -> Iterator[Doubt]:
    before, after = conditions.before, conditions.after
    if isinstance(before, BoardReading) and isinstance(after, BoardReading):
        throttles = after.throttles - before.throttles
        reasons = sorted({word for _, board in measured.board for word in board.throttling})
        if throttles or reasons:
            often = f" {throttles} time{'s' * (throttles > 1)}" if throttles else ""
            why = f" ({', '.join(reasons)})" if reasons else ""
            yield Doubt(
                "machine",
                f"throttled{often}{why}",
                "Cool it, or give it a stronger supply, then measure again",
            )
        hottest = [max(one.temperatures_c.values(), default=math.nan) for one in (before, after)]
        if hottest[1] - hottest[0] > WARMER_C:  # which no zone at all is not
            yield Doubt(
                "machine",
                f"warmed from {hottest[0]:.0f} to {hottest[1]:.0f} °C while it was measured",
                "Warm it up first: run the same once more",
            )
        if before.locked is False:
            yield Doubt("machine", "clocks are not locked", "Run: sudo jetson_clocks")
            return
    governor = conditions.fixed.get("governor")
    if governor not in {None, "performance"}:
        yield Doubt(
            "machine",
            f"the clock governor is {governor}",
            "Run: sudo cpupower frequency-set -g performance",
        )


def _of_load(conditions: Conditions) -> Iterator[Doubt]:
    others, steal = conditions.others_cores, conditions.steal_share
    if others is not None and others > BUSY_CORES:
        yield Doubt(
            "machine",
            f"other programs kept {others:.1f} of {conditions.fixed['cores']} cores busy",
            "Close them: see top",
        )
    if steal is not None and steal > STEAL_SHARE:
        yield Doubt(
            "machine",
            f"{steal:.1%} of its time went to other virtual machines",
            "Measure on a machine of your own",
        )


def _of_yardstick(rounds: Sequence[Round]) -> Iterator[Doubt]:
    values = np.array([one.yardstick_ms for one in rounds])
    if len(values) < 4:
        return
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
    if (high - low) / middle > YARDSTICK_SHARE:
        yield Doubt(
            "machine",
            f"its own speed varied by {(high - low) / middle:.0%} (a fixed piece of work beside"
            " each round)",
            "Close other programs and lock the clocks",
        )


def _of_case(result: CaseResult, options: Options) -> Iterator[Doubt]:
    name, medians = result.case.name, round_medians(result.rounds)
    share = half_width_share(medians)
    if share is None:
        yield Doubt(name, f"only {len(medians)} rounds, six are wanted", "Give more --seconds")
    elif not result.goal_reached:
        yield Doubt(
            name,
            f"the median is known to ±{share:.2%}, ±{options.precision_goal:.2%} was wanted",
            "Give more --seconds, or a quieter machine",
        )
    unstable = sum(not warm_up.stable for warm_up in result.warm_ups)
    if unstable:
        yield Doubt(
            name,
            f"{unstable} of {len(result.warm_ups)} warm-ups ended before the latency was stable",
            "Give more --seconds, or a quieter machine",
        )
    half = len(medians) // 2
    if half and median_interval(medians) is not None:
        drift = float(np.median(medians[-half:]) / np.median(medians[:half])) - 1
        if abs(drift) > DRIFT_SHARE:
            yield Doubt(
                name,
                f"its second half was {abs(drift):.0%} {'slower' if drift > 0 else 'faster'} than"
                " its first",
                "Look at heat and clocks; measure longer",
            )
