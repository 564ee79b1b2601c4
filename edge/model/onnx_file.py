"""Reading and writing ONNX files with a contract, and checking that they are what we can run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, checker, helper, numpy_helper, shape_inference

from edge.errors import ModelError
from edge.files import read_bytes, sha256_bytes, write_atomic
from edge.model.contract import Contract, parse_contract

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

CONTRACT_KEY = "edge.contract"


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A checked network and its contract.

    Attributes:
        proto: the ONNX model, metadata included.
        contract: what goes in and out.
    """

    proto: onnx.ModelProto
    contract: Contract

    @property
    def input_name(self) -> str:
        """The one input that is not a weight."""
        return str(inputs_of(self.proto.graph)[0].name)

    @property
    def takes_pixels(self) -> bool:
        """True when the input is uint8 (1, H, W, 3) BGR, the preprocessing being inside."""
        tensor = inputs_of(self.proto.graph)[0].type.tensor_type
        return bool(tensor.elem_type == TensorProto.UINT8)

    @property
    def is_int8(self) -> bool:
        """True when activations are quantised, that is when convolutions run in INT8."""
        return any(node.op_type == "QuantizeLinear" for node in self.proto.graph.node)

    @property
    def parameters(self) -> int:
        """Count of weights and biases of the convolutions and matrix products."""
        graph = self.proto.graph
        sizes = {item.name: _size(item) for item in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                sizes[node.output[0]] = sum(_size(item.t) for item in node.attribute)
        source = {name: node.input[0] for node in graph.node if node.input for name in node.output}
        weighted = (node for node in graph.node if node.op_type in {"Conv", "Gemm", "MatMul"})
        stored = (
            name if name in sizes else source.get(name)
            for node in weighted for name in node.input[1:]
        )  # fmt: skip
        return sum(sizes.get(name, 0) for name in stored)

    def sha256(self) -> str:
        """Hash of the file's bytes."""
        return sha256_bytes(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Give the file's bytes, the same ones each time."""
        return bytes(self.proto.SerializeToString(deterministic=True))


def _size(tensor: TensorProto) -> int:
    size = 1
    for side in tensor.dims:
        size *= side
    return size


def inputs_of(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Give the inputs that are not weights (old files list the weights too)."""
    weights = {item.name for item in graph.initializer}
    return [item for item in graph.input if item.name not in weights]


def shape_of(value: onnx.ValueInfoProto) -> list[int | None]:
    """Give the sides of a tensor, None for each that the file leaves open."""
    return [
        side.dim_value if side.HasField("dim_value") else None
        for side in value.type.tensor_type.shape.dim
    ]


def with_contract(proto: onnx.ModelProto, contract: Contract, origin: str | None = None) -> Model:
    """Give the model with this contract in its metadata, checked; `proto` itself is not changed.

    Args:
        proto: the network.
        contract: what goes in and out.
        origin: the file, for the error's line; the contract's name where there is none.

    Raises:
        ModelError: the network is broken or does not fit the contract.
    """
    owned = onnx.ModelProto()
    owned.CopyFrom(proto)
    kept = {item.key: item.value for item in owned.metadata_props if item.key != CONTRACT_KEY}
    del owned.metadata_props[:]
    helper.set_model_props(owned, {**kept, CONTRACT_KEY: contract.to_json()})
    check_network(owned, contract, origin or contract.name)
    return Model(owned, contract)


def parse_proto(data: bytes, origin: str) -> onnx.ModelProto:
    """Read an ONNX network without a look at its contract.

    Args:
        data: the file's bytes.
        origin: the file, for the error's line.

    Raises:
        ModelError: the bytes are not an ONNX network.
    """
    broken = ModelError(
        f"{origin}: not an ONNX model, or a truncated one", hint="Give a whole .onnx file"
    )
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError as error:
        raise broken from error
    if not proto.graph.node or not proto.opset_import:
        raise broken
    return proto


def weight_files(proto: onnx.ModelProto) -> list[str]:
    """Name the files beside the network's own in which it keeps weights, those of its nodes too."""
    inside = (item.t for node in all_nodes(proto.graph) for item in node.attribute)
    return sorted({
        str(entry.value)
        for item in (*proto.graph.initializer, *inside)
        for entry in item.external_data
        if entry.key == "location" and item.data_location == TensorProto.EXTERNAL
    })  # fmt: skip


def load_model(path: Path) -> Model:
    """Read an ONNX file of ours.

    Raises:
        InputError: the file cannot be read.
        ModelError: it is no ONNX network, is broken, or carries no contract.
    """
    proto = parse_proto(read_bytes(path), str(path))
    for item in proto.metadata_props:
        if item.key == CONTRACT_KEY:
            contract = parse_contract(item.value, str(path))
            check_network(proto, contract, str(path))
            return Model(proto, contract)
    raise ModelError(
        f"{path}: has no labels and no preprocessing in its metadata",
        hint=f"Store them with: edge models import {path} --labels FILE --size 224 -o model.onnx",
    )


def copy_proto(model: Model) -> onnx.ModelProto:
    """Give a network of its own, whose nodes and arrays may be changed."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    return proto


def with_nodes(model: Model, proto: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> Model:
    """Give a model of `proto`, with these nodes in the place of its own, which may be among them.

    Shapes that were stored are forgotten: they may be of tensors that are no longer there.
    """
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del proto.graph.node[:], proto.graph.value_info[:]
    proto.graph.node.extend(kept)
    return Model(proto, model.contract)


def readers_of(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """Give the nodes that read each tensor, once for each time that they do."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def save_model(model: Model, path: Path) -> None:
    """Write the model whole or not at all.

    Raises:
        InputError: the path cannot be written.
    """
    write_atomic(path, model.to_bytes())


def check_network(proto: onnx.ModelProto, contract: Contract, origin: str) -> None:
    """Refuse a network that no engine of ours could run under this contract.

    Raises:
        ModelError: names what does not fit.
    """
    if refused := _unfit(proto, contract):
        raise ModelError(f"{origin}: {refused[0]}", hint=refused[1])
    try:
        for item in proto.graph.initializer:
            numpy_helper.to_array(item)  # the checker lets bytes pass that do not fill the shape
        checker.check_model(proto, full_check=False)
        shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    except (
        checker.ValidationError, shape_inference.InferenceError, ValueError, TypeError, KeyError
    ) as error:  # fmt: skip
        raise ModelError(
            f"{origin}: the network is inconsistent ({first_line(error)})",
            hint="Export it again and check it with onnx.checker",
        ) from error


def _unfit(proto: onnx.ModelProto, contract: Contract) -> tuple[str, str] | None:
    if refused := _unfit_whole(proto):
        return refused
    inputs = inputs_of(proto.graph)
    if len(inputs) != 1 or not proto.graph.output:
        return f"has {len(inputs)} inputs, one is wanted", "Export a single-picture classifier"
    if inputs[0].type.tensor_type.elem_type not in {TensorProto.FLOAT, TensorProto.UINT8}:
        return "input is neither float32 nor uint8", "Export it with a float32 input"
    shape = shape_of(inputs[0])
    height, width = contract.input_hw
    is_uint8 = inputs[0].type.tensor_type.elem_type == TensorProto.UINT8
    wanted = [1, height, width, 3] if is_uint8 else [1, 3, height, width]
    if len(shape) != 4:
        return f"input has rank {len(shape)}, rank 4 is wanted", "Export an image classifier"
    if any(side not in (None, right) for side, right in zip(shape, wanted, strict=True)):
        return f"input is {shape}, the contract wants {wanted}", "Import it with the right --size"
    return _unfit_output(proto, contract)


def _unfit_whole(proto: onnx.ModelProto) -> tuple[str, str] | None:
    if unknown := unknown_ops(proto):
        return (
            f"unknown operator {', '.join(unknown)}",
            "Export the model with standard ONNX operators",
        )
    if apart := weight_files(proto):
        return (
            f"keeps its weights in {', '.join(apart)}",
            "Store them inside: onnx.save(onnx.load(FILE), FILE)",
        )
    return None


def _unfit_output(proto: onnx.ModelProto, contract: Contract) -> tuple[str, str] | None:
    try:
        inferred = shape_inference.infer_shapes(proto, data_prop=True)
    except (shape_inference.InferenceError, ValueError):
        return None
    batch, *others = shape_of(inferred.graph.output[0]) or [1]
    sides = [side for side in (batch or 1, *others) if side != 1]  # the batch may be open
    count = len(contract.labels)
    if sides and sides != [count] and None not in sides:
        return f"gives {sides} scores for {count} labels", "Import it with the right --labels"
    return None


def unknown_ops(proto: onnx.ModelProto) -> list[str]:
    """Name the operators that the file's ONNX version does not have.

    In a damaged file a name that is not UTF-8 comes as bytes.
    """
    versions = {item.domain: item.version for item in proto.opset_import}
    return sorted({
        str(node.op_type)
        for node in all_nodes(proto.graph)
        if not onnx.defs.has(
            str(node.op_type), versions.get(node.domain, 1), str(node.domain)
        )
    })  # fmt: skip


def all_nodes(graph: onnx.GraphProto) -> Iterable[onnx.NodeProto]:
    """Yield the nodes of a graph and of the graphs inside its nodes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from all_nodes(attribute.g)


def first_line(error: Exception) -> str:
    """Give what a library says first of a fault, cut to what one line holds."""
    return str(error).strip().split("\n", 1)[0].rstrip(".")[:160]
