"""Preprocessing moved into the network: uint8 pixels in, mean, scale and order inside conv1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.model.onnx_file import Model, copy_proto, inputs_of, with_contract
from edge.model.weights import expand_weights

if TYPE_CHECKING:
    from edge.model.contract import Contract

PIXELS = "pixels"
PLANES = "pixels/planes"
BGR_FROM_RGB = [2, 1, 0]

WEIGHTS_APART = 4
"""The first IR version whose weights need not be listed among the inputs."""


def fold(model: Model) -> Model:
    """Give the same classifier with a uint8 (1, H, W, 3) BGR input.

    Where the network begins with an unpadded convolution the result is exact: with
    y = sum(w * (x - mean) / std) + b, the weight becomes w / std and the bias
    b - sum(w * mean / std), and its input planes are reordered. Otherwise the subtraction and
    the division become nodes of their own. A model that takes pixels already is given back.
    """
    if model.takes_pixels:
        return model
    float_weights = model if model.is_int8 else expand_weights(model)
    proto = copy_proto(float_weights)
    graph, contract = proto.graph, model.contract
    old_input = inputs_of(graph)[0].name

    nodes = [
        helper.make_node("Cast", [PIXELS], [f"{PIXELS}/float"], PIXELS, to=TensorProto.FLOAT),
        helper.make_node("Transpose", [f"{PIXELS}/float"], [PLANES], PLANES, perm=[0, 3, 1, 2]),
    ]
    first = _foldable_conv(graph, old_input)
    if first is None:
        nodes += _explicit_nodes(graph, contract, _not_ours(graph, old_input))
    else:
        _fold_into(graph, first, contract)
        first.input[0] = PLANES

    height, width = contract.input_hw
    every_node = [*nodes, *graph.node]
    pixels = helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, [1, height, width, 3])
    del graph.node[:], graph.input[:], graph.value_info[:]
    graph.node.extend(every_node)
    graph.input.append(pixels)
    proto.ir_version = max(proto.ir_version, WEIGHTS_APART)
    return with_contract(proto, contract)


def _foldable_conv(graph: onnx.GraphProto, tensor: str) -> onnx.NodeProto | None:
    """Give the one convolution that reads `tensor`, unpadded and with a float weight of its own."""
    readers = [node for node in graph.node if tensor in node.input]
    if len(readers) != 1 or readers[0].op_type != "Conv":
        return None
    conv = readers[0]
    attributes = {item.name: helper.get_attribute_value(item) for item in conv.attribute}
    padded = any(attributes.get("pads", [])) or attributes.get("auto_pad", b"NOTSET") not in {
        b"NOTSET",
        b"VALID",
    }
    sides = {i.name: i.dims for i in graph.initializer if i.data_type == TensorProto.FLOAT}
    own = all(name in sides for name in conv.input[1:])
    fits = own and len(sides[conv.input[1]]) == 4 and sides[conv.input[1]][1] == 3
    return conv if fits and not padded and attributes.get("group", 1) == 1 else None


def _fold_into(graph: onnx.GraphProto, conv: onnx.NodeProto, contract: Contract) -> None:
    stored = {item.name: item for item in graph.initializer}
    weight = numpy_helper.to_array(stored[conv.input[1]]).astype(np.float64)
    mean = np.array(contract.mean).reshape(1, 3, 1, 1)
    std = np.array(contract.std).reshape(1, 3, 1, 1)
    scaled = weight / std
    shift = (scaled * mean).sum(axis=(1, 2, 3))
    bias = numpy_helper.to_array(stored[conv.input[2]]) if len(conv.input) > 2 else 0.0
    if contract.channel_order == "RGB":
        scaled = scaled[:, BGR_FROM_RGB]
    names = (f"{conv.name or 'conv'}.folded.weight", f"{conv.name or 'conv'}.folded.bias")
    for name, array in zip(names, (scaled, bias - shift), strict=True):
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    replaced = set(conv.input[1:])
    del conv.input[1:]
    conv.input.extend(names)
    still_read = {name for node in graph.node for name in node.input}
    kept = [i for i in graph.initializer if i.name not in replaced or i.name in still_read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _not_ours(graph: onnx.GraphProto, tensor: str) -> str:
    """Give the input's name, or a new one to its readers where it is the name of our own."""
    if tensor != PIXELS:
        return tensor
    renamed = f"{PIXELS}/prepared"
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == tensor:
                node.input[place] = renamed
    return renamed


def _explicit_nodes(
    graph: onnx.GraphProto, contract: Contract, output: str
) -> list[onnx.NodeProto]:
    constants = {
        f"{PIXELS}/mean": np.array(contract.mean, dtype=np.float32).reshape(1, 3, 1, 1),
        f"{PIXELS}/std": np.array(contract.std, dtype=np.float32).reshape(1, 3, 1, 1),
        f"{PIXELS}/order": np.array(BGR_FROM_RGB, dtype=np.int64),
    }
    mean, std, order = constants
    nodes, tensor = [], PLANES
    if contract.channel_order == "RGB":
        nodes.append(helper.make_node("Gather", [tensor, order], [f"{PIXELS}/rgb"], axis=1))
        tensor = f"{PIXELS}/rgb"
    else:
        del constants[order]
    nodes.append(helper.make_node("Sub", [tensor, mean], [f"{PIXELS}/shifted"]))
    nodes.append(helper.make_node("Div", [f"{PIXELS}/shifted", std], [output]))
    graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in constants.items())
    return nodes
