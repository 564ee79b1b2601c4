"""Convolution weights as int8 with one scale a channel, and back to float."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.model.onnx_file import Model, copy_proto, with_contract

if TYPE_CHECKING:
    import numpy.typing as npt

LEVELS = 127
"""Levels on each side of zero of symmetric int8."""

SMALLEST_SCALE = 1e-8
"""Scale of an all-zero channel: TensorRT refuses scales that are not positive."""


def quantize_weight(
    weight: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Round a weight to symmetric int8, -127 to 127, one scale for each output channel.

    Args:
        weight: float32, (O, ...).

    Returns:
        int8 of the same shape, and float32 scales (O,), all positive.
    """
    reach = np.abs(weight.reshape(len(weight), -1)).max(axis=1)
    scale = np.maximum(reach / LEVELS, SMALLEST_SCALE).astype(np.float32)
    spread = scale.reshape(-1, *[1] * (weight.ndim - 1))
    return np.clip(np.rint(weight / spread), -LEVELS, LEVELS).astype(np.int8), scale


def dequantized_weight(
    name: str, weight: npt.NDArray[np.float32]
) -> tuple[list[TensorProto], onnx.NodeProto]:
    """Make the int8 initialisers and the DequantizeLinear node that gives the tensor `name`."""
    integers, scale = quantize_weight(weight)
    zeros = np.zeros(len(scale), dtype=np.int8)
    parts = {f"{name}.int8": integers, f"{name}.scale": scale, f"{name}.zero": zeros}
    node = helper.make_node("DequantizeLinear", list(parts), [name], name=f"{name}.dq", axis=0)
    return [numpy_helper.from_array(array, key) for key, array in parts.items()], node


def conv_weight_names(graph: onnx.GraphProto) -> list[str]:
    """Name the float weights of the convolutions, in graph order, each once."""
    stored = {i.name for i in graph.initializer if i.data_type == TensorProto.FLOAT}
    names = [node.input[1] for node in graph.node if node.op_type == "Conv"]
    return [name for name in dict.fromkeys(names) if name in stored]


def float_convolutions(graph: onnx.GraphProto) -> frozenset[str]:
    """Name the convolution nodes whose weight is not dequantised from integers."""
    dequantized = {n.output[0] for n in graph.node if n.op_type == "DequantizeLinear"}
    convs = (node for node in graph.node if node.op_type == "Conv")
    return frozenset(str(node.name) for node in convs if node.input[1] not in dequantized)


def quantize_weights_inplace(graph: onnx.GraphProto) -> None:
    """Replace each convolution's float weight by int8, scales and a DequantizeLinear node."""
    arrays = {item.name: item for item in graph.initializer}
    added: list[TensorProto] = []
    nodes: list[onnx.NodeProto] = []
    for name in conv_weight_names(graph):
        parts, node = dequantized_weight(name, numpy_helper.to_array(arrays.pop(name)))
        added += parts
        nodes.append(node)
    kept = [*arrays.values(), *added]
    every_node = [*nodes, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(every_node)


def store_weights_int8(model: Model) -> Model:
    """Give the model with its weights stored as int8: a quarter of the size, float arithmetic."""
    proto = copy_proto(model)
    quantize_weights_inplace(proto.graph)
    return with_contract(proto, model.contract)


def expand_weights(model: Model) -> Model:
    """Give the model with weights that were stored as int8 turned into float32 again."""
    proto = copy_proto(model)
    graph = proto.graph
    arrays = {item.name: item for item in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    expanded: set[str] = set()
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and all(name in arrays for name in node.input):
            parts = [numpy_helper.to_array(arrays[name]) for name in node.input]
            weight = _dequantize(node, *parts)
            arrays[node.output[0]] = numpy_helper.from_array(weight, node.output[0])
            expanded.update(node.input)
        else:
            nodes.append(node)
    still_read = {name for node in nodes for name in node.input}
    initialisers = [
        item for name, item in arrays.items() if name not in expanded or name in still_read
    ]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(initialisers)
    graph.node.extend(nodes)
    return Model(proto, model.contract)


def _dequantize(
    node: onnx.NodeProto,
    integers: npt.NDArray[np.int8],
    scale: npt.NDArray[np.float32],
    zero: npt.NDArray[np.int8] | None = None,
) -> npt.NDArray[np.float32]:
    """Compute what the node gives; other tools write other zero points and axes than ours."""
    axis = next((item.i for item in node.attribute if item.name == "axis"), 1)
    sides = [1] * integers.ndim
    if scale.ndim == 1:
        sides[axis] = -1
    shifted = integers.astype(np.float32)
    if zero is not None:
        shifted -= zero.astype(np.float32).reshape(sides)
    return (shifted * scale.reshape(sides)).astype(np.float32)
