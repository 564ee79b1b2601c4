"""A folded float model seen as convolutions and the activations that they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edge.model.fold import PLANES
from edge.model.weights import conv_weight_names

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt

    from edge.model.onnx_file import Model

    Array = npt.NDArray[np.float64]

PASSING = frozenset({"Relu", "MaxPool", "Concat", "Dropout", "Identity"})
"""Operators that let a positive factor a channel through unchanged."""

PIXEL_ZERO = 128.0
"""What is taken from a pixel, so that it is an int8 of scale 1."""


@dataclass(slots=True, eq=False)
class Conv:
    """A convolution that becomes int8; `weight` and `bias` change while it is quantised.

    Attributes:
        name: of the tensor that it gives.
        label: of the node, for people.
        source: the tensor that it reads.
        weight: float64, (O, I, ...).
        bias: float64, (O,).
        strides: vertical and horizontal.
        pads: top, left, bottom, right.
        dense: two dimensions, one group, no dilation, pads in numbers.
        offset: what is taken from the float output, (O,); not 0 for a second copy of channels.
        integers: int8, of the weight's shape, once it is rounded.
        steps: float32, (O,), positive: the weight is `integers * steps`.
    """

    name: str
    label: str
    source: str
    weight: Array
    bias: Array
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dense: bool
    offset: Array | float = 0.0
    integers: npt.NDArray[np.int8] | None = None
    steps: npt.NDArray[np.float32] | None = None


@dataclass(slots=True, eq=False)
class Site:
    """An activation that becomes int8.

    Attributes:
        tensor: its name in the folded model.
        pieces: convolutions whose channels it holds, in order; empty where something else
            than `PASSING` stands between.
        readers: the convolutions that read it.
        barrier: why only half of the levels can be used; empty where all of them can.
        step: the distance of two levels; 0 until it is chosen.
        copies: of its channels, each saturating where the next one starts; see `edge.quant.twice`.
    """

    tensor: str
    pieces: tuple[str, ...]
    readers: tuple[str, ...]
    barrier: str
    step: float = 0.0
    copies: int = 1

    @property
    def bounds(self) -> tuple[int, int]:
        """Lowest and highest level as a multiple of `step`."""
        return (-128, 127) if self.barrier else (0, 255)


@dataclass(slots=True, eq=False)
class Network:
    """What is quantised of a model.

    Attributes:
        model: folded, float.
        convs: by name, in graph order; each one's input is a site or the pixels.
        sites: by tensor, in graph order.
    """

    model: Model
    convs: dict[str, Conv]
    sites: dict[str, Site]

    def groups(self) -> list[list[Site]]:
        """Give the sites that hold channels of the same convolutions together: one step each."""
        groups: list[list[Site]] = []
        for site in self.sites.values():
            mine = [group for group in groups if any(_share(site, other) for other in group)]
            joined = [other for group in mine for other in group]
            groups = [group for group in groups if group not in mine]
            groups.append([*joined, site])
        return groups

    def readers_of(self, tensor: str) -> list[Conv]:
        """Give the convolutions that read a tensor."""
        return [conv for conv in self.convs.values() if conv.source == tensor]


def _share(one: Site, other: Site) -> bool:
    return bool(set(one.pieces) & set(other.pieces))


def read_network(model: Model, keep_float: Collection[str] = ()) -> Network:
    """Find what can be quantised.

    Args:
        model: folded, float weights.
        keep_float: labels of convolutions that are not to be touched.
    """
    graph = model.proto.graph
    stored = {item.name: item for item in graph.initializer}
    weights = set(conv_weight_names(graph))
    convs = {}
    for node in graph.node:
        label = str(node.name or node.output[0])
        bias_is_known = set(node.input[2:]) <= {"", *stored}
        is_known = node.op_type == "Conv" and node.input[1] in weights and bias_is_known
        if is_known and label not in keep_float:
            convs[str(node.output[0])] = _read_conv(node, label, stored)
    tensors = [t for t in dict.fromkeys(conv.source for conv in convs.values()) if t != PLANES]
    trace = _Trace(model, convs)
    sites = {}
    for tensor in tensors:
        readers = tuple(conv.name for conv in convs.values() if conv.source == tensor)
        pieces, barrier = trace.look_back(tensor)
        if not barrier and any(not convs[name].dense for name in readers):
            pieces, barrier = (), "its reader is no plain convolution"
        sites[tensor] = Site(tensor, pieces, readers, barrier)
    _spread_barriers(sites, trace)
    network = Network(model, convs, sites)
    for group in network.groups():  # one step, one form
        barrier = next((site.barrier for site in group if site.barrier), "")
        for site in group:
            site.barrier = site.barrier or barrier
    return network


def _spread_barriers(sites: dict[str, Site], trace: _Trace) -> None:
    """What flows into an activation of unknown make cannot be scaled either."""
    changed = True
    while changed:
        changed = False
        for site in sites.values():
            reached = trace.reached_from(site.pieces) & sites.keys()
            blind = next((sites[name] for name in sorted(reached) if not sites[name].pieces), None)
            if site.pieces and blind is not None:
                site.pieces, site.barrier = (), f"it flows into {blind.tensor}"
                changed = True


def _read_conv(node: onnx.NodeProto, label: str, stored: dict[str, onnx.TensorProto]) -> Conv:
    weight = numpy_helper.to_array(stored[node.input[1]]).astype(np.float64)
    bias = np.zeros(len(weight))
    if len(node.input) > 2 and node.input[2]:
        bias = numpy_helper.to_array(stored[node.input[2]]).astype(np.float64)
    values = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    plain = weight.ndim == 4 and values.get("group", 1) == 1
    dense = (
        plain
        and set(values.get("dilations", [1])) == {1}
        and values.get("auto_pad", b"NOTSET") == b"NOTSET"
    )  # fmt: skip
    strides = tuple(values.get("strides", [1, 1]))
    pads = tuple(values.get("pads", [0, 0, 0, 0]))
    name, source = str(node.output[0]), str(node.input[0])
    return Conv(name, label, source, weight, bias, strides, pads, dense)


class _Trace:
    """Looks from an activation back to the convolutions that make it."""

    def __init__(self, model: Model, convs: dict[str, Conv]) -> None:
        graph = model.proto.graph
        self._convs = convs
        self._maker = {name: node for node in graph.node for name in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._outputs = {item.name for item in graph.output}

    def look_back(self, tensor: str) -> tuple[tuple[str, ...], str]:
        """Give the pieces of a tensor, and why all 256 levels cannot be used (or nothing)."""
        pieces, wrong = self._pieces(tensor)
        if wrong:
            return (), wrong
        rectified = all(self._rectified(tensor))
        return tuple(pieces), "" if rectified else "it can be negative"

    def _pieces(self, tensor: str) -> tuple[list[str], str]:
        wrong = self._read_elsewhere(tensor)
        node = self._maker.get(tensor)
        if wrong or node is None:
            return [], wrong or "it is an input"
        if tensor in self._convs:
            return [tensor], "" if self._convs[tensor].dense else "a grouped or odd convolution"
        if node.op_type not in PASSING or node.output[0] != tensor:
            return [], f"{node.op_type} {node.name or tensor} stands before it"
        sources = node.input if node.op_type == "Concat" else node.input[:1]
        if node.op_type == "Concat" and _axis_of(node) != 1:
            return [], f"{node.op_type} {node.name or tensor} does not join channels"
        pieces: list[str] = []
        for source in sources:
            more, wrong = self._pieces(source)
            if wrong:
                return [], wrong
            pieces += more
        return pieces, ""

    def reached_from(self, names: Collection[str]) -> set[str]:
        """Give the tensors that `PASSING` operators alone make of these, and these."""
        found: set[str] = set()
        open_ends = list(names)
        while open_ends:
            tensor = open_ends.pop()
            found.add(tensor)
            passing = (n for n in self._readers.get(tensor, []) if n.op_type in PASSING)
            open_ends += [node.output[0] for node in passing if node.output[0] not in found]
        return found

    def _read_elsewhere(self, tensor: str) -> str:
        for name in sorted(self.reached_from([tensor])):
            if name in self._outputs:
                return "it is an output"
            for node in self._readers.get(name, []):
                ours = node.output[0] in self._convs and node.input[0] == name
                if not ours and node.op_type not in PASSING:
                    return f"{node.op_type} {node.name or node.output[0]} reads it too"
        return ""

    def _rectified(self, tensor: str) -> list[bool]:
        """Tell of each piece whether a Relu stands behind it."""
        node = self._maker[tensor]
        if tensor in self._convs:
            return [False]
        if node.op_type == "Relu":
            return [True] * len(self._pieces(node.input[0])[0])
        sources = node.input if node.op_type == "Concat" else node.input[:1]
        return [told for source in sources for told in self._rectified(source)]


def _axis_of(node: onnx.NodeProto) -> int:
    return next((int(item.i) for item in node.attribute if item.name == "axis"), 0)
