"""Learned rounding: never worse than nearest, on its levels, alive on dead inputs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import QUICK

from edge.model.weights import LEVELS, quantize_weight
from edge.quant.rounding import DAMPING, Moments, refit, round_weight


def harm_of_rows(error, covariance):
    return (error @ covariance * error).sum(axis=1)


def harm(values, weight, covariance):
    return float(harm_of_rows(values - weight, covariance).sum())


def covariance_of(rng, inputs: int, samples: int):
    rows = np.maximum(rng.normal(0, 1, (samples, inputs)) @ rng.normal(0, 1, (inputs, inputs)), 0)
    return np.cov(rows.T).reshape(inputs, inputs)


@QUICK
@given(st.integers(0, 2**31), st.integers(1, 24), st.integers(1, 6))
def test_rounding_is_on_levels_and_never_worse_than_nearest(seed, inputs, outputs):
    rng = np.random.default_rng(seed)
    weight = rng.normal(0, 1, (outputs, inputs))
    covariance = covariance_of(rng, inputs, 200)
    rounded = round_weight(weight, covariance)
    assert rounded.integers.dtype == np.int8
    assert np.abs(rounded.integers.astype(int)).max() <= LEVELS
    assert (rounded.steps > 0).all()
    assert np.isfinite(rounded.steps).all()
    steps = rounded.steps[:, None].astype(np.float64)
    nearest = np.clip(np.rint(weight / steps), -LEVELS, LEVELS) * steps
    limit = harm(nearest, weight, covariance) + 1e-3 * np.square(steps).sum() * np.trace(covariance)
    assert harm(rounded.values(), weight, covariance) <= limit


def test_rounding_stops_where_no_single_step_helps_any_row():
    """Whatever the other rows do, each one is moved until it has come to its own end."""
    rng = np.random.default_rng(4)
    weight = rng.normal(0, 1, (8, 32))
    covariance = np.cov((rng.normal(0, 1, (500, 32)) @ rng.normal(0, 1, (32, 32))).T)
    rounded = round_weight(weight, covariance)
    lightly = covariance + DAMPING**2 * np.diag(covariance).mean() * np.eye(32)
    least = harm_of_rows(rounded.values() - weight, lightly)
    for column, move in itertools.product(range(32), (-1, 1)):
        moved = rounded.integers.astype(np.float64)
        moved[:, column] = np.clip(moved[:, column] + move, -LEVELS, LEVELS)
        error = moved * rounded.steps[:, None].astype(np.float64) - weight
        assert (harm_of_rows(error, lightly) >= least - 1e-12).all(), (column, move)


def test_rounding_of_inputs_that_go_together_is_far_better_than_nearest():
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 1, (16, 64))
    covariance = np.cov((rng.normal(0, 1, (500, 12)) @ rng.normal(0, 1, (12, 64))).T)
    integers, steps = quantize_weight(weight.astype(np.float32))
    nearest = harm(integers * steps[:, None].astype(np.float64), weight, covariance)
    assert harm(round_weight(weight, covariance).values(), weight, covariance) < 0.6 * nearest


@pytest.mark.parametrize("covariance", [np.zeros((4, 4)), np.diag([0.0, 1.0, 0.0, 2.0])])
def test_rounding_survives_inputs_that_never_change_and_dead_outputs(covariance):
    weight = np.array([[0.0] * 4, [1.0, -2.0, 0.5, 0.0]])
    rounded = round_weight(weight, covariance)
    np.testing.assert_allclose(rounded.values(), weight, atol=0.02)
    assert (rounded.steps > 0).all()


def test_refit_makes_good_what_the_inputs_lost():
    """Inputs that come a tenth too small are met by weights a tenth larger."""
    rng = np.random.default_rng(1)
    weight, rows = rng.normal(0, 1, (3, 5)), rng.normal(0, 1, (4000, 5)).astype(np.float32)
    moments = Moments(5, 3)
    moments.add(rows * np.float32(0.9), (rows @ weight.T + 2).astype(np.float32))
    found = refit(weight, moments)
    assert np.abs(found - weight / 0.9).max() < 0.1 * np.abs(weight).max()
    assert np.abs(found).sum() > np.abs(weight).sum()
    np.testing.assert_allclose(moments.mean_output() - found @ moments.mean_input(), 2, atol=0.05)


def test_rounding_stays_near_the_weight_where_inputs_hardly_differ():
    """Pictures of one colour: what float32 loses of their squares is more than what they vary."""
    rng = np.random.default_rng(2)
    weight = rng.normal(0, 1, (8, 64))
    moments = Moments(64, 8)
    level = rng.uniform(0, 4, 64)
    for _ in range(4):
        rows = np.tile(level, (256, 1)).astype(np.float32)
        rows[:8] += rng.normal(0, 1e-3, (8, 64)).astype(np.float32)
        moments.add(rows, (rows @ weight.T).astype(np.float32))
    found = refit(weight, moments)
    np.testing.assert_allclose(found, weight, atol=0.05)
    np.testing.assert_allclose(
        round_weight(found, moments.covariance()).values(), weight, atol=0.07
    )
