"""int8 activations as uint8: the same integers, and values that OpenVINO gets right."""

from __future__ import annotations

import numpy as np
import onnx
import openvino
import pytest
from networks import make_classifier, make_int8, make_views, run_onnx
from onnx import TensorProto, numpy_helper
from samples import make_contract

from edge.engine.base import open_engine
from edge.engine.unsigned import with_unsigned_activations
from edge.model.onnx_file import Model
from edge.model.squeezenet import build_squeezenet, random_weights

VIEWS = make_views(12, seed=30)


@pytest.fixture(scope="module")
def int8_models() -> dict[str, Model]:
    """Give int8 networks: with concats, with sums of skips, and with a padded first layer."""
    plain = {
        bypass: build_squeezenet(
            "1.1", make_contract(), random_weights("1.1", 5, bypass=bypass, seed=3), bypass=bypass
        )
        for bypass in ("none", "simple", "complex")
    }
    plain["padded"] = make_classifier(make_contract(), pads=[1, 1, 1, 1])
    return {name: make_int8(model) for name, model in plain.items()}


NETWORKS = pytest.mark.parametrize("name", ["none", "simple", "complex", "padded"])


PIXELS = "pixels/centred/q"
SIGNED = {
    "none": {PIXELS},
    "simple": {PIXELS},
    "complex": {PIXELS, "pool3/q", "pool5/q", *(f"fire{n}/sum/q" for n in (2, 4, 6, 7, 8, 9))},
    "padded": {"input/q"},
}
"""What may be negative, and so stays int8."""


def openvino_scores(model: Model):
    """Run the network as it is written, without what our engine does to it."""
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(model.to_bytes()), "CPU", options)
    return np.concatenate([compiled({0: view[np.newaxis]})[0] for view in VIEWS])


def quantizers(model: Model) -> dict[str, int]:
    """Give the type of zero point of each quantised activation."""
    types = {item.name: item.data_type for item in model.proto.graph.initializer}
    nodes = [node for node in model.proto.graph.node if node.op_type == "QuantizeLinear"]
    return {node.output[0]: types[node.input[2]] for node in nodes}


@NETWORKS
def test_unsigned_gives_bit_for_bit_the_same_scores(int8_models, name):
    """ONNX Runtime node by node on both: every integer is the one that it was."""
    model = int8_models[name]
    wanted = run_onnx(model, VIEWS)
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_array_equal(run_onnx(with_unsigned_activations(model), VIEWS), wanted)


@pytest.mark.parametrize("how", ["uint8", "shifted", "left out"])
def test_unsigned_leaves_quantisers_of_other_tools_alone(int8_models, how):
    """A uint8 quantiser reaches to 255: clipping it at 127 would change what the network says."""
    proto = onnx.ModelProto()
    proto.CopyFrom(int8_models["none"].proto)
    zeros = {item.name: item for item in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"} and "weight" not in node.name:
            zero = np.array(3, np.int8) if how == "shifted" else np.array(0, np.uint8)
            zeros[node.input[2]].CopyFrom(numpy_helper.from_array(zero, node.input[2]))
            if how == "left out":
                del node.input[2]
    foreign = Model(proto, int8_models["none"].contract)
    assert with_unsigned_activations(foreign).to_bytes() == foreign.to_bytes()


@NETWORKS
def test_unsigned_changes_only_activations_that_are_never_negative(int8_models, name):
    """Pixels around zero, prepared values, and what sums with a bare convolution stay int8."""
    model = int8_models[name]
    assert set(quantizers(model).values()) == {TensorProto.INT8}
    after = quantizers(with_unsigned_activations(model))
    assert {tensor for tensor, kind in after.items() if kind == TensorProto.INT8} == SIGNED[name]
    assert set(after.values()) == {TensorProto.INT8, TensorProto.UINT8}


def test_unsigned_leaves_the_given_model_and_its_file_as_they_were(int8_models):
    before = int8_models["none"].to_bytes()
    rewritten = with_unsigned_activations(int8_models["none"])
    assert int8_models["none"].to_bytes() == before
    onnx.checker.check_model(rewritten.proto)
    assert rewritten.contract == int8_models["none"].contract


def error_of(got, wanted) -> tuple[float, float]:
    """Give the mean and the largest error as shares of the largest score."""
    error = np.abs(got - wanted) / np.abs(wanted).max()
    return float(error.mean()), float(error.max())


@NETWORKS
def test_openvino_engine_is_close_to_onnx_runtime_on_int8(int8_models, name):
    """Mostly equal to 1e-6; where a value lies on a rounding edge, a level apart and what follows.

    The mean is within 0.5 % of the largest score, and no score is off by more than 6 %.
    """
    model = int8_models[name]
    scores = []
    with open_engine("openvino", model) as engine:
        for view in VIEWS:
            slot = engine.acquire()
            slot.pixels[...] = view
            engine.submit(slot)
            scores.append(engine.collect().values)
    mean, largest = error_of(scores, run_onnx(model, VIEWS))
    assert mean < 0.005
    assert largest < 0.06
