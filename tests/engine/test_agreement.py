"""OpenVINO against ONNX Runtime: the same file, the same pictures, the same answer."""

from __future__ import annotations

import numpy as np
import pytest
from networks import make_classifier, make_views
from samples import make_contract

from edge.engine.base import open_engine
from edge.engine.probe import TensorProbe
from edge.errors import ModelError
from edge.model.fold import fold
from edge.model.squeezenet import build_squeezenet, random_weights
from edge.model.weights import store_weights_int8

VIEWS = make_views(16, seed=50)


def probabilities(name, model):
    rows = []
    with open_engine(name, model) as engine:
        for view in VIEWS:
            slot = engine.acquire()
            slot.pixels[...] = view
            engine.submit(slot)
            powers = np.exp(engine.collect().values.astype(np.float64))
            rows.append(powers / powers.sum())
    return np.array(rows)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("bypass", ["none", "complex"])
def test_openvino_agrees_with_onnx_runtime_on_float_networks(version, bypass):
    """Every top-1 the same, and no probability off by more than 1e-3."""
    weights = random_weights(version, 5, bypass=bypass, seed=8)
    model = build_squeezenet(version, make_contract(), weights, bypass=bypass)
    ours, reference = (probabilities(name, model) for name in ("openvino", "onnxruntime"))
    np.testing.assert_array_equal(ours.argmax(axis=1), reference.argmax(axis=1))
    assert np.abs(ours - reference).max() < 1e-3


def test_openvino_agrees_with_onnx_runtime_when_weights_are_stored_as_int8(small_model):
    stored = store_weights_int8(small_model)
    ours, reference = (probabilities(name, stored) for name in ("openvino", "onnxruntime"))
    assert np.abs(ours - reference).max() < 1e-3
    assert np.abs(ours - probabilities("openvino", small_model)).max() > 0


def test_probe_reads_the_tensors_that_onnx_runtime_has(small_model):
    from networks import run_onnx

    folded = fold(small_model)
    names = ["conv1/relu", "fire5/concat", "pool10"]
    probe = TensorProbe(folded, names)
    for view in VIEWS[:2]:
        seen = probe.read(view)
        assert list(seen) == names
        for name in names:
            wanted = run_onnx(folded, view[np.newaxis], name)
            np.testing.assert_allclose(seen[name], wanted, rtol=1e-3, atol=1e-4)


def test_probe_says_so_when_openvino_cannot_run_the_network():
    from onnx import helper

    strange = [helper.make_node("Bernoulli", ["pooled"], ["scores"])]
    model = fold(make_classifier(make_contract(), tail=strange))
    with pytest.raises(ModelError) as caught:
        TensorProbe(model, ["scores"])
    assert str(caught.value).startswith("small: OpenVINO cannot run this network for calibration.")
