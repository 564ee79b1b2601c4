"""Scales for TensorRT's own quantisation: of every float tensor, one where no value changes."""

from __future__ import annotations

import numpy as np
import pytest
from networks import make_classifier, run_onnx, told
from onnx import helper, numpy_helper
from samples import make_contract

from edge.errors import ModelError
from edge.model.fold import fold
from edge.quant.dataset import open_calibration_set
from edge.quant.implicit import float_tensors, measure_scales


def silent(_done: int) -> None:
    """Take the progress and show nothing."""


def test_scale_is_the_largest_magnitude_over_127(picture_folder):
    model = fold(make_classifier(make_contract()))
    pictures = open_calibration_set(picture_folder)
    views = np.stack([view.copy() for view in pictures.views(model.contract)])
    done = []
    scales = measure_scales(model, pictures, done.append)
    assert done == [1, 2, 3, 4, 5, 6]
    assert list(scales) == ["pixels", "pixels/float", "pixels/planes", "first", "first/relu",
                            "second", "pool", "scores"]  # fmt: skip
    assert scales["pixels"] == scales["pixels/planes"] == 255 / 127
    for name in ("first", "first/relu", "second"):
        largest = np.abs(run_onnx(model, views, name)).max()
        np.testing.assert_allclose(scales[name], largest / 127, rtol=1e-5)
    assert scales["pool"] == scales["scores"]  # Flatten changes no value


def test_branches_of_a_concat_and_the_pool_behind_it_have_one_scale(small_model, picture_folder):
    scales = measure_scales(fold(small_model), open_calibration_set(picture_folder), silent)
    one = {scales[f"fire3/{name}"] for name in ("expand1x1/relu", "expand3x3/relu", "concat")}
    assert one == {scales["pool3"]}
    assert len({scales[f"fire3/{name}"] for name in ("expand1x1", "expand3x3", "squeeze1x1")}) == 3


def test_every_scale_is_positive_where_a_tensor_is_always_zero(picture_folder):
    model = make_classifier(make_contract())
    for item in list(model.proto.graph.initializer):
        if item.name.startswith("first"):
            zeros = np.zeros_like(numpy_helper.to_array(item))
            item.CopyFrom(numpy_helper.from_array(zeros, item.name))
    scales = measure_scales(fold(model), open_calibration_set(picture_folder), silent)
    assert scales["first"] == 1 / 127
    assert min(scales.values()) > 0


def test_integers_and_constants_are_left_out():
    tail = [
        helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.float32([2]))),
        helper.make_node("Mul", ["pooled", "k"], ["twice"]),
        helper.make_node("Shape", ["twice"], ["sides"]),
        helper.make_node("Reshape", ["twice", "sides"], ["scores"]),
    ]
    names = float_tensors(fold(make_classifier(make_contract(), tail=tail)))
    assert names[-3:] == ["pooled", "twice", "scores"]
    assert not {"k", "sides", "pixels"} & set(names)


def test_value_that_is_not_finite_is_refused_with_its_tensor_and_picture(picture_folder):
    model = make_classifier(make_contract(), pads=[1, 1, 1, 1])
    weight = model.proto.graph.initializer[0]
    broken = numpy_helper.to_array(weight).copy()
    broken[0] = 3e38
    weight.CopyFrom(numpy_helper.from_array(broken, weight.name))
    pictures = open_calibration_set(picture_folder)
    with pytest.raises(ModelError) as caught:
        measure_scales(fold(model), pictures, silent)
    assert told(caught).startswith(f"small: tensor first is not finite on {pictures.files[0]}. ")
