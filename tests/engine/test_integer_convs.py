"""Integers around each convolution change no level, and ONNX Runtime then multiplies integers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import make_views, prepare_int8, run_engine, run_onnx
from onnx import numpy_helper
from samples import make_contract

from edge.engine.integer_convs import (
    BIAS_OF_NOTHING,
    with_early_quantizers,
    with_integer_biases,
    with_integer_convs,
)
from edge.engine.onnxruntime import BIAS_ROUNDING, onnxruntime_form
from edge.model.onnx_file import Model
from edge.model.squeezenet import build_squeezenet, random_weights
from edge.quant.qdq import write_qdq

VIEWS = make_views(6, seed=5)
CONVOLUTIONS, POOLS = 26, 3


@pytest.fixture(scope="module")
def int8_model() -> Model:
    plain = build_squeezenet("1.1", make_contract(), random_weights("1.1", 5, seed=3))
    return write_qdq(prepare_int8(plain, make_views(4), all_levels=True))


def array_of(model: Model, name: str) -> np.ndarray:
    return next(
        numpy_helper.to_array(item) for item in model.proto.graph.initializer if item.name == name
    )


def change(model: Model, arrays: dict[str, np.ndarray], layer: str) -> Model:
    """Give a copy with other arrays of a layer."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for item in proto.graph.initializer:
        array = arrays.get(item.name.removeprefix(f"{layer}/"))
        if array is not None:
            item.CopyFrom(numpy_helper.from_array(array, item.name))
    return Model(proto, model.contract)


def test_early_quantisers_change_no_level(int8_model):
    found = with_early_quantizers(int8_model)
    count = [
        Counter(one.op_type for one in model.proto.graph.node) for model in (int8_model, found)
    ]
    assert count[1]["QuantizeLinear"] == count[0]["QuantizeLinear"] + 2 * count[0]["Concat"] + 3
    np.testing.assert_array_equal(run_onnx(found, VIEWS), run_onnx(int8_model, VIEWS))


def test_integer_biases_change_ties_alone(int8_model):
    """Here the sums are so small that a step of them is seen at all."""
    tensor = "fire2/squeeze1x1/relu/q"
    found, wanted = (
        run_onnx(model, VIEWS, tensor).astype(int)
        for model in (with_integer_biases(int8_model), int8_model)
    )
    assert np.abs(found - wanted).max() <= 1
    assert (found != wanted).mean() < 0.005
    assert len(np.unique(wanted)) > 100


def test_onnx_runtime_multiplies_integers(int8_model, tmp_path):
    """All convolutions but the last one, whose scores are float."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(
        onnxruntime_form(int8_model).to_bytes(), options, providers=["CPUExecutionProvider"],
        disabled_optimizers=[BIAS_ROUNDING],
    )  # fmt: skip
    count = Counter(node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert (count["QLinearConv"], count["QLinearConcat"]) == (CONVOLUTIONS - 1, 8)
    assert count["Conv"] + count["FusedConv"] == 1


def test_engine_gives_the_scores_of_the_file(int8_model):
    """Ties change a score of this network by one part in a hundred."""
    found, wanted = run_engine("onnxruntime", int8_model, VIEWS), run_onnx(int8_model, VIEWS)
    assert np.abs(found - wanted).mean() < 0.1 * wanted.std(axis=0).mean()


def test_channel_without_weights_keeps_its_bias(int8_model):
    """Its scale may be tiny, and its bias in steps of it beyond int32: ONNX Runtime cuts it."""
    layer = "fire4/expand1x1"
    weights = array_of(int8_model, f"{layer}/weight/int8").copy()
    scales = array_of(int8_model, f"{layer}/weight/scale").copy()
    biases = array_of(int8_model, f"{layer}/bias").copy()
    weights[3], scales[3], biases[3] = 0, 1e-12, 0.25
    dead = change(
        int8_model, {"weight/int8": weights, "weight/scale": scales, "bias": biases}, layer
    )
    found = with_integer_biases(dead)
    conv = next(node for node in found.proto.graph.node if node.name == layer)
    assert array_of(found, f"{conv.output[0]}/bias/int32")[3] == BIAS_OF_NOTHING
    (channel,) = {float(v) for v in run_onnx(found, VIEWS[:1], conv.output[0])[0, 3].ravel()}
    assert channel == pytest.approx(0.25)


def test_bias_that_does_not_fit_stays_float(int8_model):
    layer = "fire4/expand1x1"
    tiny = np.full_like(array_of(int8_model, f"{layer}/weight/scale"), 1e-12)
    model = change(int8_model, {"weight/scale": tiny}, layer)
    names = {item.name for item in with_integer_biases(model).proto.graph.initializer}
    assert not [name for name in names if layer in name and name.endswith("bias/int32")]
    assert len([name for name in names if name.endswith("bias/int32")]) == CONVOLUTIONS - 1


def test_network_without_quantisers_stays_as_it_is(small_model):
    assert with_integer_convs(small_model).to_bytes() == small_model.to_bytes()
