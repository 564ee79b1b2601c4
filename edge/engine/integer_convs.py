"""INT8 networks in the form whose convolutions ONNX Runtime computes in integers.

It does so where a convolution stands between integers on all sides: its inputs, its bias, and what
comes out of it. Behind a concat or a pool our quantisers come later, and our biases are float.
Source: ONNX Runtime, `core/optimizer/qdq_transformer`.
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

KEEPING = frozenset({"Concat", "MaxPool"})
"""Operators that give levels of the quantiser behind them where they get such."""

LARGEST_BIAS = 2**31 - 1
BIAS_OF_NOTHING = 2**20
"""What the bias of a channel without weights becomes: exact enough, and far from the limit."""


def with_integer_convs(model: Model) -> Model:
    """Give the same network with integers on all sides of each convolution, where it has levels."""
    return with_integer_biases(with_early_quantizers(model))


def with_early_quantizers(model: Model) -> Model:
    """Give the same network with what a quantiser does behind concats and pools before them, too.

    Rounding keeps the order of values and leaves a level what it is, so every level stays the same.
    """
    proto = copy_proto(model)
    graph = proto.graph
    readers = readers_of(graph)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        quantizer = _quantizer_behind(node, readers) if node.op_type in KEEPING else None
        if quantizer is not None:
            nodes += _quantize_inputs(node, list(quantizer.input[1:]))
        nodes.append(node)
    return with_nodes(model, proto, nodes)


def with_integer_biases(model: Model) -> Model:
    """Give the same network with the biases of convolutions of levels as int32.

    One step of a bias is one step of the sums, thousands of times finer than the levels that come
    out, so that hardly more than ties are rounded otherwise.
    """
    proto = copy_proto(model)
    graph = proto.graph
    readers = readers_of(graph)
    made_by = {name: node for node in graph.node for name in node.output}
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        sources = [made_by[name] for name in node.input[:2] if name in made_by]
        if node.op_type == "Conv" and len(sources) == 2 and len(readers[node.input[1]]) == 1:
            nodes += _round_bias(graph, node, sources, stored)
        nodes.append(node)
    return with_nodes(model, proto, nodes)


def _quantizer_behind(
    node: onnx.NodeProto, readers: Mapping[str, Sequence[onnx.NodeProto]]
) -> onnx.NodeProto | None:
    """Give the quantiser that alone reads a node, through others that keep levels."""
    while node.op_type in KEEPING:
        behind = readers.get(node.output[0], [])
        if len(behind) != 1:
            return None
        (node,) = behind
    return node if node.op_type == "QuantizeLinear" else None


def _quantize_inputs(node: onnx.NodeProto, grid: Sequence[str]) -> list[onnx.NodeProto]:
    """Let a node read levels of a grid: scale and zero point."""
    added = []
    for place, name in enumerate(node.input):
        level, value = (f"{node.output[0]}/{place}/{part}" for part in ("q", "dq"))
        added += [
            helper.make_node("QuantizeLinear", [name, *grid], [level]),
            helper.make_node("DequantizeLinear", [level, *grid], [value]),
        ]
        node.input[place] = value
    return added


def _round_bias(
    graph: onnx.GraphProto,
    conv: onnx.NodeProto,
    sources: Sequence[onnx.NodeProto],
    stored: Mapping[str, npt.NDArray[Any]],
) -> list[onnx.NodeProto]:
    """Make a bias int32 in steps of the sums; give its dequantiser, none where it stays float.

    A channel whose weights are all zero may have any scale, and gets one that its bias fits in.
    """
    pixels, weight = sources
    known = [*pixels.input[1:2], *weight.input[:2], *conv.input[2:]]
    is_int8 = all(node.op_type == "DequantizeLinear" for node in sources)
    if not is_int8 or len(known) < 4 or any(name not in stored for name in known):
        return []
    step, weights, scale, bias = (stored[name] for name in known)
    is_dead = ~weights.reshape(len(weights), -1).any(axis=1) & (bias != 0)
    if scale.size == bias.size and is_dead.any():
        scale = np.where(is_dead, np.abs(bias) / step / BIAS_OF_NOTHING, scale).astype(np.float32)
        weight.input[1] = _store(graph, f"{weight.output[0]}/scale", scale)
    steps = np.broadcast_to(step.astype(np.float64) * scale, bias.shape)
    rounded = np.rint(bias / steps)
    if np.abs(rounded).max() > LARGEST_BIAS:
        return []
    name = f"{conv.output[0]}/bias"
    conv.input[2] = f"{name}/dq"
    inputs = [
        _store(graph, f"{name}/int32", rounded.astype(np.int32)),
        _store(graph, f"{name}/scale", steps.astype(np.float32)),
    ]
    return [helper.make_node("DequantizeLinear", inputs, [conv.input[2]], axis=0)]


def _store(graph: onnx.GraphProto, name: str, value: npt.NDArray[Any]) -> str:
    graph.initializer.append(numpy_helper.from_array(value, name))
    return name
