"""One loop over a clip on a Jetson's GPU, as the documentation of another tool writes it.

    python benchmarks/loop_jetson.py LOOP NETWORK.onnx CLIP TASK.json

The same words as those of `loop_peers.py`. The tools are those that the machine has: none of them
can be installed into an environment of its own. Prints one JSON line, see `loop_meter.py`. Run by
`loop.py`, which leaves out what is not installed.

Source: dusty-nv/jetson-inference, python/examples/imagenet.py; NVIDIA-AI-IOT/torch2trt, README.md;
NVIDIA TensorRT Developer Guide, command-line programs (trtexec).
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from loop_meter import Meter
from loop_peers import Task, read
from loop_runs import find_program
from onnx import numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

TRTEXEC_S = 5
QUERIES = re.compile(r"Throughput: ([0-9.]+) qps")
LATENCY = re.compile(r"\bLatency: .*?median = ([0-9.]+) ms.*?percentile\(99%\) = ([0-9.]+) ms")


def run_jetson_inference(task: Task, meter: Meter) -> str:
    """Run jetson-inference: Capture, Classify; it resizes the whole frame and takes RGB."""
    from jetson_inference import imageNet
    from jetson_utils import videoSource

    graph = onnx.load(task.network).graph
    classes = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as labels:
        labels.write("\n".join(map(str, range(classes))))
        labels.flush()
        net = imageNet(
            model=task.network,
            labels=labels.name,
            input_blob=graph.input[0].name,
            output_blob=graph.output[0].name,
        )
    source = videoSource(task.clip)
    meter.start()
    while True:
        taken_ns = time.monotonic_ns()
        frame = source.Capture()
        if frame is not None:
            answer, _ = net.Classify(frame)
            meter.label(taken_ns, int(answer))
        if not source.IsStreaming():
            return "jetson-inference"


def run_torch2trt(task: Task, meter: Meter, *, int8: bool) -> str:
    """Run torch2trt: read, resize, to the GPU, normalise there, run the converted module."""
    import torch
    from torch2trt import torch2trt

    mean, std = (
        torch.tensor(values).cuda().reshape(1, 3, 1, 1) for values in (task.mean, task.std)
    )

    def prepare(view: npt.NDArray[np.uint8]) -> Any:  # noqa: ANN401 - its types are not here
        pixels = torch.from_numpy(view).cuda().permute(2, 0, 1)[None].float()
        return ((pixels.flip(1) if task.swaps_channels else pixels) - mean) / std

    views = [prepare(view) for view in np.load(task.views)]
    module = to_module(task.network).eval().cuda()
    options: dict[str, Any] = {"fp16_mode": True}
    if int8:
        options |= {"int8_mode": True, "int8_calib_dataset": [[view[0]] for view in views]}
    net = torch2trt(module, [views[0]], **options)
    net(views[0])
    with torch.no_grad():
        for taken_ns, frame in read(task, meter):
            meter.label(taken_ns, int(net(prepare(task.resize(frame))).argmax()))
    return f"torch {torch.__version__}"


def to_module(network: str) -> Any:  # noqa: ANN401 - its class is not here
    """Give an ONNX network of SqueezeNet's operators as a module of PyTorch.

    Raises:
        ValueError: it has another operator.
    """
    import torch
    from torch.nn import functional

    graph = onnx.load(network).graph
    weights = {item.name: numpy_helper.to_array(item).copy() for item in graph.initializer}

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.ParameterList([torch.from_numpy(w) for w in weights.values()])

        def forward(self, pixels: Any) -> Any:  # noqa: ANN401 - a tensor
            values = dict(zip(weights, self.weights, strict=True))
            values[graph.input[0].name] = pixels
            for node in graph.node:
                values[node.output[0]] = apply(node, [values[name] for name in node.input])
            return values[graph.output[0].name]

    def apply(node: onnx.NodeProto, inputs: list[Any]) -> Any:  # noqa: ANN401 - tensors
        fields = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        pads = fields.get("pads", [0, 0, 0, 0])
        sides = {"stride": fields.get("strides", [1, 1]), "padding": pads[:2]}
        if node.op_type == "Conv":
            return functional.conv2d(*inputs, **sides)
        if node.op_type == "MaxPool":
            shape = fields["kernel_shape"]
            ceil_mode = bool(fields.get("ceil_mode", 0))
            return functional.max_pool2d(inputs[0], shape, **sides, ceil_mode=ceil_mode)
        if node.op_type == "Concat":
            return torch.cat(inputs, dim=1)
        simple = {
            "Relu": functional.relu,
            "GlobalAveragePool": lambda values: functional.adaptive_avg_pool2d(values, 1),
            "Flatten": lambda values: torch.flatten(values, 1),
        }
        if node.op_type not in simple:
            msg = f"{node.op_type}: SqueezeNet has no such operator"
            raise ValueError(msg)
        return simple[node.op_type](inputs[0])

    return Network()


def tell_trtexec(network: str) -> None:
    """Run trtexec on the INT8 network alone, and print a report of what it told."""
    command = [
        str(find_program("trtexec")), f"--onnx={network}", "--int8", "--fp16",
        f"--duration={TRTEXEC_S}", "--useSpinWait",
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    queries, p50_ms, p99_ms = parse_trtexec(done.stdout)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = {
        "frames": round(queries * TRTEXEC_S),
        "seconds": TRTEXEC_S,
        "cpu_s": used.ru_utime + used.ru_stime,
        "age_p50_ms": p50_ms,
        "age_p99_ms": p99_ms,
        "peak_rss_mb": used.ru_maxrss * 1024 / 1e6,
        "version": "trtexec",
        "answers": [],
    }
    print(json.dumps(report))


def parse_trtexec(text: str) -> tuple[float, float, float]:
    """Read queries a second, and the median and 99th percentile of the latency in ms.

    Raises:
        ValueError: the text holds none.
    """
    queries, latency = QUERIES.search(text), LATENCY.search(text)
    if queries is None or latency is None:
        msg = "trtexec told no throughput"
        raise ValueError(msg)
    return float(queries[1]), float(latency[1]), float(latency[2])


LOOPS: dict[str, Callable[[Task, Meter], str]] = {
    "jetson-inference": run_jetson_inference,
    "torch2trt-fp16": lambda task, meter: run_torch2trt(task, meter, int8=False),
    "torch2trt-int8": lambda task, meter: run_torch2trt(task, meter, int8=True),
}


def main() -> None:
    """Read the command line, run the loop and print what it told."""
    name, network, clip, wanted = sys.argv[1:]
    fields = json.loads(Path(wanted).read_text("utf-8"))
    if name == "trtexec":
        tell_trtexec(network)
        return
    meter = Meter()
    meter.tell(LOOPS[name](Task(network, clip, **fields), meter))


if __name__ == "__main__":
    main()
