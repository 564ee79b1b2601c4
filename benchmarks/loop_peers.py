"""One loop over a clip, written as the documentation of another library writes it.

    python benchmarks/loop_peers.py LOOP NETWORK CLIP TASK.json

TASK.json holds what the network wants: `input_hw`, `box` (y, x, height, width in the clip's
pixels), `mean`, `std`, `swaps_channels` and `views`. Every loop cuts the box, which is a view and
costs nothing, and resizes only that, so that all see the same part of a frame and none resizes more
than it must. Prints one JSON line, see `loop_meter.py`. Run by `loop.py`; imports nothing of edge.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from loop_meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

ENGINE_RUNS = 600


@dataclass(frozen=True, slots=True)
class Task:
    """What a loop is to do.

    Attributes:
        network: of the form that the loop wants.
        clip: the video, or for `first-label` a picture.
        input_hw: height and width that the network sees.
        box: the part of a frame to look at, as (y, x, height, width).
        mean: to subtract, in the network's order of channels.
        std: to divide by, likewise.
        swaps_channels: the network wants RGB.
        views: file of what the network sees of a few frames, uint8 (N, H, W, 3) BGR.
    """

    network: str
    clip: str
    input_hw: tuple[int, int]
    box: tuple[int, int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    swaps_channels: bool
    views: str

    def cut(self, frame: Pixels) -> Pixels:
        """Give the part of a frame to look at, in its own memory."""
        y, x, height, width = self.box
        return frame[y : y + height, x : x + width]

    def resize(self, frame: Pixels) -> Pixels:
        """Give what the network sees, uint8 (H, W, 3) BGR."""
        return np.asarray(cv2.resize(self.cut(frame), self.input_hw[::-1]), dtype=np.uint8)


def read(task: Task, meter: Meter) -> Iterator[tuple[int, Pixels]]:
    """Read a clip as OpenCV's tutorial does, each frame with the time when reading it began."""
    capture = cv2.VideoCapture(task.clip)
    meter.start()
    while True:
        taken_ns = time.monotonic_ns()
        ok, frame = capture.read()
        if not ok:
            break
        yield taken_ns, np.asarray(frame, dtype=np.uint8)
    capture.release()


def run_opencv(task: Task, meter: Meter) -> str:
    """OpenCV DNN: read, blobFromImage, setInput, forward (its sample `classification.py`)."""
    # The new engine of OpenCV 5.0 gives other scores for SqueezeNet 1.0; the classic one is right.
    net = cv2.dnn.readNetFromONNX(task.network, cv2.dnn.ENGINE_CLASSIC)
    size = task.input_hw[::-1]
    net.setInput(np.zeros((1, 3, *task.input_hw), np.float32))
    net.forward()
    for taken_ns, frame in read(task, meter):
        blob = cv2.dnn.blobFromImage(
            task.cut(frame), 1.0, size, task.mean, task.swaps_channels, crop=False
        )
        if any(value != 1 for value in task.std):
            blob /= np.array(task.std, np.float32).reshape(1, 3, 1, 1)
        net.setInput(blob)
        meter.label(taken_ns, int(np.argmax(net.forward())))
    return f"OpenCV {cv2.__version__}"


def run_onnxruntime_fp32(task: Task, meter: Meter) -> str:
    """ONNX Runtime: read, resize, normalise, transpose, run (its image classification tutorial)."""
    mean, std = (np.array(values, np.float32) for values in (task.mean, task.std))
    order = slice(None, None, -1 if task.swaps_channels else None)

    def prepare(view: Pixels) -> npt.NDArray[Any]:
        ready = (view[..., order].astype(np.float32) - mean) / std
        return ready.transpose(2, 0, 1)[np.newaxis]

    return run_onnxruntime(task, meter, prepare)


def run_onnxruntime_int8(task: Task, meter: Meter) -> str:
    """ONNX Runtime with a network that takes pixels: read, resize, run."""
    return run_onnxruntime(task, meter, lambda view: view[np.newaxis])


def run_onnxruntime(task: Task, meter: Meter, prepare: Callable[[Pixels], npt.NDArray[Any]]) -> str:
    """Run the sequential loop with one way to prepare what the network sees."""
    import onnxruntime

    session = onnxruntime.InferenceSession(task.network, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    session.run(None, {name: prepare(np.zeros((*task.input_hw, 3), np.uint8))})
    for taken_ns, frame in read(task, meter):
        scores = session.run(None, {name: prepare(task.resize(frame))})[0]
        meter.label(taken_ns, int(np.argmax(scores)))
    return f"onnxruntime {onnxruntime.__version__}"


def run_openvino(task: Task, meter: Meter) -> str:
    """OpenVINO, sequential, latency hint: read, resize, call the compiled model."""
    import openvino as ov

    compiled = compile_openvino(task, {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 2})
    compiled(np.zeros((1, *task.input_hw, 3), np.uint8))
    for taken_ns, frame in read(task, meter):
        scores = compiled(task.resize(frame)[np.newaxis])[0]
        meter.label(taken_ns, int(np.argmax(scores)))
    return f"openvino {ov.get_version()}"


def run_openvino_prepost(task: Task, meter: Meter) -> str:
    """OpenVINO as its sample `hello_classification`: PrePostProcessor resizes in the graph."""
    import openvino as ov

    height, width = task.box[2:]
    model = ov.Core().read_model(task.network)
    steps = ov.preprocess.PrePostProcessor(model)
    entrance = steps.input().tensor()
    entrance.set_shape([1, height, width, 3])
    entrance.set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().preprocess().resize(ov.preprocess.ResizeAlgorithm.RESIZE_LINEAR)
    steps.input().model().set_layout(ov.Layout("NHWC"))
    steps.output().tensor().set_element_type(ov.Type.f32)
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 2}
    compiled = ov.Core().compile_model(steps.build(), "CPU", hints)
    compiled(np.zeros((1, height, width, 3), np.uint8))
    for taken_ns, frame in read(task, meter):
        scores = compiled(np.ascontiguousarray(task.cut(frame))[np.newaxis])[0]
        meter.label(taken_ns, int(np.argmax(scores)))
    return f"openvino {ov.get_version()}"


def run_openvino_async(task: Task, meter: Meter) -> str:
    """OpenVINO's AsyncInferQueue, throughput hint: start_async for each frame, a callback each."""
    import openvino as ov

    compiled = compile_openvino(task, {"PERFORMANCE_HINT": "THROUGHPUT"})
    queue = ov.AsyncInferQueue(compiled)
    answers: dict[int, tuple[int, int, int]] = {}

    def keep(request: ov.InferRequest, told: tuple[int, int]) -> None:
        number, taken_ns = told
        answer = int(np.argmax(request.get_output_tensor().data))
        answers[number] = taken_ns, time.monotonic_ns(), answer

    for _ in range(len(queue)):
        queue.start_async({0: np.zeros((1, *task.input_hw, 3), np.uint8)})
    queue.wait_all()
    queue.set_callback(keep)
    for number, (taken_ns, frame) in enumerate(read(task, meter)):
        queue.start_async({0: task.resize(frame)[np.newaxis]}, (number, taken_ns))
    queue.wait_all()
    for _, (taken_ns, done_ns, answer) in sorted(answers.items()):
        meter.label(taken_ns, answer, done_ns)
    return f"openvino {ov.get_version()}"


def compile_openvino(task: Task, hints: dict[str, Any]) -> Any:  # noqa: ANN401 - has no types
    """Compile the network for the CPU, with float32 where it is not int8."""
    import openvino as ov

    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return ov.Core().compile_model(task.network, "CPU", {**exact, **hints})


def run_litert(task: Task, meter: Meter) -> str:
    """LiteRT's interpreter: read, resize, set_tensor, invoke, get_tensor."""
    from importlib.metadata import version

    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=task.network, num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    entrance = interpreter.get_input_details()[0]["index"]
    way_out = interpreter.get_output_details()[0]["index"]
    interpreter.invoke()
    for taken_ns, frame in read(task, meter):
        interpreter.set_tensor(entrance, task.resize(frame)[np.newaxis])
        interpreter.invoke()
        meter.label(taken_ns, int(np.argmax(interpreter.get_tensor(way_out))))
    return f"ai-edge-litert {version('ai-edge-litert')}"


def run_ncnn(task: Task, meter: Meter) -> str:
    """Run ncnn: read, from_pixels_roi_resize, normalise, extract (its example `squeezenet`)."""
    import ncnn

    net = ncnn.Net()
    net.load_param(task.network)
    net.load_model(task.network.removesuffix(".param") + ".bin")
    kinds = ncnn.Mat.PixelType
    kind = kinds.PIXEL_BGR2RGB if task.swaps_channels else kinds.PIXEL_BGR
    y, x, height, width = task.box
    norm = [1 / value for value in task.std]

    def classify(frame: Pixels) -> int:
        full, size = (frame.shape[1], frame.shape[0]), task.input_hw[::-1]
        view = ncnn.Mat.from_pixels_roi_resize(frame, kind, *full, x, y, width, height, *size)
        view.substract_mean_normalize(list(task.mean), norm)
        with net.create_extractor() as extractor:
            extractor.input("in0", view)
            return int(np.argmax(np.array(extractor.extract("out0")[1])))

    classify(np.zeros((y + height, x + width, 3), np.uint8))
    for taken_ns, frame in read(task, meter):
        meter.label(taken_ns, classify(frame))
    return f"ncnn {ncnn.__version__}"


def decode_opencv(task: Task, meter: Meter) -> str:
    """Read every frame with OpenCV and do nothing with it."""
    for taken_ns, _ in read(task, meter):
        meter.label(taken_ns, 0)
    return f"OpenCV {cv2.__version__}"


def decode_pyav(task: Task, meter: Meter) -> str:
    """Decode every frame with PyAV, in its own threads, and leave it as planes."""
    import av

    with av.open(task.clip) as container:
        container.streams.video[0].thread_type = "AUTO"
        meter.start()
        taken_ns = time.monotonic_ns()
        for _ in container.decode(video=0):
            meter.label(taken_ns, 0)
            taken_ns = time.monotonic_ns()
    return f"PyAV {av.__version__}"


def engine_alone(task: Task, meter: Meter, hints: dict[str, Any]) -> str:
    """Run OpenVINO on one view again and again, every request busy."""
    import openvino as ov

    _, frame = next(read(task, meter))
    view = task.resize(frame)[np.newaxis]
    queue = ov.AsyncInferQueue(compile_openvino(task, hints))
    for _ in range(len(queue)):
        queue.start_async({0: view})
    queue.wait_all()
    queue.set_callback(lambda _request, taken_ns: done.append((taken_ns, time.monotonic_ns())))
    done: list[tuple[int, int]] = []
    meter.start()
    for _ in range(ENGINE_RUNS):
        queue.start_async({0: view}, time.monotonic_ns())
    queue.wait_all()
    for taken_ns, done_ns in done:
        meter.label(taken_ns, 0, done_ns)
    return f"openvino {ov.get_version()}"


def first_label(task: Task, meter: Meter) -> str:
    """Name one picture; who started this process watches for the line that it prints."""
    import openvino as ov

    meter.start()
    taken_ns = time.monotonic_ns()
    compiled = compile_openvino(task, {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 2})
    frame = np.asarray(cv2.imread(task.clip), dtype=np.uint8)
    meter.label(taken_ns, int(np.argmax(compiled(task.resize(frame)[np.newaxis])[0])))
    return f"openvino {ov.get_version()}"


LOOPS: dict[str, Callable[[Task, Meter], str]] = {
    "opencv": run_opencv,
    "onnxruntime-fp32": run_onnxruntime_fp32,
    "onnxruntime-int8": run_onnxruntime_int8,
    "openvino": run_openvino,
    "openvino-prepost": run_openvino_prepost,
    "openvino-async": run_openvino_async,
    "litert": run_litert,
    "ncnn": run_ncnn,
    "decode-opencv": decode_opencv,
    "decode-pyav": decode_pyav,
    "engine-1-thread": lambda task, meter: engine_alone(
        task, meter, {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1}
    ),
    "engine-2-threads": lambda task, meter: engine_alone(
        task, meter, {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 2}
    ),
    "engine-2-streams": lambda task, meter: engine_alone(
        task, meter, {"NUM_STREAMS": 2, "INFERENCE_NUM_THREADS": 2}
    ),
    "first-label": first_label,
}


def main() -> None:
    """Read the command line, run the loop and print what it told."""
    name, network, clip, wanted = sys.argv[1:]
    fields = json.loads(Path(wanted).read_text("utf-8"))
    meter = Meter()
    meter.tell(LOOPS[name](Task(network, clip, **fields), meter))


if __name__ == "__main__":
    main()
