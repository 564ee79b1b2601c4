"""Preprocessing inside the network: the same scores from pixels as from prepared values."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from networks import make_classifier, make_views, run_onnx
from onnx import helper, numpy_helper
from samples import make_contract

from edge.model.fold import PIXELS, fold
from edge.model.onnx_file import Model, shape_of, with_contract
from edge.model.squeezenet import build_squeezenet, random_weights
from edge.model.weights import expand_weights, store_weights_int8

VIEWS = make_views(3)
ORDERS = pytest.mark.parametrize("order", ["BGR", "RGB"])
FIRST_CONVS = pytest.mark.parametrize(
    ("conv", "folds"),
    [
        ({}, True),
        ({"bias": False}, True),
        ({"auto_pad": "VALID"}, True),
        ({"pads": [1, 1, 1, 1]}, False),
        ({"pads": [0, 0, 0, 1], "bias": False}, False),
        ({"auto_pad": "SAME_UPPER"}, False),
        ({"group": 3}, False),
        ({"pads": [1, 1, 1, 1], "input_name": PIXELS}, False),
    ],
    ids=["plain", "no bias", "valid", "padded", "one side", "same", "grouped", "our own name"],
)


def prepared(views, contract):
    """Do what the contract says by hand, in float64."""
    planes = views.transpose(0, 3, 1, 2).astype(np.float64)
    if contract.channel_order == "RGB":
        planes = planes[:, ::-1]
    mean, std = (np.array(part).reshape(1, 3, 1, 1) for part in (contract.mean, contract.std))
    return ((planes - mean) / std).astype(np.float32)


def assert_same_scores(model: Model, folded: Model) -> None:
    wanted = run_onnx(model, prepared(VIEWS, model.contract))
    assert np.abs(wanted).max() > 0.1, "a network that always gives zero proves nothing"
    np.testing.assert_allclose(run_onnx(folded, VIEWS), wanted, rtol=1e-3, atol=1e-4)


def operators(model: Model) -> list[str]:
    return [node.op_type for node in model.proto.graph.node]


@ORDERS
@FIRST_CONVS
def test_fold_gives_the_same_scores_from_pixels(order, conv, folds):
    model = make_classifier(make_contract(channel_order=order), **conv)
    folded = fold(model)
    assert_same_scores(model, folded)
    assert ("Sub" not in operators(folded)) is folds


@ORDERS
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_fold_gives_the_same_scores_from_pixels_through_squeezenet(order, version):
    contract = make_contract(channel_order=order)
    model = build_squeezenet(version, contract, random_weights(version, 5))
    assert_same_scores(model, fold(model))


def test_fold_tells_the_channel_orders_apart():
    """The comparison above can fail: the wrong order gives other scores."""
    scores = [
        run_onnx(fold(make_classifier(make_contract(channel_order=order))), VIEWS)
        for order in ("BGR", "RGB")
    ]
    assert np.abs(scores[0] - scores[1]).max() > 0.1


@FIRST_CONVS
def test_fold_takes_weights_that_are_stored_as_int8(conv, folds):
    model = store_weights_int8(make_classifier(make_contract(), **conv))
    folded = fold(model)
    assert_same_scores(expand_weights(model), folded)
    assert ("Sub" not in operators(folded)) is folds
    assert "DequantizeLinear" not in operators(folded)


def test_fold_makes_the_input_bgr_pixels_and_keeps_the_contract(small_model):
    folded = fold(small_model)
    (pixels,) = folded.proto.graph.input
    assert pixels.name == PIXELS
    assert pixels.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert shape_of(pixels) == [1, 64, 64, 3]
    assert folded.contract == small_model.contract
    assert folded.parameters == small_model.parameters


def test_fold_changes_nothing_when_done_twice(small_model):
    folded = fold(small_model)
    assert fold(folded).to_bytes() == folded.to_bytes()


def test_fold_leaves_the_given_model_as_it_was(small_model):
    before = small_model.to_bytes()
    fold(small_model)
    assert small_model.to_bytes() == before


def test_fold_subtracts_in_nodes_when_the_input_has_another_reader():
    """A weight of one reader cannot hold the mean for both."""
    model = make_classifier(make_contract())
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.graph.node[-1].output[0] = "pooled"
    proto.graph.node.extend([
        helper.make_node("ReduceMean", ["input"], ["average"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Add", ["pooled", "average"], ["scores"]),
    ])  # fmt: skip
    model = with_contract(proto, model.contract)
    folded = fold(model)
    assert_same_scores(model, folded)
    assert "Sub" in operators(folded)


def test_fold_leaves_a_weight_alone_that_a_second_convolution_reads():
    """Two convolutions with one weight: only the one behind the input wants it scaled."""
    model = make_classifier(make_contract())
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    graph = proto.graph
    three = np.random.default_rng(5).normal(0, 0.3, (3, 3, 3, 3)).astype(np.float32)
    graph.initializer.append(numpy_helper.from_array(three, "shared"))
    graph.node[0].input[0] = "again"
    for place, (tensor, made) in enumerate([("input", "once"), ("once", "again")]):
        graph.node.insert(place, helper.make_node("Conv", [tensor, "shared"], [made]))
    model = with_contract(proto, model.contract)
    assert_same_scores(model, fold(model))


def test_fold_does_not_touch_a_weight_that_does_not_read_three_planes():
    """A broken file must fail in the engine, not give scores of a weight bent into shape."""
    model = make_classifier(make_contract())
    model.proto.graph.initializer[0].dims[:] = [6, 27]
    stored = {item.name: list(item.dims) for item in fold(model).proto.graph.initializer}
    assert stored["first.weight"] == [6, 27]


def test_fold_takes_an_old_file_that_lists_its_weights_among_the_inputs():
    model = make_classifier(make_contract())
    old = onnx.ModelProto()
    old.CopyFrom(model.proto)
    old.ir_version = 3
    old.graph.input.extend(
        helper.make_tensor_value_info(item.name, item.data_type, item.dims)
        for item in old.graph.initializer
    )
    assert_same_scores(model, fold(with_contract(old, model.contract)))
