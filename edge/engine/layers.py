"""The layer table of a plan, read from what the builder or the engine inspector prints."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_LAYER = re.compile(
    r"Name: (?P<name>.*?), LayerType: (?P<kind>\w+),"
    r" Inputs: \[(?P<inputs>.*?)\], (?:Constants|Outputs): "
)
_DATATYPE = re.compile(r"Datatype: ([^,}]+)")
_WEIGHTS = re.compile(r'Weights: \{"Type": "(\w+)"')
_ONNX = re.compile(r"\[ONNX Layer: ([^\]]+)\]")
_TYPES = {"int8": "Int8", "fp16": "Half", "half": "Half", "fp32": "Float", "float": "Float"}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a plan, as the builder tells it.

    Attributes:
        name: TensorRT's own.
        kind: "correlation", "kgen", "CaskConvolution", ...
        input_type: data type that it computes in, "Int8", "Half" or "Float": that of its weights
            where they are told, for an open batch hides that of the tensors, else that of its first
            input; empty where it has neither.
        onnx: names of the ONNX nodes that it computes, where they are told.
    """

    name: str
    kind: str
    input_type: str
    onnx: tuple[str, ...]

    @property
    def is_convolution(self) -> bool:
        """Whether it multiplies weights, also with a Relu and a max pool fused into it."""
        kind = self.kind.lower()
        return kind in {"correlation", "gemm"} or ("conv" in kind and "deconv" not in kind)


def parse_layer_lines(lines: list[str]) -> tuple[Layer, ...]:
    """Read the layers from the builder's verbose log, one line each; other lines are passed over.

    Source: TensorRT-RTX 1.7 and TensorRT 10 as they print, `ProfilingVerbosity.DETAILED`.
    """
    layers = []
    for line in lines:
        match = _LAYER.search(line)
        if match:
            told = _WEIGHTS.search(line) or _DATATYPE.search(match["inputs"])
            datatype = _read_type(told[1]) if told else ""
            onnx = tuple(_ONNX.findall(line))
            layers.append(Layer(match["name"], match["kind"], datatype, onnx))
    return tuple(layers)


def parse_inspector(text: str) -> tuple[Layer, ...]:
    """Read the layers from the engine inspector's JSON; anything that is no layer is passed over.

    TensorRT 8.6 puts bare control characters into it, which are no JSON (NVIDIA/TensorRT#2779).
    Source: NVIDIA TensorRT Developer Guide, "Engine Inspector".
    """
    try:
        found = json.loads(text, strict=False).get("Layers", [])
    except (ValueError, AttributeError):
        return ()
    return tuple(_inspected(layer) for layer in found if isinstance(layer, dict))


def _inspected(layer: dict[str, Any]) -> Layer:
    inputs = [item for item in layer.get("Inputs") or [] if isinstance(item, dict)]
    weights = layer.get("Weights")
    told = inputs[0].get("Format/Datatype", "") if inputs else ""
    if isinstance(weights, dict):
        told = weights.get("Type", told)
    return Layer(
        str(layer.get("Name", "")),
        str(layer.get("LayerType", "")),
        _read_type(str(told)),
        tuple(_ONNX.findall(str(layer.get("Metadata", "")))),
    )


def _read_type(told: str) -> str:
    """Give the type in words like "Channel major FP16 format"; the words where there is none."""
    words = re.findall(r"\w+", told.lower())
    return next((_TYPES[word] for word in words if word in _TYPES), told.strip())
