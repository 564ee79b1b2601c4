"""Channels computed twice: the same float function, and half of the noise once it is rounded."""

from __future__ import annotations

import numpy as np
import pytest
from networks import make_views, run_onnx
from samples import make_contract

from edge.engine.probe import TensorProbe
from edge.model.fold import fold
from edge.model.squeezenet import build_squeezenet, random_weights
from edge.quant.network import read_network
from edge.quant.quality import with_float_weights
from edge.quant.simulate import simulate
from edge.quant.twice import MOST_CHANNELS, can_be_doubled, double

MODEL = fold(build_squeezenet("1.1", make_contract(), random_weights("1.1", 5)))
VIEWS = make_views(2)
WANTED = run_onnx(MODEL, VIEWS)


def read_with_steps():
    """Read the network with a step for each site whose range has a little room."""
    network = read_network(MODEL)
    probe = TensorProbe(MODEL, list(network.sites))
    read = [probe.read(view) for view in VIEWS]
    for site in network.sites.values():
        largest = max(float(np.abs(one[site.tensor]).max()) for one in read)
        site.step = 1.01 * largest / site.bounds[1]
    return network


def small_sites() -> list[str]:
    network = read_with_steps()
    return [name for name, site in network.sites.items() if can_be_doubled(network, site)]


def noise(network, name: str) -> float:
    """Give what rounding one site does to the convolution that reads it."""
    reader = network.sites[name].readers[0]
    wanted = run_onnx(MODEL, VIEWS, reader)
    return float(np.square(run_onnx(simulate(network, [name]), VIEWS, reader) - wanted).mean())


def test_only_activations_of_few_channels_are_doubled():
    network = read_with_steps()
    channels = {
        name: sum(len(network.convs[piece].bias) for piece in site.pieces)
        for name, site in network.sites.items()
    }
    assert small_sites() == [name for name, count in channels.items() if count <= MOST_CHANNELS]
    assert 0 < len(small_sites()) < len(channels)


def test_doubled_network_is_the_same_function_before_anything_is_rounded():
    network = read_with_steps()
    for name in small_sites():
        double(network, network.sites[name])
    tolerance = 1e-4 * np.abs(WANTED).max()
    np.testing.assert_allclose(run_onnx(simulate(network), VIEWS), WANTED, atol=tolerance)
    kept = with_float_weights(network)
    np.testing.assert_allclose(run_onnx(simulate(kept), VIEWS), WANTED, atol=tolerance)


@pytest.mark.parametrize("name", small_sites())
def test_doubling_takes_six_decibels_of_noise_away(name):
    once, twice = read_with_steps(), read_with_steps()
    double(twice, twice.sites[name])
    gained_db = 10 * np.log10(noise(once, name) / noise(twice, name))
    assert 3 < gained_db < 9
