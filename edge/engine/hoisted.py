"""Quantisers moved in front of the max pool that feeds them, so that it runs on int8 as well.

Rounding keeps the order of values, so the largest of rounded values is the rounded largest: every
integer behind the pool stays the same one. TensorRT does this by itself, CPU engines do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from edge.model.onnx_file import Model, copy_proto, with_nodes

if TYPE_CHECKING:
    from collections.abc import Iterable


def with_hoisted_quantizers(model: Model) -> Model:
    """Give the same network with each quantiser that alone reads a max pool in front of it."""
    proto = copy_proto(model)
    graph = proto.graph
    nodes = list(graph.node)
    while (found := _find_pool(nodes, {item.name for item in graph.output})) is not None:
        nodes = _swap(nodes, *found)
    return with_nodes(model, proto, nodes)


Chain = tuple[onnx.NodeProto, onnx.NodeProto, list[onnx.NodeProto]]
"""A max pool, the quantiser behind it and the dequantisers that read that one."""


def _find_pool(nodes: list[onnx.NodeProto], outputs: set[str]) -> Chain | None:
    """Give the first max pool that only a quantiser reads, which only dequantisers read."""
    for pool in nodes:
        if pool.op_type != "MaxPool" or len(pool.output) > 1:
            continue
        readers = _readers(nodes, pool.output[0])
        if [node.op_type for node in readers] != ["QuantizeLinear"]:
            continue
        quantizer = readers[0]
        behind = _readers(nodes, quantizer.output[0])
        is_whole = behind and all(node.op_type == "DequantizeLinear" for node in behind)
        if is_whole and outputs.isdisjoint({pool.output[0], quantizer.output[0]}):
            return pool, quantizer, behind
    return None


def _swap(
    nodes: list[onnx.NodeProto],
    pool: onnx.NodeProto,
    quantizer: onnx.NodeProto,
    dequantizers: list[onnx.NodeProto],
) -> list[onnx.NodeProto]:
    """Give the nodes in the order quantiser, dequantiser, pool."""
    first, *others = dequantizers
    quantizer.input[0] = pool.input[0]
    pool.input[0] = first.output[0]
    pooled = pool.output[0]
    for dequantizer in dequantizers:
        for node in nodes:
            if node is not pool:
                _rename(node, dequantizer.output[0], pooled)
    moved = [quantizer, first, pool]
    gone = [*moved, *others]
    return [
        one
        for node in nodes
        for one in (moved if node is pool else [] if any(node is old for old in gone) else [node])
    ]


def _readers(nodes: Iterable[onnx.NodeProto], tensor: str) -> list[onnx.NodeProto]:
    return [node for node in nodes if tensor in node.input]


def _rename(node: onnx.NodeProto, before: str, now: str) -> None:
    for place, name in enumerate(node.input):
        if name == before:
            node.input[place] = now
