"""Quantise one network with another tool, in that tool's own environment.

    python benchmarks/peers.py TOOL METHOD FP32.onnx CALIB.npz OUT.onnx

CALIB.npz holds `inputs`, float32 (N, C, H, W), prepared as the network wants them. Beside the
network OUT.json is written: the seconds that quantising took, without imports, and the version.
Run by `quantizers.py`; imports nothing of edge.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Inputs = npt.NDArray[np.float32]


def quantize_onnxruntime(fp32: Path, inputs: Inputs, method: str, out: Path) -> float:
    """Use `quantize_static` as TensorRT wants it: symmetric int8, a scale a channel, float bias."""
    from onnxruntime import quantization as ort

    class Reader(ort.CalibrationDataReader):
        def __init__(self) -> None:
            self._feeds: Iterator[dict[str, Inputs]] = feeds_of(fp32, inputs)

        def get_next(self) -> dict[str, Inputs] | None:
            return next(self._feeds, None)

    started = time.perf_counter()
    ort.quantize_static(
        fp32,
        out,
        Reader(),
        quant_format=ort.QuantFormat.QDQ,
        per_channel=True,
        activation_type=ort.QuantType.QInt8,
        weight_type=ort.QuantType.QInt8,
        calibrate_method=ort.CalibrationMethod[method],
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )
    return time.perf_counter() - started


def quantize_modelopt(fp32: Path, inputs: Inputs, method: str, out: Path) -> float:
    """Use ModelOpt's quantiser of ONNX with what it chooses by itself, float32 where not int8."""
    from modelopt.onnx.quantization import quantize

    started = time.perf_counter()
    quantize(
        str(fp32),
        quantize_mode="int8",
        calibration_data=inputs,
        calibration_method=method,
        calibration_eps=["cpu"],
        high_precision_dtype="fp32",
        output_path=str(out),
    )
    return time.perf_counter() - started


def quantize_nncf(fp32: Path, inputs: Inputs, method: str, out: Path) -> float:
    """Use `nncf.quantize` on the ONNX with all pictures and one of its presets."""
    import nncf

    started = time.perf_counter()
    quantized = nncf.quantize(
        onnx.load(fp32),
        nncf.Dataset(list(feeds_of(fp32, inputs))),
        preset=nncf.QuantizationPreset[method],
        subset_size=len(inputs),
    )
    onnx.save(quantized, out)
    return time.perf_counter() - started


def feeds_of(fp32: Path, inputs: Inputs) -> Iterator[dict[str, Inputs]]:
    """Yield what the network is fed, picture by picture."""
    name = onnx.load(fp32).graph.input[0].name
    return ({name: one[np.newaxis]} for one in inputs)


TOOLS = {
    "onnxruntime": (quantize_onnxruntime, "onnxruntime"),
    "modelopt": (quantize_modelopt, "nvidia-modelopt"),
    "nncf": (quantize_nncf, "nncf"),
}


def main() -> None:
    """Read the command line, quantise and write what it took."""
    tool, method, *paths = sys.argv[1:]
    fp32, calib, out = map(Path, paths)
    quantize, package = TOOLS[tool]
    with np.load(calib) as arrays:
        seconds = quantize(fp32, arrays["inputs"], method, out)
    report = {"seconds": seconds, "version": version(package)}
    out.with_suffix(".json").write_text(json.dumps(report), "utf-8")


if __name__ == "__main__":
    main()
