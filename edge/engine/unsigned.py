"""Signed int8 activations rewritten as uint8 with the same integers, for OpenVINO.

OpenVINO 2024.6 to 2026.4 gives wrong values for symmetric int8 activations behind a concat on CPUs
with VNNI and without AMX: it carries them as uint8 plus 128 and loses the shift. Behind a ReLU the
values are 0 to 127 anyway, and as uint8 with zero point 0 the same integers come out right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edge.model.onnx_file import Model, copy_proto, with_nodes
from edge.model.weights import LEVELS

if TYPE_CHECKING:
    import numpy.typing as npt

ONE_INPUT = frozenset({"MaxPool", "AveragePool", "Dropout", "QuantizeLinear", "DequantizeLinear"})
EVERY_INPUT = frozenset({"Concat", "Add"})
"""Operators that give no negative value where they get none."""


def with_unsigned_activations(model: Model) -> Model:
    """Give the same network with each int8 activation that is never negative as uint8.

    The quantiser's own saturation at 127 becomes a Clip in front of it, so that every integer
    stays the one that TensorRT and ONNX Runtime have.
    """
    proto = copy_proto(model)
    graph = proto.graph
    made_by = {name: node for node in graph.node for name in node.output}
    stored = {item.name: item for item in graph.initializer}
    unsigned = {  # told before the first rewiring, which cuts the way back to the Relu
        node.output[0]
        for node in graph.node
        if node.op_type == "QuantizeLinear"
        and _is_symmetric_int8(node, stored)
        and _never_negative(node.input[0], made_by)
    }
    zeros: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.output[0] in unsigned:
            reach = numpy_helper.to_array(stored[node.input[1]]) * np.float32(LEVELS)
            clip = _clip_node(graph, node.input[0], node.output[0], reach)
            zeros[node.output[0]] = _add(graph, f"{node.output[0]}/zero", np.uint8(0))
            node.input[0], node.input[2] = clip.output[0], zeros[node.output[0]]
            nodes.append(clip)
        elif node.op_type == "DequantizeLinear" and node.input[0] in zeros:
            node.input[2] = zeros[node.input[0]]
        nodes.append(node)
    return with_nodes(model, proto, nodes)


def _is_symmetric_int8(node: onnx.NodeProto, stored: dict[str, onnx.TensorProto]) -> bool:
    """Tell our own kind of quantiser from those of other tools: one scale, int8 zero point 0."""
    if len(node.input) < 3 or any(name not in stored for name in node.input[1:]):
        return False
    scale, zero = (numpy_helper.to_array(stored[name]) for name in node.input[1:])
    return bool(scale.size == 1 and zero.dtype == np.int8 and not zero.any())


def _never_negative(name: str, made_by: dict[str, onnx.NodeProto]) -> bool:
    node = made_by.get(name)
    if node is None:
        return False
    if node.op_type in EVERY_INPUT:
        return all(_never_negative(source, made_by) for source in node.input)
    return node.op_type == "Relu" or (
        node.op_type in ONE_INPUT and _never_negative(node.input[0], made_by)
    )


def _clip_node(
    graph: onnx.GraphProto, tensor: str, name: str, reach: npt.NDArray[np.float32]
) -> onnx.NodeProto:
    bounds = [
        _add(graph, f"{name}/low", np.float32(0)),
        _add(graph, f"{name}/high", np.float32(reach)),
    ]
    return helper.make_node("Clip", [tensor, *bounds], [f"{name}/clipped"], name=f"{name}/clip")


def _add(graph: onnx.GraphProto, name: str, value: np.float32 | np.uint8) -> str:
    graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    return name
