"""The best classes picked inside the network are those that the whole network has."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from networks import make_classifier, make_views, run_onnx, told
from onnx import TensorProto, helper
from samples import LABELS, make_contract

from edge.errors import InputError, ModelError
from edge.model.batch import open_batch
from edge.model.fold import fold
from edge.model.half import to_half
from edge.model.onnx_file import Model, load_model, with_contract
from edge.model.top_k import add_top_k, spread
from edge.model.zoo import resolve_model
from edge.result import classify, softmax

BUNDLED = {
    "fp32": lambda: fold(load_model(resolve_model("squeezenet8"))),
    "fp16": lambda: to_half(load_model(resolve_model("squeezenet8"))),
    "int8": lambda: load_model(resolve_model("squeezenet8-int8")),
}


@pytest.mark.parametrize("kind", BUNDLED)
@pytest.mark.parametrize("k", [1, 3, 8])
def test_best_classes_are_those_of_the_whole_network(kind, k):
    """Through the loop's own `classify`, from logits there and from the spread best here."""
    whole = BUNDLED[kind]()
    picking, labels = add_top_k(whole, k), whole.contract.labels
    assert picking.contract.output == "probabilities"
    views = make_views(4, side=whole.contract.input_hw[0], seed=2)
    best, scores = run_onnx(picking, views, "top"), run_onnx(whole, views)
    assert best.shape == (4, 2 * k)
    assert best.dtype == np.float32
    for row, logits in zip(best, scores, strict=True):
        here = classify(spread(row, len(labels)), labels, k, are_logits=False)
        there = classify(logits, labels, k, are_logits=True)
        assert [guess.index for guess in here.top] == [guess.index for guess in there.top]
        assert [guess.p for guess in here.top] == pytest.approx(
            [guess.p for guess in there.top], abs=1e-6
        )


@pytest.mark.parametrize("sides", [(1, 5, 1, 1), (5,)])
def test_scores_of_any_shape_are_taken(sides):
    """Exporters leave the pool's sides on, or take the batch away."""
    proto = onnx.ModelProto()
    tail = [
        helper.make_node("Softmax", ["pooled"], ["p"], axis=1),
        helper.make_node("Constant", [], ["sides"], value_ints=sides),
        helper.make_node("Reshape", ["p", "sides"], ["scores"]),
    ]
    contract = make_contract(output="probabilities")
    relu = helper.make_node("Relu", ["pooled"], ["scores"])
    proto.CopyFrom(fold(make_classifier(contract, tail=[relu])).proto)
    del proto.graph.node[-1], proto.graph.output[:]
    proto.graph.node.extend(tail)
    proto.graph.output.append(helper.make_tensor_value_info("scores", TensorProto.FLOAT, sides))
    model = with_contract(proto, contract)
    views = make_views(1)
    p = run_onnx(model, views).reshape(5)
    top = run_onnx(add_top_k(model, 2), views, "top")[0]
    assert top[2:].tolist() == np.argsort(-p)[:2].tolist()
    assert top[:2] == pytest.approx(np.sort(p)[::-1][:2])


@pytest.mark.parametrize("change", ["old", "same name"])
def test_network_that_cannot_is_refused(small_model, change):
    proto = onnx.ModelProto()
    proto.CopyFrom(fold(small_model).proto)
    if change == "old":
        proto.opset_import[0].version = 9
    else:
        proto.graph.node[-1].output[0] = proto.graph.output[0].name = "top/k"
    with pytest.raises(ModelError) as error:
        add_top_k(Model(proto, small_model.contract), 2)
    assert "small: its best classes cannot be picked inside" in told(error)


def test_open_batch_picks_for_each_picture(small_model):
    import onnxruntime

    model, views = add_top_k(open_batch(fold(small_model)), 2), make_views(3)
    session = onnxruntime.InferenceSession(model.to_bytes(), providers=["CPUExecutionProvider"])
    alone = run_onnx(add_top_k(fold(small_model), 2), views, "top")
    assert session.run(None, {"pixels": views})[0] == pytest.approx(alone, abs=1e-5)


@given(
    npst.arrays(np.float32, st.integers(1, 2000), elements=st.floats(-30, 30, width=32)),
    st.data(),
)
def test_spread_keeps_the_best_and_zeroes_the_rest(scores, data):
    p = softmax(scores)
    k = data.draw(st.integers(1, len(p)))
    best = np.argsort(-p, kind="stable")[:k]
    wide = spread(np.concatenate([p[best], best.astype(np.float32)]), len(p))
    assert wide.dtype == np.float32
    assert wide[best].tolist() == p[best].tolist()
    assert np.count_nonzero(np.delete(wide, best)) == 0


@pytest.mark.parametrize("k", [0, 6])
def test_more_than_there_are_is_refused(small_model, k):
    with pytest.raises(InputError) as error:
        add_top_k(fold(small_model), k)
    assert told(error) == f"--top {k}: small has {len(LABELS)} classes. Give 1 to 5"
