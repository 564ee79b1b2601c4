"""A network that starts in the middle, so that what lies before need not be computed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from edge.model.onnx_file import Model, inputs_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def cut_behind(
    model: Model, tensor: str, shape: Sequence[int], outputs: Sequence[str]
) -> Model | None:
    """Give the part that makes `outputs` of one inner tensor; None where it takes more than that.

    Args:
        model: to be cut; not changed.
        tensor: becomes the float32 input.
        shape: of the tensor, with the batch.
        outputs: tensors that will be read.
    """
    graph = model.proto.graph
    maker = {name: node for node in graph.node for name in node.output}
    entrances = {item.name for item in inputs_of(graph)}
    needed: set[str] = set()
    open_ends = [name for name in outputs if name != tensor]
    while open_ends:
        name = open_ends.pop()
        if name in entrances:
            return None
        if name in maker and name not in needed:
            needed.update(maker[name].output)
            open_ends += [source for source in maker[name].input if source != tensor]
    nodes = [node for node in graph.node if needed.intersection(node.output)]
    read = {name for node in nodes for name in node.input}
    entrance = helper.make_tensor_value_info(tensor, TensorProto.FLOAT, list(shape))
    part = helper.make_graph(
        nodes,
        "part",
        [entrance],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [item for item in graph.initializer if item.name in read],
    )
    proto = helper.make_model(
        part, opset_imports=model.proto.opset_import, ir_version=model.proto.ir_version
    )
    return Model(onnx.ModelProto.FromString(proto.SerializeToString()), model.contract)
