"""Scales of all tensors of the float network, for a builder that quantises without Q/DQ nodes.

TensorRT does so on a DLA: symmetric int8, one scale a tensor, and the network as it is given to it,
its channels not equalised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, shape_inference

from edge.engine.probe import TensorProbe
from edge.errors import ModelError
from edge.model.fold import PIXELS

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet

LEVELS = 127

PASSING = frozenset(
    {"Cast", "Concat", "Dropout", "Flatten", "Identity", "MaxPool", "Reshape", "Transpose"}
)
"""Operators that change no value: what they read and give has one scale, as TensorRT's own
calibration makes it. Source: tensorflow/tensorflow#25771."""


def measure_scales(
    model: Model, calibration: CalibrationSet, progress: Callable[[int], None]
) -> dict[str, float]:
    """Give each float tensor's scale in graph order, the input first.

    Memory does not grow with the number of pictures.

    Args:
        model: folded, float.
        calibration: the pictures.
        progress: called with the count of pictures done.

    Raises:
        ModelError: the network cannot be run or gives values that are not finite.
    """
    tensors = float_tensors(model)
    reaches = dict.fromkeys(tensors, 0.0)
    probe = TensorProbe(model, tensors)
    for number, view in enumerate(calibration.views(model.contract)):
        for name, values in probe.read(view).items():
            reaches[name] = max(reaches[name], float(np.abs(values).max(initial=0)))
            if not np.isfinite(values).all():
                raise ModelError(
                    f"{model.contract.name}: tensor {name} is not finite"
                    f" on {calibration.files[number]}",
                    hint="Check the weights of the model",
                )
        progress(number + 1)
    reaches = {PIXELS: 255.0, **reaches}
    for group in _groups(model, reaches):
        reaches.update(dict.fromkeys(group, max(reaches[name] for name in group)))
    return {name: (reach or 1.0) / LEVELS for name, reach in reaches.items()}


def float_tensors(model: Model) -> list[str]:
    """Name what the nodes of a folded network compute in float, in graph order."""
    graph = shape_inference.infer_shapes(model.proto, data_prop=True).graph
    kinds = {item.name: item.type.tensor_type.elem_type for item in graph.value_info}
    kinds.update({item.name: item.type.tensor_type.elem_type for item in graph.output})
    made = [name for node in graph.node if node.op_type != "Constant" for name in node.output]
    return [name for name in made if kinds.get(name) == TensorProto.FLOAT]


def _groups(model: Model, known: dict[str, float]) -> list[set[str]]:
    """Give the tensors that have one scale, each group at once."""
    groups: list[set[str]] = []
    for node in model.proto.graph.node:
        if node.op_type in PASSING:
            joined = {name for name in (*node.input, *node.output) if name in known}
            apart = [group for group in groups if not group & joined]
            groups = [*apart, joined.union(*(group for group in groups if group & joined))]
    return groups
