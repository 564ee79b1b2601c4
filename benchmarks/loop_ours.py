"""Our own loop over a clip, through the public interface, with the peers' meter as its sink.

    python benchmarks/loop_ours.py [tensorrt-]latency|[tensorrt-]throughput|null MODEL.onnx CLIP

With `tensorrt-` the network runs on the GPU, whose plan is built where there is none. `null` needs
no clip: ready pictures of the network's size go through a null engine, so that only the loop itself
is measured. Prints one JSON line, see `loop_meter.py`. Run by `loop.py`.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from loop_meter import Meter

from edge import __version__
from edge.board import SysRoot
from edge.camera.base import SourceInfo, open_source
from edge.camera.capture import Capture
from edge.camera.round_robin import RoundRobin
from edge.cli.asked import Asked
from edge.cli.engine import open_asked
from edge.engine.base import TENSORRT, open_engine
from edge.frame import Frame
from edge.loop import LoopOptions, run_loop
from edge.telemetry.power import PowerSampler

if TYPE_CHECKING:
    from edge.camera.base import Source
    from edge.engine.base import Aim, Engine
    from edge.model.contract import Contract
    from edge.record import FrameRecord, Snapshot

NULL_FRAMES = 20_000


class MeterSink:
    """Tells the meter of each record; see `edge.sinks.base.Sink`."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def take_record(self, record: FrameRecord) -> None:
        """Count a label."""
        self._meter.label(record.frame.captured_ns, record.result.top[0].index)

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Want none."""

    def close(self) -> None:
        """Hold nothing."""


class ReadySource:
    """Gives one picture again and again, at once; see `edge.camera.base.Source`."""

    def __init__(self, height: int, width: int) -> None:
        self._pixels = np.zeros((height, width, 3), np.uint8)
        self._seq = 0
        self.unreadable = 0
        self.info = SourceInfo("ready", live=False, size=(width, height), fps=None)

    def read(self) -> Frame | None:
        """Give the picture; None after `NULL_FRAMES` of them."""
        if self._seq == NULL_FRAMES:
            return None
        now_ns = time.monotonic_ns()
        frame = Frame(self._pixels, self._seq, now_ns, 0, "ready")
        self._seq += 1
        return frame

    def stop(self) -> None:
        """Let `read` end by itself, which it does at once."""

    def close(self) -> None:
        """Hold nothing."""


def measure(source: Source, engine: Engine, contract: Contract, meter: Meter) -> None:
    """Run the loop as `edge run` does, power included."""
    changed = threading.Condition()
    with PowerSampler(SysRoot(Path("/"))) as power:
        meter.start()
        with RoundRobin([Capture(source, changed=changed)], changed) as sources:
            options = LoopOptions(read_power=power.read)
            run_loop(sources, engine, contract, [MeterSink(meter)], options)


def main() -> None:
    """Read the command line, run the loop and print what it told."""
    mode, file, clip = sys.argv[1:]
    meter = Meter()
    with ExitStack() as stack:
        if mode == "null":
            from edge.model.onnx_file import load_model

            model = load_model(Path(file))
            contract = model.contract
            engine = stack.enter_context(open_engine("null", model))
            source: Source = ReadySource(*contract.input_hw)
        else:
            aim: Aim = "throughput" if mode.endswith("throughput") else "latency"
            name = TENSORRT if mode.startswith(TENSORRT) else "openvino"
            asked = Asked(file, name, rebuild=False, root=SysRoot(Path("/")), aim=aim)
            engine, contract = stack.enter_context(open_asked(asked))
            source = stack.enter_context(open_source(clip))
        measure(source, engine, contract, meter)
    meter.tell(f"edge {__version__}")


if __name__ == "__main__":
    main()
