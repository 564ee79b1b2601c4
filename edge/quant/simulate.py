"""The int8 network in float arithmetic: the levels of the quantisers, the values of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edge.model.onnx_file import copy_proto, with_nodes

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge.model.onnx_file import Model
    from edge.quant.network import Network, Site


def simulate(network: Network, active: Collection[str] = ()) -> Model:
    """Give a float model with the network's present weights and some activations on their levels.

    Args:
        network: each active site has its step.
        active: sites that are rounded; their convolutions and sums read `NAME/dq`. A site of
            several copies saturates even where it is not rounded, as its sum needs that.
    """
    steered = {*active, *(name for name, site in network.sites.items() if site.copies > 1)}
    proto = copy_proto(network.model)
    graph = proto.graph
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.output[0] in network.convs:
            _give_present_weights(graph, node, network)
        ours = node.output[0] in network.convs or node.op_type == "Add"
        for place, name in enumerate(node.input):
            if ours and name in steered:
                node.input[place] = f"{name}/dq"
        nodes.append(node)
        for name in node.output:
            if name in steered:
                nodes += _levels(graph, network.sites[name], rounded=name in active)
    return with_nodes(network.model, proto, nodes)


def _give_present_weights(graph: onnx.GraphProto, node: onnx.NodeProto, network: Network) -> None:
    conv = network.convs[node.output[0]]
    names = [f"{conv.name}/present_weight", f"{conv.name}/present_bias"]
    for name, array in zip(names, (conv.weight, conv.bias), strict=True):
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    del node.input[1:]
    node.input.extend(names)


def _levels(graph: onnx.GraphProto, site: Site, *, rounded: bool) -> list[onnx.NodeProto]:
    """Round to nearest even and saturate, as QuantizeLinear does, in operators of float."""
    low, high = site.bounds
    name = site.tensor
    for part, value in {"step": site.step, "low": low, "high": high}.items():
        array = np.array(value, dtype=np.float32)
        graph.initializer.append(numpy_helper.from_array(array, f"{name}/{part}"))
    nearest = "Round" if rounded else "Identity"
    return [
        helper.make_node("Div", [name, f"{name}/step"], [f"{name}/scaled"]),
        helper.make_node(nearest, [f"{name}/scaled"], [f"{name}/nearest"]),
        helper.make_node(
            "Clip", [f"{name}/nearest", f"{name}/low", f"{name}/high"], [f"{name}/level"]
        ),
        helper.make_node("Mul", [f"{name}/level", f"{name}/step"], [f"{name}/dq"]),
    ]
