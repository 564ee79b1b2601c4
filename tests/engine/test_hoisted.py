"""Quantisers in front of max pools: the same integers, and pools that run on int8."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from networks import make_views, prepare_int8, run_onnx
from onnx import helper
from samples import make_contract

from edge.engine.hoisted import with_hoisted_quantizers
from edge.engine.raised import raise_lowered
from edge.model.onnx_file import Model
from edge.model.squeezenet import build_squeezenet, random_weights
from edge.quant.qdq import write_qdq

VIEWS = make_views(12, seed=31)
CONTRACT = make_contract()


def plain(name):
    return build_squeezenet(name, CONTRACT, random_weights(name, 5, seed=4))


@pytest.fixture(scope="module", params=["1.0", "1.1"])
def int8(request):
    return raise_lowered(write_qdq(prepare_int8(plain(request.param), VIEWS, all_levels=True)))


def makers(model):
    return {name: node for node in model.proto.graph.node for name in node.output}


def pools(model):
    return [node for node in model.proto.graph.node if node.op_type == "MaxPool"]


def test_every_score_stays_the_same_to_the_bit(int8):
    hoisted = with_hoisted_quantizers(int8)
    onnx.checker.check_model(hoisted.proto, full_check=True)
    np.testing.assert_array_equal(run_onnx(hoisted, VIEWS), run_onnx(int8, VIEWS))


def test_every_pool_reads_dequantised_values(int8):
    hoisted = with_hoisted_quantizers(int8)
    made_by = makers(hoisted)
    assert pools(hoisted)
    assert {made_by[pool.input[0]].op_type for pool in pools(hoisted)} == {"DequantizeLinear"}
    before = {makers(int8)[pool.input[0]].op_type for pool in pools(int8)}
    assert "DequantizeLinear" not in before


def test_given_model_is_left_alone(int8):
    kept = int8.proto.SerializeToString(deterministic=True)
    with_hoisted_quantizers(int8)
    assert int8.proto.SerializeToString(deterministic=True) == kept


def test_pool_that_somebody_else_reads_too_keeps_its_place(int8):
    """Its float values are wanted as they are."""
    proto = onnx.ModelProto()
    proto.CopyFrom(int8.proto)
    pool = pools(Model(proto, CONTRACT))[0]
    proto.graph.node.append(helper.make_node("Identity", [pool.output[0]], ["kept"]))
    proto.graph.output.append(helper.make_empty_tensor_value_info("kept"))
    hoisted = with_hoisted_quantizers(Model(proto, CONTRACT))
    same = next(node for node in pools(hoisted) if node.output[0] == pool.output[0])
    assert makers(hoisted)[same.input[0]].op_type != "DequantizeLinear"
    assert len(pools(hoisted)) == len(pools(int8))
