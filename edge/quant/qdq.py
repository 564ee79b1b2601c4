"""Quantise and dequantise nodes put where TensorRT wants them.

int8 with zero point 0: one scale an activation in front of each convolution, one scale a channel
on its weight, float bias, nothing at pools and concats. An activation that is never negative can
use all 256 levels: the convolutions that make it give it lowered by 128 steps, the quantiser's own
saturation is the Relu, and the convolutions that read it take the 128 steps back in their bias;
where one of these is padded, a Pad with the lowered zero stands before it.
Source: NVIDIA TensorRT documentation, "Working with Quantized Types", and the real parser's word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edge.model.fold import PLANES
from edge.model.onnx_file import Model, copy_proto, with_contract
from edge.quant.network import PIXEL_ZERO

if TYPE_CHECKING:
    import numpy.typing as npt

    from edge.quant.network import Conv, Network, Site

CENTRED = "pixels/centred"
LOWERED = 128.0
"""Steps by which an activation with all 256 levels is carried too low."""


def write_qdq(network: Network) -> Model:
    """Give the int8 model of a network whose weights are rounded and whose sites have steps."""
    writer = _Writer(network)
    for node in network.model.proto.graph.node:
        writer.take(node)
    return writer.finish()


class _Writer:
    """Nodes and initialisers of the int8 model in the making."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._proto = copy_proto(network.model)
        self._arrays: dict[str, npt.NDArray[np.generic]] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._renamed: dict[str, str] = {}
        lowered = [site for site in network.sites.values() if not site.barrier]
        self._lowered_by = {name: LOWERED * site.step for site in lowered for name in site.pieces}
        self._lowered = set(self._lowered_by)

    def take(self, node: onnx.NodeProto) -> None:
        """Add a node of the float model in its int8 form."""
        own = onnx.NodeProto()
        own.CopyFrom(node)
        for place, name in enumerate(own.input):
            own.input[place] = self._renamed.get(name, name)
        conv = self._network.convs.get(node.output[0])
        if conv is not None:
            self._take_conv(own, conv)
        elif node.op_type == "Add":
            self._read_pairs(own)
            self._nodes.append(own)
        elif node.op_type == "Relu" and own.input[0] in self._lowered:
            self._renamed[node.output[0]] = own.input[0]
        else:
            self._nodes.append(own)
            if any(name in self._lowered for name in own.input):
                self._lowered.update(own.output)
        for name in node.output:
            if name in self._network.sites:
                site = self._network.sites[name]
                self._pair(name, self._renamed.get(name, name), site.step)

    def _read_pairs(self, node: onnx.NodeProto) -> None:
        for place, name in enumerate(node.input):
            if name in self._network.sites:
                node.input[place] = f"{name}/dq"

    def _take_conv(self, node: onnx.NodeProto, conv: Conv) -> None:
        site = self._network.sites.get(conv.source)
        node.input[0] = self._centred() if conv.source == PLANES else f"{conv.source}/dq"
        zero = PIXEL_ZERO if conv.source == PLANES else 0.0
        if site is not None and not site.barrier:
            zero = LOWERED * site.step
            if any(conv.pads):
                node.input[0] = self._padded(site, conv)
                _drop_pads(node)
        bias = conv.bias - self._lowered_by.get(conv.name, 0.0)
        bias += zero * conv.weight.reshape(len(conv.bias), -1).sum(axis=1)
        names = [f"{conv.name}/weight", f"{conv.name}/bias"]
        del node.input[1:]
        node.input.extend([f"{names[0]}/dq", names[1]])
        self._nodes += [self._weight(conv, names[0]), node]
        self._arrays[names[1]] = bias.astype(np.float32)

    def _weight(self, conv: Conv, name: str) -> onnx.NodeProto:
        if conv.integers is None or conv.steps is None:
            msg = f"{conv.name} is not rounded yet"
            raise ValueError(msg)
        zeros = np.zeros(len(conv.steps), dtype=np.int8)
        parts: dict[str, npt.NDArray[np.generic]] = {
            f"{name}/int8": conv.integers,
            f"{name}/scale": conv.steps,
            f"{name}/zero": zeros,
        }
        self._arrays.update(parts)
        return helper.make_node(
            "DequantizeLinear", list(parts), [f"{name}/dq"], f"{name}/dq", axis=0
        )

    def _centred(self) -> str:
        """Give the pixels less 128 as int8 of scale 1, all 256 levels without a loss."""
        if f"{CENTRED}/scale" not in self._arrays:
            zero = f"{CENTRED}/zero_level"
            self._arrays[zero] = np.array(PIXEL_ZERO, dtype=np.float32)
            self._nodes.append(helper.make_node("Sub", [PLANES, zero], [CENTRED], name=CENTRED))
            self._pair(CENTRED, CENTRED, 1.0)
        return f"{CENTRED}/dq"

    def _padded(self, site: Site, conv: Conv) -> str:
        """Surround a lowered activation by its lowered zero."""
        top, left, bottom, right = conv.pads
        name = f"{site.tensor}/padded{top}{left}{bottom}{right}"
        if f"{name}/scale" not in self._arrays:
            sides = [0, 0, top, left, 0, 0, bottom, right]
            self._arrays[f"{name}/sides"] = np.array(sides, dtype=np.int64)
            value = np.float32(-LOWERED) * np.float32(site.step)
            self._arrays[f"{name}/value"] = np.array(value, dtype=np.float32)
            inputs = [f"{site.tensor}/dq", f"{name}/sides", f"{name}/value"]
            self._nodes.append(helper.make_node("Pad", inputs, [name], name=name))
            self._pair(name, name, site.step)
        return f"{name}/dq"

    def _pair(self, name: str, source: str, step: float) -> None:
        """Put the two nodes behind a tensor; readers take `NAME/dq`."""
        parts = [f"{name}/scale", f"{name}/zero"]
        self._arrays[parts[0]] = np.array(step, dtype=np.float32)
        self._arrays[parts[1]] = np.array(0, dtype=np.int8)
        q, dq = f"{name}/q", f"{name}/dq"
        self._nodes += [
            helper.make_node("QuantizeLinear", [source, *parts], [q], name=q),
            helper.make_node("DequantizeLinear", [q, *parts], [dq], name=dq),
        ]

    def finish(self) -> Model:
        """Give the model, without what nobody reads any more."""
        graph = self._proto.graph
        read = {name for node in self._nodes for name in node.input}
        kept = [
            onnx.TensorProto.FromString(i.SerializeToString())
            for i in graph.initializer
            if i.name in read
        ]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self._nodes)
        graph.initializer.extend(kept)
        graph.initializer.extend(
            numpy_helper.from_array(array, name) for name, array in self._arrays.items()
        )
        contract = self._network.model.contract
        return with_contract(self._proto, contract.renamed(f"{contract.name}-int8"))


def _drop_pads(node: onnx.NodeProto) -> None:
    kept = [item for item in node.attribute if item.name != "pads"]
    del node.attribute[:]
    node.attribute.extend(kept)
