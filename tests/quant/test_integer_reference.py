"""ONNX Runtime, OpenVINO and integers in NumPy agree on what an int8 network gives.

With steps that are powers of two float32 loses nothing, so that every level and score must be the
same, ties included. With real steps a sum that falls between two levels, within what float32 loses
(about one part in a million), may go to either: such a value is one level off, and what follows
from it moves the scores, by 3 % of the largest one at most here. ONNX Runtime is given biases in
steps of the sums, which moves some more values over a tie.
"""

from __future__ import annotations

import numpy as np
import pytest
from networks import (
    make_classifier,
    make_residual,
    make_vgg,
    make_views,
    prepare_int8,
    run_engine,
    run_onnx,
    with_dead_channel,
)
from onnx import numpy_helper
from quant.integer_reference import run_integers
from samples import make_contract

from edge.engine.probe import TensorProbe
from edge.engine.raised import raise_lowered
from edge.engine.unsigned import with_unsigned_activations
from edge.model.squeezenet import build_squeezenet, random_weights
from edge.quant.qdq import write_qdq

CONTRACT = make_contract()
VIEWS = make_views(6, seed=30)
NETWORKS = {
    "1.0": build_squeezenet("1.0", CONTRACT, random_weights("1.0", 5)),
    "1.1": build_squeezenet("1.1", CONTRACT, random_weights("1.1", 5)),
    "bypass": build_squeezenet(
        "1.1", CONTRACT, random_weights("1.1", 5, bypass="complex"), bypass="complex"
    ),
    "padded": make_classifier(CONTRACT, pads=[1, 1, 1, 1]),
    "vgg": make_vgg(CONTRACT),
    "residual": make_residual(CONTRACT),
    "dead": with_dead_channel(make_vgg(CONTRACT), "a2"),
}
EVERY = pytest.mark.parametrize("name", NETWORKS)
LEVELS = pytest.mark.parametrize("all_levels", [False, True])
ENGINES = pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])


def make_network(name: str, *, all_levels: bool):
    return prepare_int8(NETWORKS[name], make_views(4), all_levels=all_levels)


def snap(network):
    """Move every step to a power of two, and every bias to a multiple of what a sum counts."""
    for group in network.groups():
        for site in group:
            site.step = 2.0 ** np.ceil(np.log2(group[0].step))
    for conv in network.convs.values():
        conv.steps = (2.0 ** np.ceil(np.log2(conv.steps))).astype(np.float32)
        steps = conv.steps.astype(np.float64)
        conv.weight = conv.integers * steps.reshape(-1, *[1] * (conv.weight.ndim - 1))
        site = network.sites.get(conv.source)
        units = steps * (site.step if site else 1.0)
        conv.bias = np.rint(conv.bias / units) * units
    return network


def bias_of(model, conv: str):
    node = next(node for node in model.proto.graph.node if node.output[0] == conv)
    stored = {item.name: item for item in model.proto.graph.initializer}
    return numpy_helper.to_array(stored[node.input[2]])


def reference_scores(model):
    return np.concatenate([run_integers(model, view)["scores"] for view in VIEWS])


def assert_close(given, wanted, *, mean, largest):
    """Compare scores; the tolerances are shares of the largest one."""
    error = np.abs(given - wanted) / np.abs(wanted).max()
    assert np.ptp(wanted) > 0
    assert error.mean() <= mean
    assert error.max() <= largest


@EVERY
@LEVELS
def test_every_level_is_the_same_where_float32_is_exact(name, all_levels):
    """ONNX Runtime node by node; many sums are ties, which go to the even level."""
    model = write_qdq(snap(make_network(name, all_levels=all_levels)))
    tensors = run_integers(model, VIEWS[0])
    quantizers = [n for n in model.proto.graph.node if n.op_type == "QuantizeLinear"]
    ties = 0
    for node in quantizers:
        given = run_onnx(model, VIEWS[:1], node.output[0])
        np.testing.assert_array_equal(given, tensors[node.output[0]], err_msg=node.name)
        scaled = tensors[node.input[0]] / tensors[node.input[1]]
        ties += np.count_nonzero((scaled % 1 == 0.5) & (np.abs(scaled) < 127))
    assert ties > 10


@EVERY
@LEVELS
@ENGINES
def test_engines_give_the_same_scores_where_float32_is_exact(name, all_levels, engine):
    """But for the last mean or matrix product, which is one of floats."""
    model = write_qdq(snap(make_network(name, all_levels=all_levels)))
    given, wanted = run_engine(engine, model, VIEWS), reference_scores(model)
    assert_close(given, wanted, mean=3e-6, largest=3e-6)


@EVERY
@LEVELS
@ENGINES
def test_engines_are_close_with_real_steps(name, all_levels, engine):
    model = write_qdq(make_network(name, all_levels=all_levels))
    given, wanted = run_engine(engine, model, VIEWS), reference_scores(model)
    assert_close(given, wanted, mean=0.005 if engine == "onnxruntime" else 0.003, largest=0.03)


@pytest.mark.parametrize(
    ("name", "conv"), [("1.0", "conv1"), ("1.1", "conv1"), ("padded", "first")]
)
@LEVELS
def test_sums_of_the_first_convolution_are_the_same_integers(name, conv, all_levels):
    """What an engine gives, less the bias and divided by the scales, is the integer itself."""
    network = make_network(name, all_levels=all_levels)
    model = write_qdq(network)
    opened = with_unsigned_activations(raise_lowered(model))  # as our OpenVINO engine has it
    site = network.sites.get(network.convs[conv].source)
    units = network.convs[conv].steps.astype(np.float64) * (site.step if site else 1)
    probe = TensorProbe(opened, [conv])
    for view in VIEWS:
        wanted = run_integers(model, view)[f"{conv}/sums"]
        for given, bias in (
            (run_onnx(model, view[np.newaxis], conv)[0], bias_of(model, conv)),
            (probe.read(view)[conv][0], bias_of(opened, conv)),
        ):
            sums = (given - bias[:, None, None].astype(np.float64)) / units[:, None, None]
            np.testing.assert_array_equal(np.rint(sums), wanted)
