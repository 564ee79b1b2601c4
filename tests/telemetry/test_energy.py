"""Energy is a sum over time, and its bound holds whatever the load did between two samples."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.telemetry.energy import EnergyIntegral, RailTally

SECOND_NS = 1_000_000_000
POWERS_MW = st.floats(-1e3, 1e5)
STEPS_NS = st.integers(1_000_000, 10**10)


def test_energy_of_a_ramp_is_exact():
    """0 to 10 W in 10 s are 50 J, whatever the steps."""
    integral = EnergyIntegral()
    for second in (0, 1, 2, 2.5, 7, 10):
        integral.add(second * 1000, int(second * SECOND_NS))
    assert integral.energy_j == pytest.approx(50.0, rel=1e-12)
    assert integral.mean_mw() == pytest.approx(5000.0, rel=1e-12)
    assert integral.power_mw == 10_000


def test_bound_of_one_jump_is_half_of_it_over_its_step():
    integral = EnergyIntegral()
    for second, power_mw in ((0, 1000), (1, 1000), (3, 5000), (4, 5000)):
        integral.add(power_mw, second * SECOND_NS)
    assert integral.energy_j == pytest.approx(1 + 6 + 5)
    assert integral.error_j == pytest.approx(4.0)


def test_bound_of_a_jump_at_the_end_of_a_long_reading_is_reached():
    """0 W until 1.5 s, when the reading that began at 1 s sees 1 W: 0.5 J are true of 1.5 J."""
    integral = EnergyIntegral()
    for second, power_mw, took_s in ((0, 0.0, 0.0), (1, 1000.0, 0.5), (2, 1000.0, 0.0)):
        integral.add(power_mw, second * SECOND_NS, round(took_s * SECOND_NS))
    assert (integral.energy_j, integral.error_j) == (1.5, 1.0)


@given(
    POWERS_MW,
    st.lists(st.integers(0, 10**10), min_size=1, max_size=30),
    st.integers(0, 2**62),
)
def test_mean_of_a_constant_is_that_constant_without_error(power_mw, steps_ns, start_ns):
    integral = EnergyIntegral()
    now_ns = start_ns
    integral.add(power_mw, now_ns)
    for step_ns in steps_ns:
        now_ns += step_ns
        integral.add(power_mw, now_ns)
    assert integral.mean_mw() == pytest.approx(power_mw, rel=1e-6, abs=1e-6)
    assert integral.error_j == 0.0


@given(POWERS_MW, st.lists(st.tuples(STEPS_NS, POWERS_MW, st.floats(0, 1)), min_size=1))
def test_true_energy_lies_within_the_bound(first_mw, steps):
    """In each step the load goes from one reading to the next: a jump, a ramp, or anything else.

    The share is how much of the step it spent, on the mean, with the second reading.
    """
    integral = EnergyIntegral()
    integral.add(first_mw, 0)
    true_j, now_ns, power_mw = 0.0, 0, first_mw
    for step_ns, next_mw, share in steps:
        true_j += step_ns * (power_mw * (1 - share) + next_mw * share) / 1e12
        now_ns, power_mw = now_ns + step_ns, next_mw
        integral.add(power_mw, now_ns)
    assert abs(integral.energy_j - true_j) <= integral.error_j + 1e-9 * (1 + abs(true_j))


@given(st.data())
def test_true_energy_lies_within_the_bound_when_readings_take_time(data):
    """The load jumps between two readings; each is of any moment while it was being read."""
    loads_mw = data.draw(st.lists(POWERS_MW, min_size=2, max_size=12))
    times_ns = [0]
    for _ in range(2 * len(loads_mw) - 1):
        times_ns.append(times_ns[-1] + data.draw(STEPS_NS))
    integral = EnergyIntegral()
    moments_ns = []
    for power_mw, begun_ns, done_ns in zip(loads_mw, times_ns[::2], times_ns[1::2], strict=True):
        integral.add(power_mw, begun_ns, done_ns - begun_ns)
        moments_ns.append(data.draw(st.integers(begun_ns, done_ns)))
    # The first and the last load also fill what is before and behind their moments.
    true_j = loads_mw[0] * moments_ns[0] + loads_mw[-1] * (times_ns[-2] - moments_ns[-1])
    for (power_mw, from_ns), (next_mw, to_ns) in pairwise(zip(loads_mw, moments_ns, strict=True)):
        jump_ns = data.draw(st.integers(from_ns, to_ns))
        true_j += power_mw * (jump_ns - from_ns) + next_mw * (to_ns - jump_ns)
    true_j /= 1e12
    assert abs(integral.energy_j - true_j) <= integral.error_j + 1e-9 * (1 + abs(true_j))


@given(st.lists(st.tuples(STEPS_NS, POWERS_MW), min_size=2))
def test_exact_energy_of_a_counter_lies_within_the_bound(steps):
    """Each reading is then the mean of the step before it; their products are exact."""
    integral = EnergyIntegral()
    now_ns, true_j = 0, 0.0
    for number, (step_ns, mean_mw) in enumerate(steps):
        now_ns += step_ns
        integral.add(mean_mw, now_ns)
        true_j += step_ns * mean_mw / 1e12 if number else 0.0
    assert abs(integral.energy_j - true_j) <= integral.error_j + 1e-9 * (1 + abs(true_j))


@given(POWERS_MW, POWERS_MW, st.integers(0, SECOND_NS), st.integers(0, SECOND_NS))
def test_new_start_between_two_readings_keeps_the_bound(first_mw, second_mw, cut_ns, jump_ns):
    integral = EnergyIntegral()
    integral.add(99.0, 0)
    integral.add(first_mw, SECOND_NS)
    integral.start_over(SECOND_NS + cut_ns)
    integral.add(second_mw, 2 * SECOND_NS)
    left_ns = SECOND_NS - cut_ns
    second_ns = min(left_ns, SECOND_NS - jump_ns)
    true_j = (first_mw * (left_ns - second_ns) + second_mw * second_ns) / 1e12
    assert integral.seconds == pytest.approx(left_ns / 1e9)
    assert abs(integral.energy_j - true_j) <= integral.error_j + 1e-9 * (1 + abs(true_j))


def test_reading_from_before_a_new_start_takes_no_energy_away():
    integral = EnergyIntegral()
    integral.add(1000.0, 0)
    integral.start_over(5 * SECOND_NS)
    integral.add(1000.0, 4 * SECOND_NS)
    assert (integral.energy_j, integral.seconds) == (0.0, 0.0)
    integral.add(1000.0, 6 * SECOND_NS)
    assert (integral.energy_j, integral.seconds) == (1.0, 1.0)


def test_mean_of_one_sample_is_that_sample():
    integral = EnergyIntegral()
    assert integral.mean_mw() == 0.0
    integral.add(4321.0, 0)
    assert (integral.mean_mw(), integral.energy_j) == (4321.0, 0.0)


def test_tally_forgets_the_extremes_of_before_a_new_start():
    tally = RailTally("VDD_IN")
    assert tally.summarize() is None
    for second, power_mw in enumerate((-5.0, 9.0, 2.0)):
        tally.add(power_mw, second * SECOND_NS)
    before = tally.summarize()
    assert (before.min_mw, before.max_mw, before.readings) == (-5.0, 9.0, 3)
    tally.start_over(3 * SECOND_NS)
    tally.add(4.0, 4 * SECOND_NS)
    after = tally.summarize()
    assert (after.name, after.min_mw, after.mean_mw, after.max_mw) == ("VDD_IN", 2.0, 3.0, 4.0)
    assert (after.energy_j, after.energy_error_j, after.readings) == (0.003, 0.001, 2)
