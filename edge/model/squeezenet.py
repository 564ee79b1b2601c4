"""SqueezeNet as ONNX: versions 1.0 and 1.1, simple and complex bypass, any classes and size.

Source: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and
<0.5MB model size", arXiv:1602.07360, table 1 and section 6; version 1.1 as released beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.errors import ModelError
from edge.model.onnx_file import Model, with_contract

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from edge.model.contract import Contract

    Array = npt.NDArray[np.float32]

Version = Literal["1.0", "1.1"]
Bypass = Literal["none", "simple", "complex"]

OPSET = 17
IR_VERSION = 8


@dataclass(frozen=True, slots=True)
class Topology:
    """What differs between the versions.

    Attributes:
        conv1: output channels and kernel side of the first convolution (stride 2, no padding).
        pools_before: fire modules with a 3x3 stride-2 max pool before them; the first has one.
    """

    conv1: tuple[int, int]
    pools_before: tuple[int, ...]


TOPOLOGIES: Mapping[str, Topology] = {
    "1.0": Topology(conv1=(96, 7), pools_before=(2, 5, 9)),
    "1.1": Topology(conv1=(64, 3), pools_before=(2, 4, 6)),
}
FIRES: Mapping[int, tuple[int, int]] = {
    2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128),
    6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256),
}  # fmt: skip
"""Fire module to (squeeze channels, channels of each expand half)."""


def weight_shapes(
    version: Version, classes: int, bypass: Bypass = "none"
) -> dict[str, tuple[int, int, int, int]]:
    """Give each convolution's weight shape (outputs, inputs, height, width), in graph order."""
    channels, kernel = TOPOLOGIES[version].conv1
    shapes = {"conv1": (channels, 3, kernel, kernel)}
    for number, (squeeze, expand) in FIRES.items():
        fire = f"fire{number}"
        shapes[f"{fire}/squeeze1x1"] = (squeeze, channels, 1, 1)
        shapes[f"{fire}/expand1x1"] = (expand, squeeze, 1, 1)
        shapes[f"{fire}/expand3x3"] = (expand, squeeze, 3, 3)
        if bypass == "complex" and channels != 2 * expand:
            shapes[f"{fire}/bypass1x1"] = (2 * expand, channels, 1, 1)
        channels = 2 * expand
    shapes["conv10"] = (classes, channels, 1, 1)
    return shapes


def random_weights(
    version: Version, classes: int, *, bypass: Bypass = "none", seed: int = 0
) -> dict[str, Array]:
    """Make weights for tests and sizing: He-normal from a seed, biases zero."""
    rng = np.random.default_rng(seed)
    weights: dict[str, Array] = {}
    for name, shape in weight_shapes(version, classes, bypass).items():
        spread = np.sqrt(2 / np.prod(shape[1:]))
        weights[f"{name}.weight"] = rng.normal(0, spread, shape).astype(np.float32)
        weights[f"{name}.bias"] = np.zeros(shape[0], dtype=np.float32)
    return weights


@dataclass(slots=True)
class _Graph:
    """Nodes and initialisers in the making."""

    weights: Mapping[str, Array]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initialisers: list[TensorProto] = field(default_factory=list)

    def add(self, op: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def conv(self, name: str, tensor: str, *, stride: int = 1, pad: int = 0) -> str:
        for kind in ("weight", "bias"):
            array = self.weights[f"{name}.{kind}"]
            self.initialisers.append(numpy_helper.from_array(array, f"{name}.{kind}"))
        kernel = self.weights[f"{name}.weight"].shape[2:]
        return self.add(
            "Conv",
            [tensor, f"{name}.weight", f"{name}.bias"],
            name,
            kernel_shape=[int(side) for side in kernel],
            strides=[stride, stride],
            pads=[pad] * 4,
        )

    def relu(self, tensor: str) -> str:
        return self.add("Relu", [tensor], f"{tensor}/relu")

    def pool(self, tensor: str, name: str) -> str:
        return self.add("MaxPool", [tensor], name, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)

    def fire(self, number: int, tensor: str) -> str:
        fire = f"fire{number}"
        squeezed = self.relu(self.conv(f"{fire}/squeeze1x1", tensor))
        halves = [
            self.relu(self.conv(f"{fire}/expand1x1", squeezed)),
            self.relu(self.conv(f"{fire}/expand3x3", squeezed, pad=1)),
        ]
        return self.add("Concat", halves, f"{fire}/concat", axis=1)

    def bypass(self, number: int, tensor: str, fired: str, kind: Bypass) -> str:
        """Add the fire module's input to its output, through a 1x1 where the channels differ."""
        name = f"fire{number}/bypass1x1"
        same_channels = f"{name}.weight" not in self.weights and number % 2 == 1
        if same_channels:
            skip = tensor
        elif kind == "complex" and f"{name}.weight" in self.weights:
            skip = self.conv(name, tensor)
        else:
            return fired
        return self.add("Add", [fired, skip], f"fire{number}/sum")


def build_squeezenet(
    version: Version,
    contract: Contract,
    weights: Mapping[str, Array],
    *,
    bypass: Bypass = "none",
    final_pad: int = 0,
) -> Model:
    """Build the network with one class for each label of the contract.

    Input: float32 (1, 3, H, W) as the contract says. Output: float32 (1, classes) logits.

    Args:
        version: "1.0" or "1.1".
        contract: decides classes and input size, and is stored in the file.
        weights: `NAME.weight` and `NAME.bias` for each name of `weight_shapes`.
        bypass: "simple" adds a skip around fire 3, 5, 7 and 9; "complex" also a 1x1
            convolution around fire 2, 4, 6 and 8, whose channels differ.
        final_pad: padding of conv10; 1 in the author's own description of version 1.0.

    Raises:
        ModelError: a weight is missing or has another shape, or the input is too small.
    """
    _check_weights(version, contract, weights, bypass)
    graph = _Graph(weights)
    tensor = graph.relu(graph.conv("conv1", "input", stride=2))
    for number in FIRES:
        if number in TOPOLOGIES[version].pools_before:
            tensor = graph.pool(tensor, f"pool{number - 1}")
        fired = graph.fire(number, tensor)
        tensor = fired if bypass == "none" else graph.bypass(number, tensor, fired, bypass)
    tensor = graph.relu(graph.conv("conv10", tensor, pad=final_pad))
    tensor = graph.add("GlobalAveragePool", [tensor], "pool10")
    graph.add("Flatten", [tensor], "scores", axis=1)

    height, width = contract.input_hw
    classes = len(contract.labels)
    proto = helper.make_model(
        helper.make_graph(
            graph.nodes,
            f"squeezenet{version}",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, height, width])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, classes])],
            graph.initialisers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="edge",
        ir_version=IR_VERSION,
    )
    return with_contract(proto, contract)


def _check_weights(
    version: Version, contract: Contract, weights: Mapping[str, Array], bypass: Bypass
) -> None:
    hint = "Give weights of the same version, bypass and class count"
    for name, shape in weight_shapes(version, len(contract.labels), bypass).items():
        for key, wanted in ((f"{name}.weight", shape), (f"{name}.bias", shape[:1])):
            array = weights.get(key)
            if array is None:
                raise ModelError(f"{contract.name}: weight {key} is missing", hint=hint)
            if array.shape != wanted:
                raise ModelError(
                    f"{contract.name}: weight {key} is {array.shape}, {wanted} is wanted", hint=hint
                )
    if min(contract.input_hw) < 32:
        raise ModelError(
            f"{contract.name}: input {contract.input_hw} is too small for SqueezeNet",
            hint="Use at least 32 x 32",
        )
