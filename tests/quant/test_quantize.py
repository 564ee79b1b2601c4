"""fp32 to int8 as a whole: close to float, the same each time, honest about what stays float."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from networks import make_classifier, make_odd, make_residual, make_vgg, make_views, run_onnx, told
from onnx import helper, numpy_helper
from samples import LABELS, make_contract, make_picture

from edge.errors import ModelError
from edge.model.fold import fold
from edge.model.onnx_file import load_model, save_model, with_contract
from edge.model.weights import expand_weights, store_weights_int8
from edge.quant.dataset import open_calibration_set
from edge.quant.quantize import QuantOptions, quantize


def silent(done: int) -> None:
    """Take the progress and show nothing."""


@pytest.fixture
def calibration(picture_folder):
    return open_calibration_set(picture_folder)


@pytest.fixture(scope="module")
def told_and_quantized(small_model, tmp_path_factory):
    """Give SqueezeNet in INT8, and the progress that was told meanwhile."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        make_picture(folder / f"{number}.png", seed=number)
    done: list[int] = []
    return done, quantize(small_model, open_calibration_set(folder), progress=done.append)


@pytest.fixture
def quantized(told_and_quantized):
    return told_and_quantized[1]


def refusal(model, calibration) -> str:
    with pytest.raises(ModelError) as caught:
        quantize(model, calibration, progress=silent)
    return told(caught)


def gemm_tail(classes: int = len(LABELS)):
    """Make a tail that ends in a matrix product, and its weight."""
    weight = np.random.default_rng(1).normal(0, 1, (classes, classes)).astype(np.float32)
    return [
        helper.make_node("Constant", [], ["fc.weight"], value=numpy_helper.from_array(weight)),
        helper.make_node("Gemm", ["pooled", "fc.weight"], ["scores"], name="fc"),
    ]


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_int8_gives_probabilities_close_to_float(small_model, quantized):
    """On 24 new pictures: none off by more than 0.03, and the best class mostly the same."""
    views = make_views(24, seed=77)
    wanted = softmax(run_onnx(fold(small_model), views))
    got = softmax(run_onnx(quantized.model, views))
    assert np.abs(wanted - got).max() < 0.03
    assert (wanted.argmax(axis=1) == got.argmax(axis=1)).mean() >= 0.75


def test_quantize_says_what_it_did(small_model, told_and_quantized, tmp_path):
    done, quantized = told_and_quantized
    assert done == [1, 2, 3, 4, 5, 6]
    assert quantized.int8_convs == 26
    assert quantized.float_ops == {}
    assert len(quantized.ranges) == 17
    assert min(one.reach for one in quantized.ranges.values()) > 0
    assert quantized.model.is_int8
    assert quantized.model.takes_pixels
    save_model(quantized.model, tmp_path / "int8.onnx")
    assert load_model(tmp_path / "int8.onnx").contract.name == "small-int8"
    assert (tmp_path / "int8.onnx").stat().st_size < len(small_model.to_bytes()) * 0.28


def test_quantize_gives_the_same_bytes_for_the_same_pictures(small_model, quantized, calibration):
    """They lie in another folder."""
    again = quantize(small_model, calibration, progress=silent)
    assert again.model.to_bytes() == quantized.model.to_bytes()


def test_quantize_takes_weights_that_are_stored_as_int8(calibration):
    """They lie on the grid already, so that nothing more is lost."""
    model = store_weights_int8(make_classifier(make_contract(), pads=[1, 1, 1, 1]))
    views = make_views(3)
    stored, expanded = (
        run_onnx(quantize(one, calibration, progress=silent).model, views)
        for one in (model, expand_weights(model))
    )
    np.testing.assert_array_equal(stored, expanded)


def test_quantize_refuses_what_is_quantised_already(quantized, calibration):
    line = refusal(quantized.model, calibration)
    assert line == "small-int8: is quantised already. Give the fp32 model"


def test_quantize_refuses_a_network_without_convolution(calibration):
    contract = make_contract()
    weight = np.random.default_rng(0).normal(0, 1, (3 * 64 * 64, 5)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["input"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight"], ["scores"]),
        ],
        "flat",
        [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(weight, "weight")],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = with_contract(helper.make_model(graph, opset_imports=opsets, ir_version=8), contract)
    assert refusal(model, calibration).startswith("small: has no convolution to quantise. ")


def test_quantize_refuses_an_opset_without_scales_for_channels(calibration):
    model = make_classifier(make_contract())
    model.proto.opset_import[0].version = 12
    assert refusal(model, calibration).startswith("small: has opset 12, quantising wants 13 or ")


def test_quantize_names_the_tensor_and_picture_when_a_value_is_not_finite(calibration):
    model = make_classifier(make_contract(), pads=[1, 1, 1, 1])
    weight = model.proto.graph.initializer[0]
    broken = numpy_helper.to_array(weight).copy()
    broken[0] = 3e38
    weight.CopyFrom(numpy_helper.from_array(broken, weight.name))
    line = refusal(model, calibration)
    assert line.startswith(f"small: tensor first/relu is not finite on {calibration.files[0]}. ")


def test_quantize_reports_a_matrix_product_that_stays_float(calibration):
    model = make_classifier(make_contract(), tail=gemm_tail())
    quantized = quantize(model, calibration, progress=silent)
    assert quantized.float_ops == {"Gemm fc": "only convolutions are quantised"}
    assert quantized.int8_convs == 2
    gemm = next(node for node in quantized.model.proto.graph.node if node.op_type == "Gemm")
    assert list(gemm.input) == ["pooled", "fc.weight"]


def test_quantize_reports_a_convolution_whose_weight_is_computed(calibration):
    """Neither node has a name here, as some tools leave them out."""
    model = make_classifier(make_contract())
    graph = model.proto.graph
    graph.node[2].input[1] = "computed"
    graph.node.insert(2, helper.make_node("Abs", ["second.weight"], ["computed"]))
    quantized = quantize(model, calibration, progress=silent)
    assert quantized.int8_convs == 1
    assert quantized.float_ops == {"Conv second": "its weight or bias is not stored as float32"}


def test_quantize_keeps_a_convolution_float_whose_bias_is_computed(calibration):
    """PyTorch's exporter lets equal biases share one through Identity."""
    model = make_classifier(make_contract())
    graph = model.proto.graph
    graph.node[0].input[2] = "shared"
    graph.node.insert(0, helper.make_node("Identity", ["first.bias"], ["shared"]))
    quantized = quantize(model, calibration, progress=silent)
    assert quantized.float_ops == {"Conv first": "its weight or bias is not stored as float32"}
    views = make_views(4)
    wanted, got = run_onnx(fold(model), views), run_onnx(quantized.model, views)
    np.testing.assert_allclose(got, wanted, atol=0.02 * np.abs(wanted).max())


def test_quantize_takes_a_network_whose_only_convolution_reads_the_pixels(calibration):
    model = make_classifier(make_contract())
    graph = model.proto.graph
    graph.node[2].input[1] = "computed"
    graph.node.insert(2, helper.make_node("Abs", ["second.weight"], ["computed"]))
    quantized = quantize(model, calibration, progress=silent)
    assert quantized.ranges == {}
    views = make_views(4)
    wanted, got = run_onnx(fold(model), views), run_onnx(quantized.model, views)
    np.testing.assert_allclose(got, wanted, atol=0.02 * np.abs(wanted).max())


@pytest.mark.parametrize("all_levels", [False, True])
@pytest.mark.parametrize(
    ("make", "convs", "stays_float"), [(make_vgg, 4, ["Gemm fc"]), (make_residual, 7, [])]
)
def test_quantize_takes_networks_that_are_no_squeezenet(
    calibration, make, convs, stays_float, all_levels
):
    model = make(make_contract())
    quantized = quantize(
        model, calibration, progress=silent, options=QuantOptions(all_levels=all_levels)
    )
    assert quantized.int8_convs == convs
    assert list(quantized.float_ops) == stays_float
    views = make_views(8, seed=77)
    wanted, got = run_onnx(fold(model), views), run_onnx(quantized.model, views)
    np.testing.assert_allclose(got, wanted, atol=0.1 * np.abs(wanted).max())


def test_quantize_says_what_it_does_not_understand_and_leaves_it_float(calibration):
    model = make_odd(make_contract())
    quantized = quantize(
        model, calibration, progress=silent, options=QuantOptions(keep_float=("last",))
    )
    assert quantized.int8_convs == 2
    assert quantized.float_ops == {
        "ConvTranspose up": "only convolutions are quantised",
        "Conv computed": "its weight or bias is not stored as float32",
        "Conv last": "it was asked for",
    }
    views = make_views(8, seed=77)
    wanted, got = run_onnx(fold(model), views), run_onnx(quantized.model, views)
    np.testing.assert_allclose(got, wanted, atol=0.05 * np.abs(wanted).max())


def test_quantize_says_why_an_activation_has_half_of_the_levels(calibration):
    options = QuantOptions(all_levels=True)
    halved = quantize(
        make_odd(make_contract()), calibration, progress=silent, options=options
    ).halved
    assert halved == {
        "computed/relu": "Conv computed stands before it",
        "gate": "Sigmoid gate stands before it",
    }
