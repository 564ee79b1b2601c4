"""Small networks, what they see, what they give, and the line that refuses them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.engine.base import open_engine
from edge.model.fold import fold
from edge.model.onnx_file import Model, with_contract
from edge.quant.network import read_network
from edge.quant.qdq import write_qdq
from edge.quant.ranges import measure_ranges
from edge.quant.reconstruct import round_to_nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pytest

    from edge.errors import EdgeError
    from edge.model.contract import Contract
    from edge.quant.network import Network


def told(caught: pytest.ExceptionInfo[EdgeError]) -> str:
    """Give the one line that a person would read, once it is one line and says what to do."""
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.hint
    return line


def make_views(count: int, *, side: int = 64, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Make what a network sees of smooth pictures: uint8, (count, side, side, 3), BGR."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    return np.stack(
        [cv2.resize(one, (side, side), interpolation=cv2.INTER_CUBIC) for one in coarse]
    )


def make_classifier(
    contract: Contract,
    *,
    bias: bool = True,
    tail: Sequence[onnx.NodeProto] = (),
    input_name: str = "input",
    **conv: object,
) -> Model:
    """Make a network of two convolutions and a pool, in 1 kB and with random weights.

    Args:
        contract: decides classes and input size.
        bias: whether the first convolution has one.
        tail: nodes behind the pool; they read `pooled` and give `scores`.
        input_name: of the one input.
        conv: attributes of the first convolution.
    """
    rng = np.random.default_rng(0)
    classes = len(contract.labels)
    arrays = {
        "first.weight": rng.normal(0, 0.3, (6, 3 // int(conv.get("group", 1)), 3, 3)),
        "first.bias": rng.normal(0, 1, 6),
        "second.weight": rng.normal(0, 0.5, (classes, 6, 1, 1)),
        "second.bias": rng.normal(0, 1, classes),
    }
    if not bias:
        del arrays["first.bias"]
    first = [input_name, "first.weight", *(["first.bias"] if bias else [])]
    nodes = [
        helper.make_node("Conv", first, ["first"], kernel_shape=[3, 3], strides=[2, 2], **conv),
        helper.make_node("Relu", ["first"], ["first/relu"]),
        helper.make_node("Conv", ["first/relu", "second.weight", "second.bias"], ["second"]),
        helper.make_node("GlobalAveragePool", ["second"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["pooled" if tail else "scores"]),
        *tail,
    ]
    return _assemble(contract, nodes, arrays, input_name)


def make_vgg(contract: Contract, *, seed: int = 0, spread: float = 0.0) -> Model:
    """Make what VGG is made of: padded 3x3 convolutions, max pools and a matrix product.

    `spread` is by how much the channels' loudness differs, in natural logarithms.
    """
    shapes = {"a1": (8, 3, 3, 3), "a2": (8, 8, 3, 3), "b1": (16, 8, 3, 3), "b2": (16, 16, 3, 3)}
    arrays = _he_normal(shapes, seed, spread)
    nodes, tensor = [], "input"
    for name in shapes:
        more, tensor = _conv_relu(tensor, name, pads=[1, 1, 1, 1])
        nodes += more
        if name in {"a2", "b2"}:
            pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
            nodes.append(helper.make_node("MaxPool", [tensor], [f"{name}/pool"], **pool))
            tensor = f"{name}/pool"
    height, width = contract.input_hw
    sides = (len(contract.labels), 16 * (height // 4) * (width // 4))
    arrays["fc.weight"] = np.random.default_rng(seed).normal(0, sides[1] ** -0.5, sides)
    nodes += [
        helper.make_node("Flatten", [tensor], ["flat"]),
        helper.make_node("Gemm", ["flat", "fc.weight"], ["scores"], name="fc", transB=1),
    ]
    return _assemble(contract, nodes, arrays)


def make_residual(contract: Contract, *, seed: int = 0, spread: float = 0.0) -> Model:
    """Make what ResNet is made of: a block with a bare skip, one with a projection, and a mean.

    `spread` is by how much the channels' loudness differs, in natural logarithms.
    """
    shapes = {
        "stem": (8, 3, 3, 3),
        "one/first": (8, 8, 3, 3), "one/second": (8, 8, 3, 3),
        "two/first": (16, 8, 3, 3), "two/second": (16, 16, 3, 3), "two/skip": (16, 8, 1, 1),
        "head": (len(contract.labels), 16, 1, 1),
    }  # fmt: skip
    pads = [1, 1, 1, 1]
    stem, start = _conv_relu("input", "stem", strides=[2, 2])
    first, inner = _conv_relu(start, "one/first", pads=pads)
    nodes = [*stem, *first, _conv(inner, "one/second", pads=pads)]
    nodes += _sum_relu("one/second", start, "one/sum")
    first, inner = _conv_relu("one/sum/relu", "two/first", pads=pads, strides=[2, 2])
    nodes += [
        *first,
        _conv(inner, "two/second", pads=pads),
        _conv("one/sum/relu", "two/skip", strides=[2, 2]),
        *_sum_relu("two/second", "two/skip", "two/sum"),
        _conv("two/sum/relu", "head"),
        helper.make_node("GlobalAveragePool", ["head"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["scores"]),
    ]
    return _assemble(contract, nodes, _he_normal(shapes, seed, spread))


def make_odd(contract: Contract, *, seed: int = 0) -> Model:
    """Make a network with much that the quantiser does not know, between convolutions."""
    shapes = {
        "first": (6, 3, 3, 3), "up": (6, 6, 2, 2), "computed": (6, 6, 1, 1),
        "grouped": (6, 1, 3, 3), "last": (len(contract.labels), 6, 1, 1),
    }  # fmt: skip
    first, tensor = _conv_relu("input", "first", strides=[2, 2])
    nodes = [
        *first,
        helper.make_node(
            "ConvTranspose", [tensor, "up.weight", "up.bias"], ["up"], name="up", strides=[2, 2]
        ),
        helper.make_node("HardSwish", ["up"], ["up/swish"], name="swish"),
        helper.make_node("Abs", ["computed.weight"], ["weight"]),
        helper.make_node("Conv", ["up/swish", "weight"], ["computed"], name="computed"),
        helper.make_node("Relu", ["computed"], ["computed/relu"]),
        _conv("computed/relu", "grouped", group=6, pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["grouped"], ["gate"], name="gate"),
        _conv("gate", "last"),
        helper.make_node("GlobalAveragePool", ["last"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["scores"]),
    ]
    return _assemble(contract, nodes, _he_normal(shapes, seed))


def with_dead_channel(model: Model, conv: str) -> Model:
    """Give the model with a convolution whose first channel is its bias, 1, everywhere."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for item in proto.graph.initializer:
        if item.name in {f"{conv}.weight", f"{conv}.bias"}:
            array = numpy_helper.to_array(item).copy()
            array[0] = float(item.name.endswith("bias"))
            item.CopyFrom(numpy_helper.from_array(array, item.name))
    return Model(proto, model.contract)


def _conv(source: str, name: str, **attributes: object) -> onnx.NodeProto:
    inputs = [source, f"{name}.weight", f"{name}.bias"]
    return helper.make_node("Conv", inputs, [name], name=name, **attributes)


def _conv_relu(source: str, name: str, **attributes: object) -> tuple[list[onnx.NodeProto], str]:
    """Give the two nodes, and the tensor that they make."""
    tensor = f"{name}/relu"
    return [_conv(source, name, **attributes), helper.make_node("Relu", [name], [tensor])], tensor


def _sum_relu(one: str, other: str, name: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Add", [one, other], [name], name=name),
        helper.make_node("Relu", [name], [f"{name}/relu"]),
    ]


def _he_normal(
    shapes: Mapping[str, tuple[int, ...]], seed: int, spread: float = 0.0
) -> dict[str, npt.NDArray[np.float64]]:
    """Make weights that keep the size of what goes through, but for the spread; small biases."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in shapes.items():
        deviation = (2 / np.prod(shape[1:])) ** 0.5
        loudness = np.exp(spread * rng.normal(size=shape[0])).reshape(-1, 1, 1, 1)
        arrays[f"{name}.weight"] = rng.normal(0, deviation, shape) * loudness
        arrays[f"{name}.bias"] = rng.normal(0, 0.1, shape[0])
    return arrays


def _assemble(
    contract: Contract,
    nodes: Sequence[onnx.NodeProto],
    arrays: Mapping[str, npt.NDArray[np.float64]],
    input_name: str = "input",
) -> Model:
    (height, width), classes = contract.input_hw, len(contract.labels)
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, [1, 3, height, width])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, classes])],
        [numpy_helper.from_array(a.astype(np.float32), name) for name, a in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return with_contract(helper.make_model(graph, opset_imports=opsets, ir_version=8), contract)


def make_int8(model: Model) -> Model:
    """Make the int8 form with ranges of four pictures and nearest weights."""
    height, _ = model.contract.input_hw
    return write_qdq(prepare_int8(model, make_views(4, side=height)))


def prepare_int8(
    model: Model, views: npt.NDArray[np.uint8], *, all_levels: bool = False
) -> Network:
    """Round a network without any search: the largest values as ranges, nearest weights."""
    folded = fold(model)
    network = read_network(folded)
    pairs = ((Path(f"{number}.png"), view) for number, view in enumerate(views))
    ranges = measure_ranges(folded, list(network.sites), pairs, (), lambda _done: None)
    reaches = {name: float(one.largest.max()) for name, one in ranges.items()}
    for group in network.groups():
        for site in group:
            if not all_levels:
                site.barrier = site.barrier or "half is asked for"
            site.step = max(reaches[one.tensor] for one in group) / site.bounds[1]
    for conv in network.convs.values():
        round_to_nearest(conv)
    return network


def run_onnx(model: Model, feeds: npt.NDArray[np.generic], tensor: str = "scores") -> npt.NDArray:
    """Run a network in ONNX Runtime node by node, as it is written, once for each feed.

    Args:
        model: to be run.
        feeds: (count, ...), each without the batch.
        tensor: the scores, or any tensor inside.

    Returns:
        (count, ...), without the batch.
    """
    import onnxruntime

    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    if tensor != proto.graph.output[0].name:
        proto.graph.output.append(onnx.ValueInfoProto(name=tensor))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return np.concatenate(
        [session.run([tensor], {model.input_name: feed[np.newaxis]})[0] for feed in feeds]
    )


def run_engine(name: str, model: Model, views: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Run a network as `edge run` does, once for each view; (count, classes)."""
    scores = []
    with open_engine(name, model) as engine:
        for view in views:
            slot = engine.acquire()
            slot.pixels[...] = view
            engine.submit(slot)
            scores.append(engine.collect().values)
    return np.stack(scores)
