"""An fp32 model and a calibration set become an int8 model that TensorRT takes as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.engine.probe import TensorProbe
from edge.errors import ModelError
from edge.model.fold import fold
from edge.quant.qdq import insert_qdq, quantized_convs, tensors_to_measure
from edge.quant.ranges import RangeObserver

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet


FIRST_OPSET = 13
"""The first one whose DequantizeLinear takes a scale a channel."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantized:
    """The result and what decided it.

    Attributes:
        model: int8, with pixels as its input.
        ranges: tensor name to the chosen range.
        int8_convs: how many convolutions run in INT8.
        float_ops: operators with weights that stay float, by name; empty for SqueezeNet.
    """

    model: Model
    ranges: dict[str, float]
    int8_convs: int
    float_ops: tuple[str, ...]


def quantize(
    model: Model, calibration: CalibrationSet, *, progress: Callable[[int], None]
) -> Quantized:
    """Quantise the convolutions of a model.

    One pass over the pictures in memory that does not grow with their number; ranges have the
    least squared error tensor by tensor, weights are rounded to the nearest level.

    Args:
        model: fp32.
        calibration: the pictures.
        progress: called with the count of pictures done.

    Raises:
        ModelError: the model is int8 already, has no convolution, or gives values that are
            not finite.
    """
    name = model.contract.name
    if model.is_int8:
        raise ModelError(f"{name}: is quantised already", hint="Give the fp32 model")
    opset = max(item.version for item in model.proto.opset_import if item.domain in {"", "ai.onnx"})
    if opset < FIRST_OPSET:
        raise ModelError(
            f"{name}: has opset {opset}, quantising wants {FIRST_OPSET} or newer",
            hint="Export it again with a newer opset",
        )
    folded = fold(model)
    convs = quantized_convs(folded)
    if not convs:
        raise ModelError(
            f"{name}: has no convolution to quantise", hint="Give a convolutional classifier"
        )
    names = tensors_to_measure(folded)
    probe = TensorProbe(folded, names)
    observers = {tensor: RangeObserver() for tensor in names}
    for done, view in enumerate(calibration.views(model.contract), start=1):
        for tensor, values in probe.read(view).items():
            if not np.isfinite(values).all():
                raise ModelError(
                    f"{name}: tensor {tensor} is not finite on {calibration.files[done - 1]}",
                    hint="Check the weights of the model",
                )
            observers[tensor].add(values)
        progress(done)
    ranges = {tensor: observer.best_range() for tensor, observer in observers.items()}
    weighted = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
    int8_outputs = {node.output[0] for node in convs}  # names may be left out, outputs not
    float_ops = tuple(
        f"{node.op_type} {node.name or node.output[0]}"
        for node in folded.proto.graph.node
        if node.op_type in weighted and node.output[0] not in int8_outputs
    )
    return Quantized(insert_qdq(folded, ranges), ranges, len(convs), float_ops)
