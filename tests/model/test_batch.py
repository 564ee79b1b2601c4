"""An open batch: several pictures at once get the scores that each gets alone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import make_classifier, make_views, run_onnx, told
from onnx import helper, numpy_helper
from samples import make_contract

from edge.errors import InputError, ModelError
from edge.model.batch import Batch, open_batch, parse_batch
from edge.model.fold import fold
from edge.model.half import to_half
from edge.model.onnx_file import Model, load_model, with_contract
from edge.model.zoo import resolve_model


def run_at_once(model: Model, views: np.ndarray) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.to_bytes(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {model.input_name: views})[0]


def bundled(name: str) -> Model:
    return load_model(resolve_model(name))


@pytest.mark.parametrize("kind", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("count", [1, 3])
def test_several_pictures_score_as_each_alone(kind, count):
    alone = {
        "fp32": lambda: fold(bundled("squeezenet8")),
        "fp16": lambda: to_half(bundled("squeezenet8")),
        "int8": lambda: bundled("squeezenet8-int8"),
    }[kind]()
    views = make_views(count, side=alone.contract.input_hw[0], seed=4)
    at_once = run_at_once(open_batch(alone), views)
    assert at_once.shape == (count, 8)
    assert at_once == pytest.approx(run_onnx(alone, views), abs=1e-4)


def reshaped(sides: list[int], *, constant: bool = True, **attributes: int) -> Model:
    """Make a classifier whose last step reshapes to `sides`."""
    shape = numpy_helper.from_array(np.array(sides), "sides")
    tail = [helper.make_node("Reshape", ["pooled", "sides"], ["scores"], **attributes)]
    if constant:
        tail.insert(0, helper.make_node("Constant", [], ["sides"], value=shape))
        return make_classifier(make_contract(), tail=tail)
    model = make_classifier(
        make_contract(), tail=[helper.make_node("Relu", ["pooled"], ["scores"])]
    )
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.graph.node[-1].CopyFrom(tail[0])
    proto.graph.initializer.append(shape)
    return with_contract(proto, model.contract)


@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("sides", [[1, -1], [1, 5], [-1, 5], [0, -1]])
def test_reshape_to_one_picture_follows_the_batch(sides, constant):
    model = fold(reshaped(sides, constant=constant))
    views = make_views(3)
    assert run_at_once(open_batch(model), views) == pytest.approx(run_onnx(model, views), abs=1e-5)


def test_reshape_to_a_bare_list_of_numbers_follows_the_batch():
    tail = [
        helper.make_node("Constant", [], ["sides"], value_ints=[1, -1]),
        helper.make_node("Reshape", ["pooled", "sides"], ["scores"]),
    ]
    model = fold(make_classifier(make_contract(), tail=tail))
    views = make_views(3)
    assert run_at_once(open_batch(model), views) == pytest.approx(run_onnx(model, views), abs=1e-5)


def turned() -> Model:
    """Make a classifier that cannot tell its pictures from its classes."""
    sides = numpy_helper.from_array(np.array([5, 1]), "sides")
    tail = [
        helper.make_node("Constant", [], ["sides"], value=sides),
        helper.make_node("Reshape", ["pooled", "sides"], ["column"]),
        helper.make_node("Transpose", ["column"], ["scores"], perm=[1, 0]),
    ]
    return make_classifier(make_contract(), tail=tail)


@pytest.mark.parametrize("model", [turned, lambda: reshaped([1, 5], allowzero=1)])
def test_network_for_one_picture_only_is_refused(model):
    with pytest.raises(ModelError) as error:
        open_batch(fold(model()))
    assert told(error) == (
        "small: something inside works on one picture only, its batch cannot be open."
        " Leave --batch away"
    )


def test_reshape_of_a_weight_stays_as_it_is():
    weight, sides = np.linspace(0.5, 1.5, 5, dtype=np.float32), np.array([1, 5])
    tail = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(weight)),
        helper.make_node("Constant", [], ["sides"], value=numpy_helper.from_array(sides)),
        helper.make_node("Reshape", ["w", "sides"], ["row"]),
        helper.make_node("Mul", ["pooled", "row"], ["scores"]),
    ]
    model = fold(make_classifier(make_contract(), tail=tail))
    views = make_views(3)
    assert run_at_once(open_batch(model), views) == pytest.approx(run_onnx(model, views), abs=1e-5)


def test_model_itself_is_left_as_it_was(small_model):
    before = small_model.to_bytes()
    opened = open_batch(small_model)
    assert opened.proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert opened.contract == small_model.contract
    assert small_model.to_bytes() == before


@given(st.lists(st.integers(1, 999_999), min_size=3, max_size=3).map(sorted))
def test_batch_survives_its_text(sizes):
    batch = Batch(*sizes)
    assert parse_batch(str(batch)) == batch


@pytest.mark.parametrize(
    "text",
    ["", "1", "1:2", "1:2:3:4", "0:1:1", "2:1:3", "1:3:2", "1:1:-8", "a:b:c", " 1:1:8", "1:1:8\n",
     "1:1:٣", "1:1:9999999", "1.0:1:8"],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(text):
    with pytest.raises(InputError) as error:
        parse_batch(text)
    assert "is not MIN:OPT:MAX with 1 <= MIN <= OPT <= MAX. Give, say, 1:1:8" in told(error)
