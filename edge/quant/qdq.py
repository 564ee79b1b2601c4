"""Quantise and dequantise nodes put where TensorRT wants them.

Symmetric int8 with zero point 0: one scale a tensor in front of each convolution, one scale a
channel on its weight, float bias, nothing at pools and concats. A tensor with several readers gets
one pair, and a residual sum reads its skip from the pair of the block's first convolution.
Source: NVIDIA TensorRT documentation, "Working with Quantized Types", and the real parser's word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edge.model.fold import PLANES
from edge.model.onnx_file import Model, with_contract
from edge.model.weights import (
    LEVELS,
    conv_weight_names,
    quantize_weight,
    quantize_weights_inplace,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PIXEL_ZERO = 128.0
CENTRED = "pixels/centred"


def quantized_convs(model: Model) -> list[onnx.NodeProto]:
    """Give the convolutions that become int8: those with a float weight in the file."""
    graph = model.proto.graph
    stored = set(conv_weight_names(graph))
    return [node for node in graph.node if node.op_type == "Conv" and node.input[1] in stored]


def tensors_to_measure(model: Model) -> list[str]:
    """Name the activations whose range is wanted, in graph order; raw pixels need none."""
    names = dict.fromkeys(node.input[0] for node in quantized_convs(model))
    return [name for name in names if name != PLANES]


def insert_qdq(model: Model, ranges: Mapping[str, float]) -> Model:
    """Give the int8 form of a folded float model.

    The camera's pixels are the first int8 tensor without any loss: x - 128 with scale 1, the
    shift taken back in the first convolution's bias.

    Args:
        model: with uint8 pixels as its input and float weights.
        ranges: tensor name to range, for each of `tensors_to_measure`; positive.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    graph = proto.graph
    scales = {name: reach / LEVELS for name, reach in ranges.items()}
    scales[CENTRED] = 1.0
    convs = quantized_convs(Model(proto, model.contract))
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node in convs and node.input[0] == PLANES:
            nodes += [_centring_node(graph), *_pair(graph, CENTRED, 1.0)]
            _read_centred(graph, node)
        if node.op_type in {"Conv", "Add"}:
            _read_quantised(node, scales)
        nodes.append(node)
        for name in node.output:
            if name in scales:
                nodes += _pair(graph, name, scales[name])
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    quantize_weights_inplace(graph)
    return with_contract(proto, model.contract.renamed(f"{model.contract.name}-int8"))


def _pair(graph: onnx.GraphProto, name: str, scale: float) -> list[onnx.NodeProto]:
    """Make the two nodes behind a tensor; readers take `NAME/dq`."""
    parts = {
        f"{name}/scale": np.array(scale, dtype=np.float32),
        f"{name}/zero": np.array(0, dtype=np.int8),
    }
    graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in parts.items())
    q, dq = f"{name}/q", f"{name}/dq"
    return [
        helper.make_node("QuantizeLinear", [name, *parts], [q], name=q),
        helper.make_node("DequantizeLinear", [q, *parts], [dq], name=dq),
    ]


def _read_quantised(node: onnx.NodeProto, scales: Mapping[str, float]) -> None:
    for place, name in enumerate(node.input):
        if name in scales:
            node.input[place] = f"{name}/dq"


def _centring_node(graph: onnx.GraphProto) -> onnx.NodeProto:
    zero = f"{CENTRED}/zero_level"
    graph.initializer.append(numpy_helper.from_array(np.array(PIXEL_ZERO, dtype=np.float32), zero))
    return helper.make_node("Sub", [PLANES, zero], [CENTRED], name=CENTRED)


def _read_centred(graph: onnx.GraphProto, conv: onnx.NodeProto) -> None:
    """Let a convolution read x - 128: its bias grows by 128 times the sum of its int8 weight."""
    stored = {item.name: item for item in graph.initializer}
    integers, scale = quantize_weight(numpy_helper.to_array(stored[conv.input[1]]))
    sums = integers.reshape(len(integers), -1).sum(axis=1, dtype=np.int64)
    bias = numpy_helper.to_array(stored[conv.input[2]]).astype(np.float64)
    shifted = (bias + PIXEL_ZERO * sums * scale.astype(np.float64)).astype(np.float32)
    name = f"{conv.input[2]}.centred"
    graph.initializer.append(numpy_helper.from_array(shifted, name))
    graph.initializer.remove(stored[conv.input[2]])
    conv.input[0] = CENTRED
    conv.input[2] = name
