"""Ask the real TensorRT-RTX parser and builder whether they take a network, on the CPU.

    python benchmarks/judge.py NETWORK.onnx ANSWER.json

Run by `quantizers.py` in an environment that has edge with its extra rtx.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from edge.engine.trt_api import BuildSettings, build
from edge.errors import EdgeError


def judge(network: bytes) -> str:
    """Say what the builder makes of a network's convolutions, or why it refuses it."""
    settings = BuildSettings("tensorrt-rtx", "int8", compute_capability="8.6")
    try:
        built = build(network, settings, lambda *_: True)
    except EdgeError as error:
        return f"no: {str(error).split('. ')[0]}"  # without the advice
    types = Counter(layer.input_type for layer in built.layers if layer.is_convolution)
    return "yes: " + ", ".join(f"{count} {name}" for name, count in types.most_common())


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(judge(Path(sys.argv[1]).read_bytes())), "utf-8")
