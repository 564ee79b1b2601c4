"""One quantised network in the form that each library computes right and runs fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import onnx
from onnx import helper

from edge.engine.openvino import openvino_form
from edge.image import Fitter
from edge.model.onnx_file import Model, load_model, save_model
from edge.model.weights import expand_weights

if TYPE_CHECKING:
    from pathlib import Path

    from edge.model.contract import Contract

PASSING = frozenset({"Clip", "MaxPool"})
"""Operators that give the same level whether a quantiser is in front of them too or not."""

VIEWS_EVERY = 10
"""Frames of a clip from one view to the next."""


def write_networks(int8: Model, fp32: Path, folder: Path) -> dict[str, Path]:
    """Write the networks of all loops.

    Args:
        int8: what `edge quantize` wrote.
        fp32: the network that it was made of.
        folder: to write into.

    Returns:
        Form to file: `fp32`; `file`, as it is; `unsigned`, activations as uint8 with the same
        integers, for OpenVINO; `joined`, that with a quantiser in front of each concat, without
        which ONNX Runtime computes the convolutions there in float.
    """
    unsigned = openvino_form(int8)
    forms = {
        "fp32": expand_weights(load_model(fp32)),
        "file": int8,
        "unsigned": unsigned,
        "joined": with_quantized_concats(unsigned),
    }
    files = {form: folder / f"{form}.onnx" for form in forms}
    for form, model in forms.items():
        save_model(model, files[form])
    return files


def with_quantized_concats(model: Model) -> Model:
    """Give the same network with what a quantiser does behind a concat done in front of it too."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    reader = {name: node for node in proto.graph.node for name in node.input}
    nodes: list[onnx.NodeProto] = []
    for node in proto.graph.node:
        after = reader.get(node.output[0]) if node.op_type == "Concat" else None
        while after is not None and after.op_type in PASSING:
            after = reader.get(after.output[0])
        if after is not None and after.op_type == "QuantizeLinear":
            for place, name in enumerate(node.input):
                grid = list(after.input[1:])
                nodes += [
                    helper.make_node("QuantizeLinear", [name, *grid], [f"{name}/joined/q"]),
                    helper.make_node(
                        "DequantizeLinear", [f"{name}/joined/q", *grid], [f"{name}/joined/dq"]
                    ),
                ]
                node.input[place] = f"{name}/joined/dq"
        nodes.append(node)
    every_node = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del proto.graph.node[:]
    proto.graph.node.extend(every_node)
    return Model(proto, model.contract)


def write_views(clip: Path, contract: Contract, file: Path) -> None:
    """Keep what the network sees of some frames of a clip, uint8 (N, H, W, 3) BGR."""
    fitter, views = Fitter(contract), []
    with av.open(str(clip)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % VIEWS_EVERY == 0:
                views.append(np.empty((*contract.input_hw, 3), np.uint8))
                fitter.fit(frame.to_ndarray(format="bgr24"), views[-1])
    np.save(file, np.stack(views))
