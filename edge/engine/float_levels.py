"""Networks whose INT8 is worked out in float32, for a CPU that multiplies int8 with losses.

OpenVINO takes them as they come: scores are wrong without a word. The levels of the quantisers in
float are the same integers, and sums of their products are exact in float32 up to 2^24.
Source: oneDNN, "Nuances of int8 computations"; `edge.board.multiplies_int8_exactly`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edge.model.onnx_file import Model, copy_proto, readers_of, with_nodes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt


def with_float_levels(model: Model) -> Model:
    """Give the same network with each quantised activation as levels in float32.

    Weights stay as they are: beside activations in float32 no engine multiplies them in int8. A
    quantiser that others than dequantisers read, or with more than one scale, stays as well.
    """
    proto = copy_proto(model)
    graph = proto.graph
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    readers = readers_of(graph)
    for tensor in graph.output:
        readers.setdefault(tensor.name, []).append(onnx.NodeProto())
    zeros: dict[str, npt.NDArray[np.int_]] = {}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "QuantizeLinear" and _can_be_float(node, stored, readers):
            zero = zeros[node.output[0]] = _zero_point(node, stored)
            nodes += _round(graph, node, zero)
        elif node.op_type == "DequantizeLinear" and node.input[0] in zeros:
            nodes.append(helper.make_node("Mul", [*node.input[:2]], [*node.output]))
        else:
            nodes.append(node)
    return with_nodes(model, proto, nodes)


def _can_be_float(
    node: onnx.NodeProto,
    stored: Mapping[str, npt.NDArray[Any]],
    readers: Mapping[str, Sequence[onnx.NodeProto]],
) -> bool:
    is_known = all(name in stored and stored[name].size == 1 for name in node.input[1:])
    return is_known and all(
        one.op_type == "DequantizeLinear" and one.input[1] in stored
        for one in readers.get(node.output[0], [])
    )


def _zero_point(
    node: onnx.NodeProto, stored: Mapping[str, npt.NDArray[Any]]
) -> npt.NDArray[np.int_]:
    """Give the zero point, whose type is that of the levels: uint8 0 where there is none."""
    return stored[node.input[2]] if len(node.input) > 2 else np.array(0, np.uint8)


def _round(
    graph: onnx.GraphProto, node: onnx.NodeProto, zero: npt.NDArray[np.int_]
) -> list[onnx.NodeProto]:
    """Give levels above the zero point: nearest even, saturated, as QuantizeLinear does."""
    tensor, scale = node.input[:2]
    (name,) = node.output
    reach, middle = np.iinfo(zero.dtype), int(zero.reshape(-1)[0])
    for part, level in {"low": reach.min - middle, "high": reach.max - middle}.items():
        array = np.array(level, dtype=np.float32)
        graph.initializer.append(numpy_helper.from_array(array, f"{name}/{part}"))
    return [
        helper.make_node("Div", [tensor, scale], [f"{name}/scaled"]),
        helper.make_node("Round", [f"{name}/scaled"], [f"{name}/nearest"]),
        helper.make_node("Clip", [f"{name}/nearest", f"{name}/low", f"{name}/high"], [name]),
    ]
