"""float16 networks keep what the float32 network says."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from networks import make_classifier, make_views, run_onnx
from onnx import TensorProto, helper, numpy_helper
from samples import make_contract

from edge.errors import ModelError
from edge.model.fold import fold
from edge.model.half import to_half
from edge.model.onnx_file import Model
from edge.model.weights import store_weights_int8


def test_half_scores_are_those_of_float(small_model):
    half, whole = to_half(small_model), fold(small_model)
    views = make_views(4)
    wanted = run_onnx(whole, views)
    assert run_onnx(half, views) == pytest.approx(wanted, abs=0.01 * float(np.abs(wanted).max()))


def test_half_holds_no_float32_weight_and_gives_float32_scores(small_model):
    proto = to_half(store_weights_int8(small_model)).proto
    assert {item.data_type for item in proto.graph.initializer} == {TensorProto.FLOAT16}
    assert proto.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert proto.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8


def test_half_refuses_a_weight_that_does_not_fit(small_model):
    proto = onnx.ModelProto()
    proto.CopyFrom(small_model.proto)
    bias = next(item for item in proto.graph.initializer if item.name == "conv10.bias")
    big = np.full(tuple(bias.dims), 1e6, dtype=np.float32)
    bias.CopyFrom(numpy_helper.from_array(big, bias.name))
    with pytest.raises(ModelError, match=r"conv10\.bias does not fit into float16"):
        to_half(Model(proto, small_model.contract))


@pytest.mark.parametrize(
    "made",
    [
        helper.make_node("Constant", [], ["factor"], value_float=0.5),
        helper.make_node("Constant", [], ["factor"], value_floats=[0.5, 1.0, 1.5, 2.0, 2.5]),
        helper.make_node(
            "ConstantOfShape", ["sides"], ["factor"],
            value=helper.make_tensor("value", TensorProto.FLOAT, [1], [0.5]),
        ),
    ],
    ids=["number", "numbers", "filled"],
)  # fmt: skip
def test_half_narrows_numbers_that_stand_in_nodes(made):
    sides = helper.make_node("Constant", [], ["sides"], value_ints=[5])
    product = helper.make_node("Mul", ["pooled", "factor"], ["scores"])
    model = make_classifier(make_contract(), tail=[sides, made, product])
    views = make_views(4)
    wanted = run_onnx(fold(model), views)
    got = run_onnx(to_half(model), views)
    assert got == pytest.approx(wanted, abs=0.01 * float(np.abs(wanted).max()))
