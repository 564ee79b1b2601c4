"""The layer table of a plan, read from what the builder or the engine inspector prints."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

CONVOLUTIONS = frozenset({"correlation", "gemm", "CaskConvolution", "CaskGemmConvolution"})
"""How the builder calls the kernels that multiply weights; fused kernels keep these names."""

_LAYER = re.compile(
    r"Name: (?P<name>.*?), LayerType: (?P<kind>\w+),"
    r" Inputs: \[(?P<inputs>.*?)\], (?:Constants|Outputs): "
)
_DATATYPE = re.compile(r"Datatype: (\w+)")
_ONNX = re.compile(r"\[ONNX Layer: ([^\]]+)\]")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a plan, as the builder tells it.

    Attributes:
        name: TensorRT's own.
        kind: "correlation", "kgen", "CaskConvolution", ...
        input_type: data type of its first input: "Int8", "Half", "Float"; empty where it has none.
        onnx: names of the ONNX nodes that it computes, where they are told.
    """

    name: str
    kind: str
    input_type: str
    onnx: tuple[str, ...]


def parse_layer_lines(lines: list[str]) -> tuple[Layer, ...]:
    """Read the layers from the builder's verbose log, one line each; other lines are passed over.

    Source: TensorRT-RTX 1.7, `ProfilingVerbosity.DETAILED`.
    """
    layers = []
    for line in lines:
        match = _LAYER.search(line)
        if match:
            first = _DATATYPE.search(match["inputs"])
            onnx = tuple(_ONNX.findall(line))
            layers.append(Layer(match["name"], match["kind"], first[1] if first else "", onnx))
    return tuple(layers)


def parse_inspector(text: str) -> tuple[Layer, ...]:
    """Read the layers from the engine inspector's JSON; anything that is no layer is passed over.

    Source: NVIDIA TensorRT Developer Guide, "Engine Inspector".
    """
    try:
        found = json.loads(text).get("Layers", [])
    except (ValueError, AttributeError):
        return ()
    return tuple(_inspected(layer) for layer in found if isinstance(layer, dict))


def _inspected(layer: dict[str, Any]) -> Layer:
    inputs = layer.get("Inputs") or [{}]
    told = str(inputs[0].get("Format/Datatype", "")) if isinstance(inputs[0], dict) else ""
    kinds = {"int8": "Int8", "fp16": "Half", "half": "Half", "fp32": "Float", "float": "Float"}
    words = told.lower().split()
    datatype = next((kinds[word] for word in words if word in kinds), told)
    metadata = str(layer.get("Metadata", ""))
    return Layer(
        str(layer.get("Name", "")),
        str(layer.get("LayerType", "")),
        datatype,
        tuple(_ONNX.findall(metadata)),
    )
