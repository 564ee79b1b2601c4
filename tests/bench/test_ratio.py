"""Two runs of the same are the same, and a tenth more is a tenth more."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from benches import Noise, make_rounds

from edge.bench.ratio import ratio_in_turns, ratio_of_runs

SEEDS = range(30)
NOISES = {
    "quiet": Noise(),
    "parts": Noise(part=0.02, round=0.03),
    "drift": Noise(drift=0.04),
}


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_two_runs_of_the_same_are_no_change(noise):
    for seed in SEEDS:
        ratio = ratio_of_runs(make_rounds(seed, noise=noise), make_rounds(seed + 1000, noise=noise))
        assert ratio.verdict == "no change", seed
        assert ratio.low < 1 < ratio.high


def test_a_tenth_more_is_seen_and_so_is_a_tenth_less():
    for seed in SEEDS:
        before, after = make_rounds(seed), make_rounds(seed + 1000, ms=1.1)
        ratio = ratio_of_runs(before, after)
        assert ratio.verdict == "slower", seed
        assert ratio.low < 1.1 < ratio.high
        assert ratio_of_runs(after, before).verdict == "faster"


def test_machine_that_is_slower_as_a_whole_is_no_change():
    """The yardstick slows down with it, as in another state of its clocks."""
    noise = Noise(yardstick=0.003)
    slow = Noise(yardstick=0.003, machine=0.1)
    for seed in SEEDS:
        before, after = make_rounds(seed, noise=noise), make_rounds(seed + 1000, noise=slow)
        ratio = ratio_of_runs(before, after)
        assert ratio.verdict == "no change", seed
        assert ratio.raw > 1.05
        assert ratio.machine > 1.05


def test_yardstick_that_the_latency_does_not_follow_changes_nothing():
    """As on a GPU, whose time the CPU does not decide."""
    before = make_rounds(1, noise=Noise(yardstick=0.1))
    after = make_rounds(2, noise=Noise(yardstick=0.1))
    ratio = ratio_of_runs(before, after)
    assert ratio.followed < 0.1
    assert ratio.ratio == pytest.approx(ratio.raw, rel=0.01)


def test_slow_drift_within_a_run_widens_the_interval():
    """What moved by a tenth while it was looked at may have moved as much before."""
    steady = ratio_of_runs(make_rounds(1), make_rounds(2))
    drifting = ratio_of_runs(make_rounds(1, noise=Noise(drift=0.15)), make_rounds(2))
    assert drifting.detectable > 2 * steady.detectable
    assert drifting.drift > 0.05


def test_detectable_change_is_seen_most_of_the_time():
    """What is promised: four times in five."""
    noise, seen, ratios = Noise(part=0.02, round=0.02), 0, []
    for seed in range(100):
        before = make_rounds(seed, noise=noise)
        promised = ratio_of_runs(before, make_rounds(seed + 5000, noise=noise)).detectable
        after = make_rounds(seed + 1000, ms=1 + promised, noise=noise)
        seen += ratio_of_runs(before, after).verdict == "slower"
        ratios.append(promised)
    assert seen >= 75
    assert np.median(ratios) < 0.15


def with_busy_rounds(rounds, seed):
    """Let other programs take the processor away in the upper half of many rounds."""
    rng = np.random.default_rng(seed)
    hurt = []
    for one in rounds:
        latencies_ns = np.sort(one.latencies_ns)
        upper = slice(int(len(latencies_ns) * rng.uniform(0.3, 0.9)), None)
        latencies_ns[upper] = latencies_ns[upper] * rng.uniform(1, 8)
        hurt.append(replace(one, latencies_ns=latencies_ns))
    return hurt


def test_lower_quantile_stands_in_where_other_programs_hurt_the_medians():
    seen = 0
    for seed in SEEDS:
        before = with_busy_rounds(make_rounds(seed), seed)
        same = ratio_of_runs(before, with_busy_rounds(make_rounds(seed + 1000), seed + 1))
        slow = ratio_of_runs(before, with_busy_rounds(make_rounds(seed + 2000, ms=1.1), seed + 2))
        assert same.verdict == "no change", seed
        assert same.quantile < 0.5
        seen += slow.verdict == "slower"
    assert seen >= len(SEEDS) * 0.9


def test_median_stands_where_it_is_known_well():
    noise = Noise(part=0.002, round=0.002)
    assert ratio_of_runs(make_rounds(1, noise=noise), make_rounds(2, noise=noise)).quantile == 0.5


@pytest.mark.parametrize("parts", [1, 2])
def test_too_few_parts_cannot_be_told(parts):
    ratio = ratio_of_runs(make_rounds(1, parts=parts), make_rounds(2, ms=2.0, parts=parts))
    assert ratio.verdict == "cannot be told"
    assert ratio.detectable == math.inf


def test_turns_cancel_what_hurts_both():
    """One machine that gets ever slower, two engines, one of which takes 3 % more."""
    noise = Noise(part=0.0, round=0.002, drift=0.5)
    first, second = make_rounds(1, noise=noise), make_rounds(2, ms=1.03, noise=noise)
    ratio = ratio_in_turns(first, second)
    assert ratio.verdict == "slower"
    assert ratio.ratio == pytest.approx(1.03, abs=0.01)
    assert ratio_of_runs(first, second).verdict == "no change"
    assert ratio_in_turns(first, first).verdict == "no change"
