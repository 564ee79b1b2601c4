"""How well this quantiser and others do on the same network and the same pictures.

    python benchmarks/quantizers.py --model fp32.onnx --calib FOLDER --labelled FOLDER --csv FILE
        [--only ours,onnxruntime] [--half tuning] [--work FOLDER]

FILE has the columns `file` and `class_index`. Its pictures number 1, 3, 5, ... from 0 are the
held-out half, which is reported; the others are for tuning. Each tool is installed into an
environment of its own below the work folder and gets the same prepared tensors; what it wrote is
kept there and is not made again, but ours always is. Every network is run by ONNX Runtime node by
node, without its graph optimisations, which is the arithmetic that the file says. Printed is a
Markdown table; a tool that cannot be installed or fails is a row that says why.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
from environments import PeerError, environment, run
from onnx import numpy_helper

from edge.files import sha256_bytes
from edge.image import Fitter, decode
from edge.model.onnx_file import Model, load_model, save_model
from edge.model.weights import expand_weights
from edge.quant.dataset import CalibrationSet, open_calibration_set
from edge.quant.quantize import QuantOptions, quantize
from edge.stats import divergence_nats, log_softmax

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from edge.model.contract import Contract

    Views = npt.NDArray[np.uint8]
    Floats = npt.NDArray[np.float64]

HERE = Path(__file__).resolve().parent
OURS = {
    "default": QuantOptions(),
    "fast": QuantOptions(fast=True),
    "symmetric": QuantOptions(all_levels=False),
}
PEERS = {
    "onnxruntime": ("MinMax", "Entropy", "Percentile"),
    "modelopt": ("max", "entropy"),
    "nncf": ("PERFORMANCE", "MIXED"),
}
REQUIREMENTS = {
    "onnxruntime": ["onnxruntime>=1.22,<2", "onnx>=1.17,<2"],
    "modelopt": ["nvidia-modelopt[onnx]>=0.40,<1"],
    "nncf": ["nncf>=3,<4", "onnxruntime>=1.22,<2", "onnx>=1.17,<2"],
    "rtx": [f"{HERE.parent}[rtx]"],
}
PASSING = {"Concat", "Identity", "MaxPool", "Relu"}
"""Operators that a quantised tensor goes through in TensorRT."""

OTHER = "builds another network"
HALVES = ("tuning", "held-out")
HEADS = [
    "quantiser", "top-1", "drop, points", "same as fp32", "KL, nats a picture", "seconds", "bytes",
    "int8 convolutions", "TensorRT",
]  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Labelled pictures as the network sees them.

    Attributes:
        views: uint8, (N, H, W, 3), BGR.
        classes: int64, (N,).
    """

    views: Views
    classes: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Row:
    """One quantised network.

    Attributes:
        name: tool, version and method.
        file: where the network lies.
        seconds: that quantising took; None where it is not known.
    """

    name: str
    file: Path
    seconds: float | None


def read_pictures(folder: Path, table: Path, contract: Contract, first: int) -> Pictures:
    """Read every second picture of a table from number `first` on."""
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[first::2]
    views = np.empty((len(rows), *contract.input_hw, 3), dtype=np.uint8)
    fitter = Fitter(contract)
    for view, row in zip(views, rows, strict=True):
        fitter.fit(decode(folder / row["file"]), view)
    return Pictures(views, np.array([int(row["class_index"]) for row in rows]))


def prepare(views: Iterable[Views], contract: Contract) -> npt.NDArray[np.float32]:
    """Make the tensors of the float network, (N, 3, H, W), of what `edge.image.fit` gives."""
    mean, std = np.array(contract.mean), np.array(contract.std)
    order = slice(None, None, -1) if contract.channel_order == "RGB" else slice(None)
    ready = [((view[..., order] - mean) / std).transpose(2, 0, 1) for view in views]
    return np.stack(ready).astype(np.float32)


def log_probabilities(network: bytes, pictures: Pictures, contract: Contract) -> Floats:
    """Run a network that takes pixels or prepared tensors; natural logarithm, (N, classes)."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    entrance = session.get_inputs()[0]
    rows = []
    for view in pictures.views:
        feed = view[None] if entrance.type == "tensor(uint8)" else prepare([view], contract)
        rows.append(session.run(None, {entrance.name: feed})[0].astype(np.float64).ravel())
    scores = np.stack(rows)
    if contract.output == "probabilities":
        scores = np.log(np.maximum(scores, np.finfo(np.float32).tiny))
    return log_softmax(scores)


def quantize_ours(method: str, model: Model, calibration: CalibrationSet, work: Path) -> Row:
    """Quantise with this package, always anew; decoding the pictures is in the time."""
    started = time.perf_counter()
    quantized = quantize(model, calibration, progress=lambda _done: None, options=OURS[method])
    seconds = time.perf_counter() - started
    file = work / f"ours-{method}.onnx"
    save_model(quantized.model, file)
    return Row(f"edge, {method}", file, seconds)


def quantize_peer(tool: str, method: str, work: Path, venvs: Path) -> Row:
    """Quantise with another tool, or take what it wrote before.

    Raises:
        PeerError: the tool cannot be installed, or fails.
    """
    file = work / f"{tool}-{method}.onnx"
    report = file.with_suffix(".json")
    if not report.is_file():
        inputs = [work / "fp32.onnx", work / "calib.npz", file]
        python = environment(venvs / tool, REQUIREMENTS[tool])
        run([python, HERE / "peers.py", tool, method, *inputs], file.with_suffix(".log"))
    told = json.loads(report.read_text("utf-8"))
    return Row(f"{tool} {told['version']}, {method}", file, told["seconds"])


def int8_convolutions(network: bytes) -> str:
    """Count the convolutions that read quantised tensors on both sides, of all."""
    graph = onnx.load_from_string(network).graph
    maker = {name: node for node in graph.node for name in node.output}

    def is_int8(tensor: str) -> bool:
        node = maker.get(tensor)
        if node is None or node.op_type not in PASSING:
            return node is not None and node.op_type == "DequantizeLinear"
        return all(map(is_int8, node.input))

    convs = [node for node in graph.node if node.op_type == "Conv"]
    return f"{sum(all(map(is_int8, conv.input[:2])) for conv in convs)} of {len(convs)}"


def judge(file: Path, venvs: Path) -> str:
    """Say whether TensorRT takes a network as what it is, in its own word where it is here."""
    broken = broken_rule(onnx.load(file).graph)
    answer = file.with_suffix(".judged")
    try:
        python = environment(venvs / "rtx", REQUIREMENTS["rtx"])
        ours = {"PYTHONPATH": str(HERE.parent)}
        run([python, HERE / "judge.py", file, answer], file.with_suffix(".judging"), ours)
    except PeerError:
        return f"no, by the rules: {broken}" if broken else "yes, by the rules"
    word = str(json.loads(answer.read_text("utf-8")))
    return f"{OTHER}: {broken}" if broken and word.startswith("yes") else word


def as_read_by_tensorrt(row: Row) -> Row:
    """Write the network that TensorRT makes of unsigned quantisers: the same scales, as int8."""
    proto = onnx.load(row.file)
    zeros = {n.input[2] for n in proto.graph.node if n.op_type == "QuantizeLinear"}
    for item in proto.graph.initializer:
        if item.name in zeros:
            signed = numpy_helper.to_array(item).astype(np.int8)
            item.CopyFrom(numpy_helper.from_array(signed, item.name))
    del proto.graph.value_info[:]  # says the old types
    file = row.file.with_stem(f"{row.file.stem}-read")
    onnx.save(proto, file)
    return Row(f"{row.name}, as TensorRT reads it", file, None)


def broken_rule(graph: onnx.GraphProto) -> str:
    """Name the first thing in which a graph is not explicit INT8 as TensorRT reads it."""
    stored = {item.name: item for item in graph.initializer}
    for node in graph.node:
        if node.op_type not in {"QuantizeLinear", "DequantizeLinear"}:
            continue
        zero = stored.get(node.input[2]) if len(node.input) > 2 else None
        if zero is not None and numpy_helper.to_array(zero).any():
            return f"{node.name} has a zero point that is not 0"
        if zero is None or zero.data_type != onnx.TensorProto.INT8:
            kind = "UINT8" if zero is None else onnx.TensorProto.DataType.Name(zero.data_type)
            return f"{node.name} is {kind.lower()}, not int8"
    return ""


def line(cells: Iterable[str]) -> str:
    """Make one line of the table."""
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def measure(row: Row, wanted: Floats, pictures: Pictures, contract: Contract) -> list[str]:
    """Give the cells of a network that say how well it does."""
    network = row.file.read_bytes()
    given = log_probabilities(network, pictures, contract)
    top, float_top = given.argmax(axis=1), wanted.argmax(axis=1)
    right, float_right = (np.mean(one == pictures.classes) for one in (top, float_top))
    divergence = divergence_nats(wanted, given).mean()
    return [
        f"{100 * right:.1f} %",
        f"{100 * (float_right - right):+.1f}",
        f"{100 * np.mean(top == float_top):.1f} %",
        f"{divergence:.4f}",
        "-" if row.seconds is None else f"{row.seconds:.0f}",
        f"{len(network):,}",
        int8_convolutions(network),
    ]


def read_command_line() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--model", "--calib", "--labelled", "--csv"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--only", default=",".join(["ours", *PEERS]))
    parser.add_argument("--half", choices=HALVES, default="held-out")
    work = Path(tempfile.gettempdir()) / "edge-quantizers"
    parser.add_argument("--work", type=Path, default=work)
    return parser.parse_args()


def main() -> None:
    """Quantise, measure and print the table line by line."""
    given = read_command_line()
    model, calibration = expand_weights(load_model(given.model)), open_calibration_set(given.calib)
    contract = model.contract
    pictures = read_pictures(given.labelled, given.csv, contract, HALVES.index(given.half))
    case = sha256_bytes(f"{model.sha256()}{calibration.sha256}".encode())[:12]
    work, venvs = given.work / f"{contract.name}-{case}", given.work / "venvs"
    work.mkdir(parents=True, exist_ok=True)
    save_model(model, work / "fp32.onnx")
    if not (work / "calib.npz").is_file():
        np.savez(work / "calib.npz", inputs=prepare(calibration.views(contract), contract))
    wanted = log_probabilities(model.to_bytes(), pictures, contract)

    print(
        f"{contract.name}, {len(calibration.files)} calibration pictures, "
        f"{len(pictures.classes)} {given.half} ones; ONNX Runtime {version('onnxruntime')}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores\n"
    )
    print(line(HEADS))
    print(line(["---"] * len(HEADS)))
    fp32 = Row("fp32", work / "fp32.onnx", None)
    print(line([fp32.name, *measure(fp32, wanted, pictures, contract), "-"]), flush=True)
    asked = given.only.split(",")
    every = [("ours", method) for method in OURS]
    every += [(tool, method) for tool, methods in PEERS.items() for method in methods]
    for tool, method in every:
        if tool not in asked:
            continue
        try:
            if tool == "ours":
                row = quantize_ours(method, model, calibration, work)
            else:
                row = quantize_peer(tool, method, work, venvs)
        except PeerError as error:
            print(line([f"{tool}, {method}", f"failed: {error}", *["-"] * 7]), flush=True)
            continue
        verdict = judge(row.file, venvs)
        rows = {row: verdict}
        if verdict.startswith(OTHER):
            other = as_read_by_tensorrt(row)
            rows[other] = judge(other.file, venvs)
        for one, word in rows.items():
            print(line([one.name, *measure(one, wanted, pictures, contract), word]), flush=True)


if __name__ == "__main__":
    main()
