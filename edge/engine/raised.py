"""Activations that are carried 128 steps too low, raised to uint8 where they belong.

TensorRT wants the zero point 0, so `edge.quant.qdq` lowers an activation that is never negative by
128 steps to have all 256 levels of int8. As uint8 with zero point 0 the same integers plus 128 need
neither the lowering nor a Pad with the lowered zero, and a CPU engine runs them at full speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edge.model.onnx_file import Model, copy_proto

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

STEPS = 128
PASSING = frozenset({"MaxPool", "Concat", "Dropout", "Identity"})
"""Operators that let a shift through."""


def raise_lowered(model: Model) -> Model:
    """Give the same network with its lowered activations as uint8 and their Pads as padding.

    The integers are those of the given network plus 128, but for what float32 loses where 128 steps
    are put back into a bias: a sum within that of a tie may be rounded to the other side.
    """
    proto = copy_proto(model)
    graph = _Graph(proto.graph)
    graph.lift(graph.find_lowered())
    return Model(proto, model.contract)


@dataclass(frozen=True, slots=True, eq=False)
class _Lowered:
    """One activation.

    Attributes:
        quantizer: gives it.
        dequantizers: read it.
        step: distance of two levels.
        makers: outputs of the convolutions whose channels it holds.
        readers: the convolutions that read it, each with the Pad in front of it or None.
    """

    quantizer: onnx.NodeProto
    dequantizers: list[onnx.NodeProto]
    step: float
    makers: list[str]
    readers: list[tuple[onnx.NodeProto, onnx.NodeProto | None]]


class _Graph:
    """Finds the lowered activations of a graph and changes it in place."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._stored = {item.name: item for item in graph.initializer}
        self._maker = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)

    def find_lowered(self) -> list[_Lowered]:
        """Give what can be raised: all that a convolution flows into, or nothing of it."""
        known = [lowered for node in self._graph.node if (lowered := self._read(node))]
        while True:
            steps = {lowered.quantizer.output[0]: lowered.step for lowered in known}
            kept = [
                lowered
                for lowered in known
                if {steps.get(end) for name in lowered.makers for end in self._ends(name)}
                == {lowered.step}
            ]
            if len(kept) == len(known):
                return known
            known = kept

    def _read(self, node: onnx.NodeProto) -> _Lowered | None:
        """Give what a quantiser makes; None where it cannot be raised."""
        makers = self._makers(node.input[0]) if self._is_quantizer(node) else None
        if makers is None:
            return None
        step = float(self._array(node.input[1]))
        dequantizers = self._readers.get(node.output[0], [])
        readers = []
        for reader in (r for dq in dequantizers for r in self._readers.get(dq.output[0], [])):
            pad = reader if reader.op_type == "Pad" else None
            behind = [reader] if pad is None else self._behind_pad(reader, step)
            if not behind or not all(self._is_plain(conv) for conv in behind):
                return None
            readers += [(conv, pad) for conv in behind]
        return _Lowered(node, dequantizers, step, makers, readers) if readers else None

    def _makers(self, tensor: str) -> list[str] | None:
        """Name the convolutions whose channels a tensor holds; None where it holds others."""
        node = self._maker.get(tensor)
        if node is None or node.op_type not in {"Conv", *PASSING}:
            return None
        if node.op_type == "Conv":
            return [tensor] if len(node.input) > 2 and node.input[2] in self._stored else None
        parts = [self._makers(source) for source in node.input if source not in self._stored]
        return None if None in parts else [name for part in parts for name in part or []]

    def _ends(self, tensor: str) -> Iterator[str]:
        """Name what stands behind a tensor and the `PASSING` operators; "" for an output."""
        if any(item.name == tensor for item in self._graph.output):
            yield ""
        for node in self._readers.get(tensor, []):
            if node.op_type in PASSING:
                yield from self._ends(node.output[0])
            else:
                yield node.output[0]

    def _is_quantizer(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "QuantizeLinear" or not self._are_stored(node.input[1:], 2):
            return False
        scale, zero = (self._array(name) for name in node.input[1:])
        return bool(scale.size == 1 and zero.dtype == np.int8 and not zero.any())

    def _behind_pad(self, pad: onnx.NodeProto, step: float) -> list[onnx.NodeProto]:
        """Give the convolutions behind a Pad with the lowered zero and its pair; none otherwise."""
        if not self._are_stored(pad.input[1:], 2) or len(self._array(pad.input[1])) != 8:
            return []
        pair = self._readers.get(pad.output[0], [])
        lowered_zero = np.float32(-STEPS) * np.float32(step)
        is_known = self._array(pad.input[2]) == lowered_zero and all(
            self._is_quantizer(node) and self._array(node.input[1]) == np.float32(step)
            for node in pair
        )
        dequantizers = [dq for node in pair for dq in self._readers.get(node.output[0], [])]
        convs = [conv for dq in dequantizers for conv in self._readers.get(dq.output[0], [])]
        return convs if is_known else []

    def _is_plain(self, node: onnx.NodeProto) -> bool:
        """Tell whether a convolution adds no zeros of its own and has weights that are known."""
        if node.op_type != "Conv" or not self._are_stored(node.input[2:], 1):
            return False
        weight = self._maker.get(node.input[1])
        values = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        return (
            weight is not None
            and weight.op_type == "DequantizeLinear"
            and self._are_stored(weight.input, 3)
            and not any(values.get("pads", ()))
            and values.get("auto_pad", b"NOTSET") == b"NOTSET"
            and values.get("group", 1) == 1
        )

    def _are_stored(self, names: Sequence[str], count: int) -> bool:
        return len(names) == count and all(name in self._stored for name in names)

    def _array(self, name: str) -> npt.NDArray[Any]:
        array: npt.NDArray[Any] = numpy_helper.to_array(self._stored[name])
        return array

    def lift(self, every: list[_Lowered]) -> None:
        """Put the 128 steps back into the makers' biases, and take them out of the readers'."""
        up, down = {}, {}
        for lowered in every:
            shift = STEPS * lowered.step
            up.update(dict.fromkeys(lowered.makers, shift))
            for conv, pad in lowered.readers:
                weight, scale, _ = map(self._array, self._maker[conv.input[1]].input)
                down[conv.output[0]] = shift * (
                    weight.sum(axis=(1, 2, 3), dtype=np.float64) * scale
                )
                if pad is not None:
                    _join(conv, pad, self._array(pad.input[1]))
            zero = self._store(f"{lowered.quantizer.output[0]}/raised", np.uint8(0))
            for node in (lowered.quantizer, *lowered.dequantizers):
                node.input[2] = zero
        for name in {**up, **down}:
            conv = self._maker[name]
            bias = self._array(conv.input[2]) + up.get(name, 0.0) - down.get(name, 0.0)
            conv.input[2] = self._store(f"{name}/raised", bias.astype(np.float32))
        self._drop_unread()

    def _store(self, name: str, value: npt.ArrayLike) -> str:
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _drop_unread(self) -> None:
        """Remove the Pads, the pairs behind them and the arrays that nobody reads any more."""
        kept: list[onnx.NodeProto] = []
        read = {item.name for item in self._graph.output}
        for node in reversed(self._graph.node):
            if read.intersection(node.output):
                read.update(node.input)
                kept.append(onnx.NodeProto.FromString(node.SerializeToString()))
        arrays = [item for item in self._graph.initializer if item.name in read]
        left = [onnx.TensorProto.FromString(item.SerializeToString()) for item in arrays]
        del self._graph.node[:], self._graph.initializer[:]
        self._graph.node.extend(reversed(kept))
        self._graph.initializer.extend(left)


def _join(conv: onnx.NodeProto, pad: onnx.NodeProto, sides: npt.NDArray[np.int64]) -> None:
    """Let a convolution add the zeros of the Pad in front of it, and read what that reads."""
    kept = [item for item in conv.attribute if item.name != "pads"]
    del conv.attribute[:]
    conv.attribute.extend(kept)
    conv.attribute.append(helper.make_attribute("pads", [*sides[2:4], *sides[6:8]]))
    conv.input[0] = pad.input[0]
