"""Weights as int8: how far they move, what they weigh, and the way back."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from networks import make_classifier, run_onnx
from onnx import helper, numpy_helper
from samples import make_contract
from strategies import QUICK, conv_weights

from edge.model.onnx_file import Model, with_contract
from edge.model.weights import LEVELS, expand_weights, quantize_weight, store_weights_int8


def initializers(model: Model) -> dict[str, np.ndarray]:
    return {i.name: numpy_helper.to_array(i) for i in model.proto.graph.initializer}


@QUICK
@given(weight=conv_weights())
def test_quantize_weight_moves_no_value_by_more_than_half_a_step(weight):
    integers, scale = quantize_weight(weight)
    steps = scale.astype(np.float64)[:, None, None, None]
    error = np.abs(integers * steps - weight)
    assert (error <= steps * (0.5 + 1e-4)).all()


@QUICK
@given(weight=conv_weights())
def test_quantize_weight_gives_symmetric_int8_and_positive_scales(weight):
    integers, scale = quantize_weight(weight)
    assert integers.dtype == np.int8
    assert integers.shape == weight.shape
    assert scale.dtype == np.float32
    assert scale.shape == weight.shape[:1]
    assert (scale > 0).all()
    assert np.abs(integers.astype(int)).max() <= LEVELS


@QUICK
@given(weight=conv_weights())
def test_quantize_weight_gives_the_negative_of_what_it_gives_for_the_negative(weight):
    integers, scale = quantize_weight(weight)
    mirrored, same = quantize_weight(-weight)
    np.testing.assert_array_equal(mirrored, -integers)
    np.testing.assert_array_equal(same, scale)


def test_quantize_weight_uses_the_whole_range_in_each_channel():
    weight = np.random.default_rng(0).normal(0, [[[[1e-3]]], [[[1.0]]], [[[50.0]]]], (3, 4, 3, 3))
    integers, _ = quantize_weight(weight.astype(np.float32))
    assert np.abs(integers).max(axis=(1, 2, 3)).tolist() == [LEVELS] * 3


def test_quantize_weight_keeps_a_channel_of_zeros():
    """TensorRT refuses a scale of zero, so a dead channel must get another."""
    weight = np.ones((2, 3, 1, 1), dtype=np.float32)
    weight[1] = 0
    integers, scale = quantize_weight(weight)
    assert not integers[1].any()
    assert scale[1] > 0


def test_stored_weights_come_back_exactly_on_their_grid(small_model):
    before, after = (
        initializers(small_model),
        initializers(expand_weights(store_weights_int8(small_model))),
    )
    assert before.keys() == after.keys()
    for name, weight in before.items():
        if name.endswith(".bias"):
            np.testing.assert_array_equal(after[name], weight)
        else:
            integers, scale = quantize_weight(weight)
            np.testing.assert_array_equal(after[name], integers * scale[:, None, None, None])


def test_stored_weights_stay_the_same_when_stored_again(small_model):
    once = store_weights_int8(small_model)
    again = store_weights_int8(expand_weights(once))
    first, second = initializers(once), initializers(again)
    for name in first:
        if name.endswith(".int8"):
            np.testing.assert_array_equal(first[name], second[name])


def test_stored_weights_take_a_quarter_of_the_file(small_model):
    stored = store_weights_int8(small_model)
    assert 0.25 < len(stored.to_bytes()) / len(small_model.to_bytes()) < 0.28
    assert stored.parameters == small_model.parameters
    assert stored.contract == small_model.contract


def test_stored_weights_run_as_they_are_and_expanded_alike(small_model):
    stored = store_weights_int8(small_model)
    feed = np.random.default_rng(0).normal(0, 1, (2, 3, 64, 64)).astype(np.float32)
    np.testing.assert_array_equal(run_onnx(stored, feed), run_onnx(expand_weights(stored), feed))


def foreign_weight(integers, scale, zero, **attributes) -> Model:
    """Give the small classifier with its second weight as another tool might store it."""
    proto = onnx.ModelProto()
    proto.CopyFrom(make_classifier(make_contract()).proto)
    graph = proto.graph
    graph.initializer.remove(next(i for i in graph.initializer if i.name == "second.weight"))
    parts = {"i": integers, "s": scale, **({} if zero is None else {"z": zero})}
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in parts.items())
    node = helper.make_node("DequantizeLinear", list(parts), ["second.weight"], **attributes)
    graph.node.insert(0, node)
    return with_contract(proto, make_contract())


@pytest.mark.parametrize("per", ["tensor", "output", "input", "output from the end"])
@pytest.mark.parametrize("zero", [None, np.uint8(131), np.int8(-5)], ids=["none", "uint8", "int8"])
def test_expand_gives_what_the_network_gives_whoever_stored_the_weights(per, zero):
    """Other tools use unsigned integers, zero points, and other axes."""
    rng = np.random.default_rng(0)
    kind = np.dtype(np.uint8) if zero is None else np.asarray(zero).dtype
    integers = rng.integers(0, 100, (5, 6, 1, 1)).astype(kind)
    sides = {"tensor": (), "output": (5,), "input": (6,), "output from the end": (5,)}[per]
    axis = {"tensor": {}, "output": {"axis": 0}, "input": {}, "output from the end": {"axis": -4}}
    scale = rng.uniform(0.01, 0.02, sides).astype(np.float32)
    model = foreign_weight(
        integers, scale, None if zero is None else np.full(sides, zero, kind), **axis[per]
    )
    feed = rng.normal(0, 1, (1, 3, 64, 64)).astype(np.float32)
    expanded = expand_weights(model)
    assert not any(node.op_type == "DequantizeLinear" for node in expanded.proto.graph.node)
    np.testing.assert_allclose(run_onnx(expanded, feed), run_onnx(model, feed), rtol=1e-6)


def test_expand_keeps_a_scale_that_two_weights_share():
    rng = np.random.default_rng(0)
    integers = rng.integers(-100, 100, (5, 6, 1, 1)).astype(np.int8)
    model = foreign_weight(integers, np.array(0.01, dtype=np.float32), None)
    graph = model.proto.graph
    first = next(item for item in graph.initializer if item.name == "first.weight")
    graph.initializer.remove(first)
    other = rng.integers(-100, 100, (6, 3, 3, 3)).astype(np.int8)
    graph.initializer.append(numpy_helper.from_array(other, "i2"))
    graph.node.insert(0, helper.make_node("DequantizeLinear", ["i2", "s"], ["first.weight"]))
    feed = rng.normal(0, 1, (1, 3, 64, 64)).astype(np.float32)
    expanded = expand_weights(model)
    assert "s" not in initializers(expanded)
    np.testing.assert_allclose(run_onnx(expanded, feed), run_onnx(model, feed), rtol=1e-6)
