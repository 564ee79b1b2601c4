"""Equalisation: the same float function, ranges that are alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import make_residual, make_vgg, make_views, run_onnx
from samples import make_contract
from strategies import QUICK

from edge.model.fold import fold
from edge.model.squeezenet import build_squeezenet, random_weights
from edge.quant.equalize import QUIETEST, equalize
from edge.quant.network import read_network
from edge.quant.simulate import simulate

MODEL = fold(build_squeezenet("1.1", make_contract(), random_weights("1.1", 5)))
VIEWS = make_views(2)
NETWORKS = {
    "squeezenet": MODEL,
    "vgg": fold(make_vgg(make_contract())),
    "residual": fold(make_residual(make_contract())),
}
WANTED = {name: run_onnx(model, VIEWS) for name, model in NETWORKS.items()}


def channels(network, site) -> int:
    return sum(len(network.convs[name].bias) for name in site.pieces)


@QUICK
@given(
    name=st.sampled_from(sorted(NETWORKS)),
    seed=st.integers(0, 2**31),
    spread=st.floats(0.1, 4),
    dead=st.booleans(),
)
def test_equalisation_leaves_the_float_function_as_it_was(name, seed, spread, dead):
    """Whatever the ranges are, even of channels that are always zero."""
    rng = np.random.default_rng(seed)
    network = read_network(NETWORKS[name])
    maxima = {t: np.exp(rng.normal(0, spread, channels(network, s)))
              for t, s in network.sites.items()}  # fmt: skip
    if dead:
        for values in maxima.values():
            values[rng.random(len(values)) < 0.3] = 0.0
    equalize(network, maxima)
    given_scores = run_onnx(simulate(network), VIEWS)
    wanted = WANTED[name]
    np.testing.assert_allclose(given_scores, wanted, atol=1e-4 * np.abs(wanted).max())
    for conv in network.convs.values():
        assert np.isfinite(conv.weight).all()


@pytest.mark.parametrize("level", [0.0, 1e-30, 1e30])
def test_equalisation_survives_constant_and_extreme_ranges(level):
    network = read_network(MODEL)
    maxima = {t: np.full(channels(network, s), level) for t, s in network.sites.items()}
    factors = equalize(network, maxima)
    assert all((one > 0).all() and np.isfinite(one).all() for one in factors.values())
    assert all(np.isfinite(conv.weight).all() for conv in network.convs.values())


def test_equalisation_brings_every_channel_to_the_same_range():
    """But for those that are hardly there, which stay small."""
    network = read_network(MODEL)
    site = network.sites["fire2/concat"]
    maxima = {t: np.ones(channels(network, s)) for t, s in network.sites.items()}
    maxima[site.tensor][:3] = [4.0, 0.5, 1e-9]
    before = network.convs["fire2/expand1x1"].bias + 1.0
    network.convs["fire2/expand1x1"].bias = before.copy()
    equalize(network, maxima)
    after = network.convs["fire2/expand1x1"].bias
    np.testing.assert_allclose(before[:4] / after[:4], [4.0, 0.5, 4.0 * QUIETEST, 1.0])
