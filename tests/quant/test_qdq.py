"""Quantise nodes: where TensorRT wants them, and the arithmetic that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from networks import make_classifier, make_views, prepare_int8, run_onnx
from onnx import TensorProto, numpy_helper
from samples import make_contract

from edge.model.fold import fold
from edge.model.squeezenet import build_squeezenet, random_weights
from edge.quant.qdq import CENTRED, write_qdq
from edge.quant.simulate import simulate

if TYPE_CHECKING:
    from edge.model.onnx_file import Model

NETWORKS = {
    bypass: build_squeezenet(
        "1.1", make_contract(), random_weights("1.1", 5, bypass=bypass), bypass=bypass
    )
    for bypass in ("none", "simple", "complex")
}
NETWORKS["padded"] = make_classifier(make_contract(), pads=[1, 1, 1, 1])
NETWORKS["no bias"] = make_classifier(make_contract(), bias=False)
VIEWS = make_views(4)
INT8 = {
    (name, levels): write_qdq(prepare_int8(model, VIEWS, all_levels=levels == 256))
    for name, model in NETWORKS.items()
    for levels in (128, 256)
}
EVERY = pytest.mark.parametrize(("name", "levels"), sorted(INT8))


class Graph:
    """A network looked at by names."""

    def __init__(self, model: Model) -> None:
        self.nodes = list(model.proto.graph.node)
        self.maker = {output: node for node in self.nodes for output in node.output}
        self.stored = {item.name: item for item in model.proto.graph.initializer}

    def of(self, *operators: str):
        return [node for node in self.nodes if node.op_type in operators]

    def array(self, name: str) -> np.ndarray:
        return numpy_helper.to_array(self.stored[name])


@EVERY
def test_every_convolution_reads_int8_on_both_sides_and_a_float_bias(name, levels):
    """One side alone would give float convolutions in TensorRT, and no word of it."""
    graph = Graph(INT8[name, levels])
    convs = graph.of("Conv")
    assert len(convs) == {"none": 26, "simple": 26, "complex": 30}.get(name, 2)
    for conv in convs:
        data, weight = (graph.maker[tensor] for tensor in conv.input[:2])
        assert (data.op_type, weight.op_type) == ("DequantizeLinear", "DequantizeLinear")
        assert graph.maker[data.input[0]].op_type == "QuantizeLinear"
        assert graph.stored[weight.input[0]].data_type == TensorProto.INT8
        assert graph.stored[conv.input[2]].data_type == TensorProto.FLOAT


@EVERY
def test_every_zero_point_is_int8_zero_and_every_scale_positive(name, levels):
    graph = Graph(INT8[name, levels])
    for node in graph.of("QuantizeLinear", "DequantizeLinear"):
        assert len(node.input) == 3, "a missing zero point is uint8 to ONNX and int8 to TensorRT"
        zero, scale = graph.stored[node.input[2]], graph.array(node.input[1])
        assert zero.data_type == TensorProto.INT8
        assert not graph.array(node.input[2]).any()
        assert scale.dtype == np.float32
        assert (scale > 0).all()


@EVERY
def test_every_weight_has_one_scale_an_output_channel(name, levels):
    graph = Graph(INT8[name, levels])
    for conv in graph.of("Conv"):
        node = graph.maker[conv.input[1]]
        outputs = graph.array(node.input[0]).shape[0]
        assert [(item.name, item.i) for item in node.attribute] == [("axis", 0)]
        assert graph.array(node.input[1]).shape == (outputs,)
        assert graph.array(node.input[2]).shape == (outputs,)


@EVERY
def test_every_activation_has_one_pair_with_one_scale_however_many_read_it(name, levels):
    graph = Graph(INT8[name, levels])
    pairs = graph.of("QuantizeLinear")
    read = {conv.input[0] for conv in graph.of("Conv")} | {pad.input[0] for pad in graph.of("Pad")}
    assert len({node.input[0] for node in pairs}) == len(pairs) == len(read)
    for node in pairs:
        assert graph.array(node.input[1]).shape == ()
        (back,) = (other for other in graph.nodes if node.output[0] in other.input)
        assert back.op_type == "DequantizeLinear"
        assert list(back.input[1:]) == list(node.input[1:])


@pytest.mark.parametrize("levels", [128, 256])
def test_both_halves_of_a_fire_module_read_the_same_integers(levels):
    """The padded half through a Pad of the lowered zero where all levels are used."""
    graph = Graph(INT8["none", levels])
    halves = {n.name: n.input[0] for n in graph.of("Conv") if n.name.startswith("fire2/expand")}
    padded = "/padded1111" if levels == 256 else ""
    assert halves == {
        "fire2/expand1x1": "fire2/squeeze1x1/relu/dq",
        "fire2/expand3x3": f"fire2/squeeze1x1/relu{padded}/dq",
    }


def test_all_levels_need_no_relu_and_no_padding_of_a_convolution():
    graph = Graph(INT8["none", 256])
    assert [node.name for node in graph.of("Relu")] == ["conv10/relu"]
    assert not any(i.name == "pads" and any(i.ints) for n in graph.of("Conv") for i in n.attribute)
    for pad in graph.of("Pad"):
        step = graph.array(pad.input[0].removesuffix("/dq") + "/scale")
        assert graph.array(pad.input[2]) == -128 * step


@EVERY
def test_pools_and_concats_read_no_pair_of_their_own(name, levels):
    graph = Graph(INT8[name, levels])
    for node in graph.of("MaxPool", "Concat", "GlobalAveragePool", "Relu", "Flatten"):
        for tensor in node.input:
            assert graph.maker[tensor].op_type != "DequantizeLinear", node.name


@pytest.mark.parametrize(("name", "count"), [("simple", 4), ("complex", 8)])
def test_every_sum_reads_its_skip_from_the_pair_of_its_blocks_first_convolution(name, count):
    graph = Graph(INT8[name, 128])
    sums = graph.of("Add")
    assert len(sums) == count
    for node in sums:
        fire = node.name.split("/", maxsplit=1)[0]
        squeeze = next(conv for conv in graph.of("Conv") if conv.name == f"{fire}/squeeze1x1")
        fired, skip = node.input
        assert fired == f"{fire}/concat"
        if skip == f"{fire}/bypass1x1":
            skip = graph.maker[skip].input[0]
        assert skip == squeeze.input[0]
        assert skip.endswith("/dq")


@pytest.mark.parametrize("name", ["none", "no bias"])
def test_pixels_become_int8_without_any_loss(name):
    """All 256 levels: x - 128 with scale 1 comes back as it was."""
    view = np.resize(np.arange(256, dtype=np.uint8), (1, 64, 64, 3))
    back = run_onnx(INT8[name, 128], view, f"{CENTRED}/dq")
    np.testing.assert_array_equal(back, view.transpose(0, 3, 1, 2).astype(np.float32) - 128)


@pytest.mark.parametrize(("name", "conv"), [("none", "conv1"), ("no bias", "first")])
def test_first_convolution_is_the_integer_one_of_numpy(name, conv):
    """Sums of int8 products, times the channel's scale, plus the bias: nothing in between."""
    graph = Graph(INT8[name, 128])
    node = next(item for item in graph.of("Conv") if item.output[0] == conv)
    dequantize = graph.maker[node.input[1]]
    weight = graph.array(dequantize.input[0]).astype(np.int64)
    scale = graph.array(dequantize.input[1])[:, None, None]
    view = make_views(1, seed=4)
    pixels = view[0].transpose(2, 0, 1).astype(np.int64) - 128
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (3, 3), axis=(1, 2))[:, ::2, ::2]
    sums = np.einsum("oikl,iyxkl->oyx", weight, windows)
    wanted = sums * scale.astype(np.float64) + graph.array(node.input[2])[:, None, None]
    np.testing.assert_allclose(
        run_onnx(INT8[name, 128], view, conv)[0], wanted, rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize(("name", "conv"), [("none", "conv1"), ("no bias", "first")])
def test_first_convolution_differs_from_float_only_by_its_rounded_weight(name, conv):
    """The shift of the pixels is taken back in full: 27 inputs, half a step and 255 levels each."""
    views = make_views(2, seed=5)
    graph = Graph(INT8[name, 128])
    node = next(item for item in graph.of("Conv") if item.output[0] == conv)
    scale = graph.array(graph.maker[node.input[1]].input[1])
    error = np.abs(
        run_onnx(INT8[name, 128], views, conv) - run_onnx(fold(NETWORKS[name]), views, conv)
    )
    assert (error.max(axis=(0, 2, 3)) <= 27 * 255 * scale / 2).all()


@EVERY
def test_int8_follows_float_through_the_whole_network(name, levels):
    wanted, got = run_onnx(fold(NETWORKS[name]), VIEWS), run_onnx(INT8[name, levels], VIEWS)
    np.testing.assert_allclose(got, wanted, atol=0.1 * np.abs(wanted).max())


@pytest.mark.parametrize("levels", [128, 256])
@pytest.mark.parametrize("name", ["none", "simple", "complex", "no bias"])
def test_written_network_gives_what_was_simulated(name, levels):
    """One level where float32 sums fall between two is up to half a percent of the scores here."""
    network = prepare_int8(NETWORKS[name], VIEWS, all_levels=levels == 256)
    wanted = run_onnx(simulate(network, list(network.sites)), VIEWS)
    np.testing.assert_allclose(
        run_onnx(write_qdq(network), VIEWS), wanted, atol=0.01 * np.abs(wanted).max()
    )


@EVERY
def test_int8_has_the_same_parameters_and_its_own_name(name, levels):
    assert INT8[name, levels].contract == NETWORKS[name].contract.renamed("small-int8")
    assert INT8[name, levels].parameters == fold(NETWORKS[name]).parameters
