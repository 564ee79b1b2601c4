"""The int8 networks that `write_qdq` gives, computed in NumPy with integers.

A convolution sums products of int8 exactly; each sum is scaled in float64 and rounded once, to the
float32 that QuantizeLinear sees. Engines round more often: they sum scaled values in float32, or
multiply by a quotient of scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from edge.model.onnx_file import Model

    Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """What a DequantizeLinear gives, before it is multiplied.

    Attributes:
        integers: int8.
        scale: float32, () or (O,) for the outputs of a convolution.
    """

    integers: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]

    def values(self) -> npt.NDArray[np.float32]:
        """Give what the integers of an activation stand for."""
        return self.integers.astype(np.float32) * self.scale


def run_integers(model: Model, pixels: npt.NDArray[np.uint8]) -> dict[str, Array | Levels]:
    """Run every node on one picture.

    Args:
        model: of `write_qdq`, each convolution plain and between int8 tensors.
        pixels: uint8, (H, W, 3), BGR.

    Returns:
        Each tensor by name, with the batch; `CONV/sums` are a convolution's sums, int32 (O, Y, X).

    Raises:
        KeyError: an operator is not known here.
    """
    graph = model.proto.graph
    tensors: dict[str, Array | Levels] = {
        item.name: numpy_helper.to_array(item) for item in graph.initializer
    }
    tensors[model.input_name] = pixels[np.newaxis]
    for node in graph.node:
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        given = [tensors[name] for name in node.input]
        if node.op_type == "Conv":
            tensors[f"{node.output[0]}/sums"] = convolution_sums(*given[:2], **attributes)
            result = _rescale(tensors[f"{node.output[0]}/sums"], *given)
        elif node.op_type == "DequantizeLinear":
            result = Levels(given[0], given[1])
        else:
            floats = [one.values() if isinstance(one, Levels) else one for one in given]
            result = OPERATORS[node.op_type](*floats, **attributes)
        tensors[node.output[0]] = result
    return tensors


def convolution_sums(
    data: Levels, weight: Levels, strides=(1, 1), pads=(0, 0, 0, 0), **_attributes: object
) -> npt.NDArray[np.int32]:
    """Sum products of int8 over the windows of one picture, (O, Y, X)."""
    outputs, _, height, width = weight.integers.shape
    top, left, bottom, right = pads
    padded = np.pad(data.integers[0], ((0, 0), (top, bottom), (left, right)))
    every = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(1, 2))
    windows = every[:, :: strides[0], :: strides[1]].transpose(0, 3, 4, 1, 2)
    columns = windows.reshape(-1, windows.shape[3] * windows.shape[4])
    # Integers below 2**53 are exact in float64, whatever the order of a fast matrix product.
    sums = weight.integers.reshape(outputs, -1).astype(np.float64) @ columns.astype(np.float64)
    assert np.abs(sums).max() < 2**31, "int32 is not enough for this convolution"
    return sums.reshape(outputs, *windows.shape[3:]).astype(np.int32)


def _rescale(
    sums: npt.NDArray[np.int32], data: Levels, weight: Levels, bias: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    factor = data.scale.astype(np.float64) * weight.scale.astype(np.float64)
    exact = sums * factor[:, None, None] + bias.astype(np.float64)[:, None, None]
    return exact.astype(np.float32)[np.newaxis]


def _quantize(values, scale, zero):
    return np.clip(np.rint(values / scale), -128, 127).astype(zero.dtype)


def _max_pool(values, kernel_shape, strides, ceil_mode=0):
    """Take the largest of each window; where the last one is cut off, `ceil_mode` keeps it."""
    lacking = [
        -(side - kernel) % stride if ceil_mode else 0
        for side, kernel, stride in zip(values.shape[2:], kernel_shape, strides, strict=True)
    ]
    sides = ((0, 0), (0, 0), *((0, lack) for lack in lacking))
    padded = np.pad(values, sides, constant_values=-np.inf)
    every = np.lib.stride_tricks.sliding_window_view(padded, kernel_shape, axis=(2, 3))
    return every[:, :, :: strides[0], :: strides[1]].max(axis=(4, 5))


def _pad(values, sides, value):
    return np.pad(values, sides.reshape(2, -1).T, constant_values=value)


def _mean(values):
    return values.mean(axis=(2, 3), keepdims=True, dtype=np.float64).astype(np.float32)


def _product(values, weight, **_attributes):
    """Multiply as Gemm with transB does."""
    return (values.astype(np.float64) @ weight.T.astype(np.float64)).astype(np.float32)


OPERATORS: dict[str, Callable[..., Array]] = {
    "Cast": lambda values, to: values.astype(helper.tensor_dtype_to_np_dtype(to)),
    "Transpose": lambda values, perm: values.transpose(perm),
    "Gather": lambda values, places, axis: values.take(places, axis),
    "Sub": np.subtract,
    "Div": np.divide,
    "Add": np.add,
    "QuantizeLinear": _quantize,
    "Pad": _pad,
    "Relu": lambda values: np.maximum(values, np.float32(0)),
    "MaxPool": _max_pool,
    "Concat": lambda *parts, axis: np.concatenate(parts, axis),
    "Dropout": lambda values, *_ratio: values,
    "GlobalAveragePool": _mean,
    "Flatten": lambda values, **_attributes: values.reshape(len(values), -1),
    "Gemm": _product,
}
