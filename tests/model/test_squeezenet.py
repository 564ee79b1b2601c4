"""SqueezeNet as built: its parameters, sizes, bypasses, and one fire module by hand."""

from __future__ import annotations

import numpy as np
import pytest
from networks import run_onnx, told
from onnx import shape_inference
from samples import make_contract

from edge.errors import ModelError
from edge.model.onnx_file import shape_of
from edge.model.squeezenet import build_squeezenet, random_weights, weight_shapes

BYPASSES = ("none", "simple", "complex")


def contract_for(height: int, width: int, classes: int):
    labels = tuple(f"class {number}" for number in range(classes))
    return make_contract(
        input_hw=(height, width), resize_short_px=max(height, width), labels=labels
    )


def normal_feed(height: int = 64, width: int = 64):
    return np.random.default_rng(1).normal(0, 1, (1, 3, height, width)).astype(np.float32)


@pytest.mark.parametrize(
    ("version", "side", "count"), [("1.0", 227, 1_248_424), ("1.1", 224, 1_235_496)]
)
def test_squeezenet_has_the_published_parameter_count_for_imagenet(version, side, count):
    weights = random_weights(version, 1000)
    assert sum(array.size for array in weights.values()) == count
    assert build_squeezenet(version, contract_for(side, side, 1000), weights).parameters == count


@pytest.mark.parametrize(
    ("version", "side", "final_pad", "sizes"),
    [
        (
            "1.0",
            227,
            0,
            {"conv1": 111, "pool1": 55, "pool4": 27, "pool8": 13, "conv10": 13, "pool10": 1},
        ),
        ("1.0", 224, 0, {"conv1": 109, "pool1": 54, "pool4": 27, "pool8": 13}),
        ("1.0", 227, 1, {"pool8": 13, "conv10": 15, "pool10": 1}),
        ("1.1", 224, 0, {"conv1": 111, "pool1": 55, "pool3": 27, "pool5": 13, "conv10": 13}),
    ],
)
def test_squeezenet_has_the_published_sizes_inside(version, side, final_pad, sizes):
    """Pools round up, as Caffe's do: rounded down, 54 would give 26."""
    model = build_squeezenet(
        version, contract_for(side, side, 2), random_weights(version, 2), final_pad=final_pad
    )
    inferred = shape_inference.infer_shapes(model.proto, strict_mode=True, data_prop=True)
    shapes = {item.name: shape_of(item) for item in inferred.graph.value_info}
    assert {name: shapes[name][2:] for name in sizes} == {
        name: [size, size] for name, size in sizes.items()
    }


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    ("height", "width", "classes"), [(32, 32, 1), (33, 47, 2), (100, 64, 7), (32, 32, 1000)]
)
def test_squeezenet_gives_a_finite_score_for_each_class_at_any_size(
    version, height, width, classes
):
    contract = contract_for(height, width, classes)
    model = build_squeezenet(version, contract, random_weights(version, classes))
    scores = run_onnx(model, normal_feed(height, width))
    assert scores.shape == (1, classes)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_squeezenet_gives_other_scores_with_each_bypass(version):
    weights = random_weights(version, 5, bypass="complex")
    scores = [
        run_onnx(build_squeezenet(version, make_contract(), weights, bypass=bypass), normal_feed())
        for bypass in BYPASSES
    ]
    assert [one.shape for one in scores] == [(1, 5)] * 3
    assert len({one.tobytes() for one in scores}) == 3


@pytest.mark.parametrize(
    ("bypass", "summed", "parameters"),
    [("none", [], 0), ("simple", [3, 5, 7, 9], 0), ("complex", list(range(2, 10)), None)],
)
def test_squeezenet_adds_the_bypasses_of_the_paper(bypass, summed, parameters):
    """Complex bypass: a 1x1 convolution where the channels differ, around fire 2, 4, 6 and 8."""
    weights = random_weights("1.0", 5, bypass=bypass)
    model = build_squeezenet("1.0", make_contract(), weights, bypass=bypass)
    outputs = [node.output[0] for node in model.proto.graph.node if node.op_type == "Add"]
    assert outputs == [f"fire{number}/sum" for number in summed]
    plain = sum(np.prod(shape) + shape[0] for shape in weight_shapes("1.0", 5).values())
    extra = 128 * 96 + 256 * 128 + 384 * 256 + 512 * 384 + 128 + 256 + 384 + 512
    assert model.parameters - plain == (extra if parameters is None else parameters)


def test_squeezenet_adds_the_input_of_a_fire_module_to_its_output_when_bypassed():
    weights = random_weights("1.1", 5)
    model = build_squeezenet("1.1", make_contract(), weights, bypass="simple")
    skip, fired, total = (
        run_onnx(model, normal_feed(), name)
        for name in ("fire2/concat", "fire3/concat", "fire3/sum")
    )
    np.testing.assert_allclose(total, skip + fired, rtol=1e-6)


def test_fire_module_gives_what_numpy_gives(small_model):
    """Squeeze, then 1x1 and padded 3x3 side by side, the 1x1 half first."""
    weights = random_weights("1.1", 5, seed=3)
    feed = normal_feed()
    tensor, fired = (run_onnx(small_model, feed, name)[0] for name in ("pool1", "fire2/concat"))

    def conv(name, values, size):
        padded = np.pad(values, ((0, 0), (size // 2, size // 2), (size // 2, size // 2)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
        made = np.einsum("oikl,iyxkl->oyx", weights[f"fire2/{name}.weight"], windows)
        return np.maximum(made + weights[f"fire2/{name}.bias"][:, None, None], 0)

    squeezed = conv("squeeze1x1", tensor, 1)
    wanted = np.concatenate([conv("expand1x1", squeezed, 1), conv("expand3x3", squeezed, 3)])
    np.testing.assert_allclose(fired, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bypass", BYPASSES)
def test_build_names_a_weight_that_is_missing_or_has_another_shape(bypass):
    name = "fire4/bypass1x1" if bypass == "complex" else "fire4/expand3x3"
    for kind in ("weight", "bias"):
        weights = random_weights("1.1", 5, bypass=bypass)
        weights[f"{name}.{kind}"] = weights[f"{name}.{kind}"][:-1]
        with pytest.raises(ModelError) as caught:
            build_squeezenet("1.1", make_contract(), weights, bypass=bypass)
        assert f"small: weight {name}.{kind} is (" in told(caught)
        del weights[f"{name}.{kind}"]
        with pytest.raises(ModelError) as caught:
            build_squeezenet("1.1", make_contract(), weights, bypass=bypass)
        assert told(caught).startswith(f"small: weight {name}.{kind} is missing. ")


def test_build_refuses_weights_for_another_number_of_classes():
    with pytest.raises(ModelError) as caught:
        build_squeezenet("1.1", make_contract(), random_weights("1.1", 4))
    assert "weight conv10.weight is (4, 512, 1, 1), (5, 512, 1, 1) is wanted" in told(caught)


def test_build_refuses_an_input_that_no_pool_would_survive():
    contract = contract_for(31, 200, 5)
    with pytest.raises(ModelError) as caught:
        build_squeezenet("1.1", contract, random_weights("1.1", 5))
    assert told(caught) == (
        "small: input (31, 200) is too small for SqueezeNet. Use at least 32 x 32"
    )
