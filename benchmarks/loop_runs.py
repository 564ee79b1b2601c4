"""The measured loops, and how each of them is run as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import cv2
from environments import PeerError, environment, last_line, run
from loop_table import parse_report

from edge.image import crop_box, decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loop_table import Report

    from edge.model.contract import Contract

HERE = Path(__file__).resolve().parent
PATIENCE_S = 1200
"""Some build their network for the GPU first."""

WITHOUT_TRIMMING = {
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
}
"""Lets glibc keep the memory of a frame for the next one, in the place of giving it back."""

REQUIREMENTS = {
    "litert": [
        "ai-edge-litert>=2,<3", "onnx>=1.17,<2", "onnxruntime>=1.22,<2", "opencv-python>=4.12,<6",
    ],
    # Without what they ask for: pnnx's program needs no PyTorch, ncnn's module no model zoo.
    "ncnn": ["--no-deps", "ncnn>=1.0.20250503,<2", "pnnx>=20250403", "numpy>=1.26,<3",
             "opencv-python>=4.12,<6"],
}  # fmt: skip
TFLITE = "tflite"
NCNN = "ncnn"

TENSORRT_BIN = "/usr/src/tensorrt/bin"


@dataclass(frozen=True, slots=True)
class Loop:
    """One measured loop.

    Attributes:
        name: as `--only` takes it.
        title: its row.
        words: the program and its mode.
        form: of the network, see `loop_networks.write_networks`; or `TFLITE` or `NCNN`.
        variables: added to the environment.
        tool: whose environment of its own it runs in, a key of `REQUIREMENTS`; None is ours.
        is_documented: as the library's documentation has it, without anything around it.
        needs: module or program of this machine that no environment of its own can hold.
    """

    name: str
    title: str
    words: tuple[str, str]
    form: str
    variables: Mapping[str, str] = field(default_factory=dict)
    tool: str | None = None
    is_documented: bool = True
    needs: str | None = None

    def absence(self) -> str | None:
        """Say what this machine lacks for the loop; None where nothing."""
        if self.needs is None or find_spec(self.needs) or find_program(self.needs):
            return None
        return f"{self.needs} is not installed"


def find_program(name: str) -> str | None:
    """Find a program, also where JetPack puts TensorRT's."""
    return which(name, path=os.pathsep.join([os.environ.get("PATH", ""), TENSORRT_BIN]))


def _peer(mode: str, title: str, form: str, **more: str) -> Loop:
    return Loop(mode, title, ("loop_peers.py", mode), form, **more)


def _ours(mode: str) -> Loop:
    return Loop(f"ours-{mode}", f"**edge, {mode}**", ("loop_ours.py", mode), "file")


def _ours_on_gpu(mode: str) -> Loop:
    name, words = f"ours-tensorrt-{mode}", ("loop_ours.py", f"tensorrt-{mode}")
    return Loop(name, f"**edge on TensorRT, {mode}**", words, "file", needs="tensorrt")


def _on_jetson(name: str, title: str, form: str, needs: str) -> Loop:
    return Loop(name, title, ("loop_jetson.py", name), form, needs=needs)


PEERS = (
    _peer("opencv", "OpenCV DNN fp32, sequential", "fp32"),
    _peer("onnxruntime-fp32", "ONNX Runtime fp32, sequential", "fp32"),
    _peer("onnxruntime-int8", "ONNX Runtime INT8, sequential", "integer"),
    _peer("ncnn", "ncnn fp32, sequential", NCNN, tool="ncnn"),
    _peer("litert", "LiteRT INT8, sequential", TFLITE, tool="litert"),
    _peer("openvino-prepost", "OpenVINO INT8, sequential, PrePostProcessor", "unsigned"),
    _peer("openvino", "OpenVINO INT8, sequential, 2 threads", "unsigned"),
    _peer("openvino-async", "OpenVINO INT8, AsyncInferQueue", "unsigned"),
    Loop(
        "openvino-async-untrimmed",
        "OpenVINO INT8, AsyncInferQueue, no trimming",
        ("loop_peers.py", "openvino-async"),
        "unsigned",
        WITHOUT_TRIMMING,
        is_documented=False,
    ),
    _on_jetson("jetson-inference", "jetson-inference FP16, imageNet", "fp32", "jetson_inference"),
    _on_jetson("torch2trt-fp16", "torch2trt FP16, sequential", "fp32", "torch2trt"),
    _on_jetson("torch2trt-int8", "torch2trt INT8, sequential", "fp32", "torch2trt"),
)
OURS = (
    _ours("latency"),
    _ours("throughput"),
    _ours_on_gpu("latency"),
    _ours_on_gpu("throughput"),
)
PARTS = (
    _peer("decode-opencv", "decode alone, OpenCV to BGR", "file"),
    _peer("decode-pyav", "decode alone, PyAV to planes", "file"),
)
ENGINES = (
    _peer("engine-1-thread", "engine alone, 1 thread", "unsigned"),
    _peer("engine-2-threads", "engine alone, 2 threads", "unsigned"),
    _peer("engine-2-streams", "engine alone, 2 streams", "unsigned"),
    _on_jetson("trtexec", "engine alone, trtexec INT8", "file", "trtexec"),
    Loop("null", "our loop, null engine", ("loop_ours.py", "null"), "file"),
)
"""These do not depend on the clip."""

STARTS = ("start-edge", "start-openvino")


@dataclass(frozen=True, slots=True)
class Bench:
    """What every run needs.

    Attributes:
        networks: form to file.
        contract: of the networks.
        views: what the network sees of a few frames, see `loop_tflite.py`.
        folder: of this network, for what is written on the way.
        venvs: of the tools' own environments.
    """

    networks: Mapping[str, Path]
    contract: Contract
    views: Path
    folder: Path
    venvs: Path

    def run(self, loop: Loop, clip: Path) -> Report:
        """Run one loop over one clip.

        Raises:
            PeerError: it cannot be installed, or fails.
        """
        python: str | Path = sys.executable
        if loop.tool is not None:
            python = environment(self.venvs / loop.tool, REQUIREMENTS[loop.tool])
        program, mode = loop.words
        command = [python, HERE / program, mode, self._network(loop.form, Path(python)), clip]
        if program != "loop_ours.py":
            command.append(self._task(clip))
        return parse_report(_output_of(command, loop.variables))

    def start_s(self, name: str, picture: Path) -> float:
        """Give the seconds from the start of a process to its first label on its stdout.

        Raises:
            PeerError: it says nothing.
        """
        if name == "start-edge":
            words = ["-m", "edge", "run", picture, "--engine", "openvino", "--json", "-"]
            command = [sys.executable, *words, "--model", self.networks["file"]]
        else:
            words = [HERE / "loop_peers.py", "first-label", self.networks["unsigned"], picture]
            command = [sys.executable, *words, self._task(picture)]
        started_ns = time.perf_counter_ns()
        with subprocess.Popen(  # noqa: S603 - our own commands
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            said = process.stdout.readline()
            took_s = (time.perf_counter_ns() - started_ns) / 1e9
            process.stdout.read()
        if not said.startswith(b"{"):
            raise PeerError(f"{name} told no label")
        return took_s

    def _network(self, form: str, python: Path) -> Path:
        """Give the network in the form that a loop wants; translated where it is not yet."""
        if form == TFLITE:
            network = self.folder / f"{TFLITE}.tflite"
            words = [HERE / "loop_tflite.py", self.networks["unsigned"], self.views, network]
            return self._translated(network, [python, *words])
        if form == NCNN:
            side = ",".join(map(str, self.contract.input_hw))
            (program,) = python.parent.parent.glob("lib/python*/site-packages/pnnx/pnnx")
            words = [self.networks["fp32"], f"inputshape=[1,3,{side}]"]
            return self._translated(self.folder / "fp32.ncnn.param", [program, *words])
        return self.networks[form]

    @staticmethod
    def _translated(network: Path, command: Sequence[str | Path]) -> Path:
        if not network.is_file():
            run(command, network.with_suffix(".log"))
        return network

    def _task(self, clip: Path) -> Path:
        """Write down what a peer is to do with a clip or picture."""
        contract = self.contract
        height, width = _size(clip)
        task = {
            "input_hw": contract.input_hw,
            "box": crop_box(height, width, contract),
            "mean": contract.mean,
            "std": contract.std,
            "swaps_channels": contract.channel_order == "RGB",
            "views": str(self.views),
        }
        path = self.folder / f"{clip.stem}.json"
        path.write_text(json.dumps(task), "utf-8")
        return path


def _size(clip: Path) -> tuple[int, int]:
    """Give height and width of a clip or picture."""
    if clip.suffix in {".jpg", ".png"}:
        height, width = decode(clip).shape[:2]
        return height, width
    capture = cv2.VideoCapture(str(clip))
    size = (capture.get(cv2.CAP_PROP_FRAME_HEIGHT), capture.get(cv2.CAP_PROP_FRAME_WIDTH))
    capture.release()
    return int(size[0]), int(size[1])


def _output_of(command: Sequence[str | Path], variables: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own commands
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env={**os.environ, **variables},
        )
    except subprocess.CalledProcessError as error:
        raise PeerError(last_line(error.stderr) or str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"did not end within {PATIENCE_S} s") from error
    return done.stdout
