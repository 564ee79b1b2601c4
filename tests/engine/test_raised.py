"""Lowered int8 activations as uint8: the same integers, with padding in the place of Pads."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from networks import make_classifier, make_views, prepare_int8, run_onnx
from onnx import TensorProto
from samples import make_contract

from edge.engine.base import open_engine
from edge.engine.raised import raise_lowered
from edge.model.onnx_file import Model
from edge.model.squeezenet import build_squeezenet, random_weights
from edge.quant.qdq import write_qdq

VIEWS = make_views(12, seed=30)
CONTRACT = make_contract()
SHARE = 0.05
"""Of the largest score: what a few sums that are rounded to the other side may move."""


def assert_alike(given, wanted) -> None:
    assert np.ptp(wanted) > 0
    np.testing.assert_allclose(given, wanted, rtol=0, atol=SHARE * np.abs(wanted).max())


def plain(name: str) -> Model:
    if name == "padded":
        return make_classifier(CONTRACT, pads=[1, 1, 1, 1])
    return build_squeezenet(
        "1.1", CONTRACT, random_weights("1.1", 5, bypass=name, seed=3), bypass=name
    )


@pytest.fixture(scope="module", params=["none", "simple", "complex", "padded"])
def lowered(request) -> Model:
    return write_qdq(prepare_int8(plain(request.param), VIEWS, all_levels=True))


def zero_types(model: Model) -> Counter[int]:
    """Count the activations' quantisers by the type of their zero point."""
    types = {item.name: item.data_type for item in model.proto.graph.initializer}
    nodes = [node for node in model.proto.graph.node if node.op_type == "QuantizeLinear"]
    return Counter(types[node.input[2]] for node in nodes)


def test_raised_gives_the_same_scores(lowered):
    """ONNX Runtime node by node on both."""
    wanted = run_onnx(lowered, VIEWS)
    assert_alike(run_onnx(raise_lowered(lowered), VIEWS), wanted)


def test_openvino_gives_the_same_scores(lowered):
    scores = []
    with open_engine("openvino", lowered) as engine:
        for view in VIEWS:
            slot = engine.acquire()
            slot.pixels[...] = view
            engine.submit(slot)
            scores.append(engine.collect().values)
    assert_alike(np.stack(scores), run_onnx(lowered, VIEWS))


def test_squeezenet_has_no_pads_left_and_no_int8_but_its_pixels():
    model = write_qdq(prepare_int8(plain("none"), VIEWS, all_levels=True))
    raised = raise_lowered(model)
    onnx.checker.check_model(raised.proto, full_check=True)
    assert zero_types(model) == {TensorProto.INT8: 26}
    assert zero_types(raised) == {TensorProto.INT8: 1, TensorProto.UINT8: 17}
    assert sum(node.op_type == "Pad" for node in model.proto.graph.node) == 8
    assert not any(node.op_type == "Pad" for node in raised.proto.graph.node)
    read = {name for node in raised.proto.graph.node for name in node.input}
    assert {item.name for item in raised.proto.graph.initializer} <= read


def test_symmetric_network_behind_relu_is_left_as_it_is():
    model = write_qdq(prepare_int8(plain("none"), VIEWS))
    assert raise_lowered(model).to_bytes() == model.to_bytes()


def test_what_is_padded_by_another_value_stays_int8():
    model = write_qdq(prepare_int8(plain("none"), VIEWS, all_levels=True))
    proto = onnx.ModelProto.FromString(model.to_bytes())
    pad = next(node for node in proto.graph.node if node.op_type == "Pad")
    value = next(item for item in proto.graph.initializer if item.name == pad.input[2])
    value.CopyFrom(onnx.numpy_helper.from_array(np.float32(-0.5), value.name))
    raised = raise_lowered(Model(proto, CONTRACT))
    assert zero_types(raised)[TensorProto.INT8] == 3  # the pixels, the activation, its padded form
    assert_alike(run_onnx(raised, VIEWS), run_onnx(Model(proto, CONTRACT), VIEWS))


def test_convolution_that_is_an_output_too_is_not_moved():
    model = write_qdq(prepare_int8(plain("none"), VIEWS, all_levels=True))
    proto = onnx.ModelProto.FromString(model.to_bytes())
    proto.graph.output.append(
        onnx.helper.make_tensor_value_info("fire2/squeeze1x1", TensorProto.FLOAT, None)
    )
    raised = raise_lowered(Model(proto, CONTRACT))
    assert zero_types(raised)[TensorProto.INT8] == 3
