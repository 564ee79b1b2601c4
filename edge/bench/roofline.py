"""How soon a network could be done at all: its arithmetic and its bytes against a board's limits.

Source: Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for
multicore architectures", Communications of the ACM 52(4), 2009.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from onnx import shape_inference

from edge.model.fold import fold
from edge.model.onnx_file import shape_of

if TYPE_CHECKING:
    import onnx

    from edge.bench.limits import Limits
    from edge.model.onnx_file import Model

Precision = Literal["int8", "fp16"]

MULTIPLYING = frozenset({"Conv", "Gemm", "MatMul"})
BYTES = {"int8": 1, "fp16": 2}
OPS_A_MAC = 2
TERA, GIGA, MS_A_S = 1e12, 1e9, 1e3


@dataclass(frozen=True, slots=True)
class LayerWork:
    """What one layer that multiplies weights has to do for one picture.

    Attributes:
        name: of the node.
        macs: multiplications, each with its addition.
        weights: how many values it multiplies with, biases not counted.
        inputs: values that it reads.
        outputs: values that it writes.
    """

    name: str
    macs: int
    weights: int
    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class LayerBound:
    """How soon a layer could be done.

    Attributes:
        work: what it has to do.
        arithmetic_ms: at the most operations a second that the board does.
        memory_ms: with weights, input and output each through the memory once. What a cache keeps
            is faster.
    """

    work: LayerWork
    arithmetic_ms: float
    memory_ms: float


@dataclass(frozen=True, slots=True)
class Bound:
    """How soon a network could be done: a lower bound of its time, no prediction of it.

    Attributes:
        limits: of the board.
        precision: that was counted with: FP16 where the board has no fast INT8.
        layers: in the network's order.
    """

    limits: Limits
    precision: Precision
    layers: tuple[LayerBound, ...]

    @property
    def arithmetic_ms(self) -> float:
        """The bound that nothing beats: every multiplication at the board's peak."""
        return sum(layer.arithmetic_ms for layer in self.layers)

    @property
    def total_ms(self) -> float:
        """The roofline: each layer as soon as its arithmetic and its bytes allow, one by one."""
        return sum(max(layer.arithmetic_ms, layer.memory_ms) for layer in self.layers)


def list_work(model: Model) -> tuple[LayerWork, ...]:
    """Give what each layer that multiplies weights has to do, in the network's order.

    Pooling, activations and sums are left out: a good engine hides them behind what is here, and
    leaving work out keeps a bound a bound.
    """
    folded = fold(model).proto
    graph = shape_inference.infer_shapes(folded, data_prop=True).graph
    shapes = {
        value.name: shape_of(value) for value in (*graph.value_info, *graph.input, *graph.output)
    }
    shapes |= {item.name: list(item.dims) for item in graph.initializer}
    return tuple(_work(node, shapes) for node in graph.node if node.op_type in MULTIPLYING)


def _work(node: onnx.NodeProto, shapes: dict[str, list[int | None]]) -> LayerWork:
    inputs, weights, outputs = (
        math.prod(side or 1 for side in shapes[name])
        for name in (node.input[0], node.input[1], node.output[0])
    )
    sides = shapes[node.input[1]]
    if node.op_type == "Conv":
        each = weights // (sides[0] or 1)  # of one output value: kernel times input channels
    else:
        transposed = any(item.name == "transB" and item.i for item in node.attribute)
        each = sides[-1 if transposed else 0] or 1
    return LayerWork(node.name or node.output[0], outputs * each, weights, inputs, outputs)


def bound(model: Model, limits: Limits, *, is_int8: bool, batch: int = 1) -> Bound:
    """Give how soon a board could be done with some pictures at once.

    Args:
        model: how it is stored does not matter.
        limits: of the board.
        is_int8: whether it runs in INT8; else it is counted in FP16, as TensorRT would run it.
        batch: pictures, which share the reading of the weights.
    """
    precision: Precision = "int8" if is_int8 and limits.int8_tops else "fp16"
    tops = limits.int8_tops if precision == "int8" and limits.int8_tops else limits.fp16_tflops
    layers = tuple(
        LayerBound(
            work,
            arithmetic_ms=batch * work.macs * OPS_A_MAC / (tops * TERA) * MS_A_S,
            memory_ms=(work.weights + batch * (work.inputs + work.outputs)) * BYTES[precision]
            / (limits.bandwidth_gb_s * GIGA) * MS_A_S,
        )
        for work in list_work(model)
    )  # fmt: skip
    return Bound(limits, precision, layers)
