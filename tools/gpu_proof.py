"""Prove the GPU engine on this machine's GPU: order, memory, threads, the loop, time per frame.

    python tools/gpu_proof.py [--frames 10000] [--cycles 100] [--no-times] [-o docs/gpu-proof.md]

Wants an NVIDIA GPU with its driver, and pycuda; no TensorRT. The network is played by `echo.ptx`,
which gives the first pixels back as scores, so every answer is known; all else is edge's own
`Device`, `TensorRTEngine` and loop. Exit code 1 when a check fails, or when there is no GPU.

Run it once more under NVIDIA's memory checker, which makes every time meaningless:

    compute-sanitizer --error-exitcode 7 python tools/gpu_proof.py --frames 500 --no-times

Plans are another question. One honest try of a portable one, with TensorRT-RTX installed too:

    edge build squeezenet8-int8 --target tensorrt-rtx -o p.plan
    edge run demo --model p.plan --engine tensorrt

Add these commands to the report by hand with all that they printed, a refusal too.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import math
import os
import platform
import re
import shlex
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge import __version__
from edge.camera.base import open_source
from edge.camera.capture import Capture
from edge.camera.round_robin import RoundRobin
from edge.engine.cuda import Device, describe_gpu, used_memory_bytes
from edge.engine.plan import Flags
from edge.engine.tensorrt import TensorRTEngine
from edge.errors import EdgeError, EngineLostError
from edge.files import check_target, write_atomic
from edge.image import Fitter
from edge.loop import LoopOptions, run_loop
from edge.model.batch import Batch
from edge.model.contract import Contract
from edge.record import Unavailable
from edge.result import classify

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    import numpy.typing as npt

    from edge.engine.cuda import GPU

    Answer = tuple[bool, str]
    Row = tuple[str, bool, str]

VALUES = 1000
CONTRACT = Contract(  # called probabilities, so that the loop leaves the scores as they are
    name="echo", input_hw=(227, 227), resize_short_px=256, channel_order="BGR", mean=(0, 0, 0),
    std=(1, 1, 1), labels=tuple(str(index) for index in range(VALUES)), output="probabilities",
)  # fmt: skip
SHAPE = (*CONTRACT.input_hw, 3)
PICTURE_BYTES = math.prod(SHAPE)
PERIOD = 251
"""So many different pictures are sent."""

BLOCK = 256
WAIT_CYCLES = 200_000
"""How long the echo waits before it reads: long enough to show who does not wait for it."""

WARM_UP = 10
SLACK_BYTES = 8 << 20
"""What the GPU or the process may hold more: drivers keep pools, and others use the GPU too."""

PICTURES = 60
THREADS = 3
ROUNDS = 20
ECHO = Path(__file__).with_name("echo.ptx")
STAND_IN = "stand-in"
"""The GPU that `tests/rig/libcuda.c` plays; its times say nothing."""


class EchoSession:
    """See `edge.engine.tensorrt.Session`. Open it with the GPU's context on the thread."""

    def __init__(self, wait_cycles: int) -> None:
        self.values = VALUES
        self._wait_cycles = wait_cycles
        self._cuda = ctypes.CDLL("libcuda.so.1")
        self._module, self._echo = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuModuleLoadData", ctypes.byref(self._module), ECHO.read_bytes())
        self._call("cuModuleGetFunction", ctypes.byref(self._echo), self._module, b"echo")

    def enqueue(self, pixels: int, scores: int, count: int, stream: int) -> None:
        """Queue the kernel for one picture, which gets copies of its parameters."""
        del count  # one: its sidecar names no batch
        pointers = ctypes.c_uint64(pixels), ctypes.c_uint64(scores)
        given = (*pointers, ctypes.c_uint32(VALUES), ctypes.c_uint32(self._wait_cycles))
        addresses = (ctypes.c_void_p * len(given))(*map(ctypes.addressof, given))
        shape = (-(-VALUES // BLOCK), 1, 1, BLOCK, 1, 1, 0)
        handle = ctypes.c_void_p(stream)
        self._call("cuLaunchKernel", self._echo, *shape, handle, addresses, None)

    def read_layers(self) -> tuple[()]:
        """Give none: a kernel is no network."""
        return ()

    def close(self) -> None:
        """Unload the kernel. A lost GPU answers with its error again, and has unloaded it."""
        self._cuda.cuModuleUnload(self._module)

    def _call(self, name: str, *words: object) -> None:
        code = getattr(self._cuda, name)(*words)
        if code:
            raise EngineLostError(f"cuda: {name} answers {code}", hint="Look into dmesg")


def open_echo(wait_cycles: int = WAIT_CYCLES) -> TensorRTEngine:
    """Open edge's GPU engine over the echo; close it."""
    sidecar: Any = SimpleNamespace(
        contract=CONTRACT, flags=Flags(), batch=Batch(1, 1, 1), precision="fp32"
    )
    device = Device()
    try:
        with device.current():
            session = EchoSession(wait_cycles)
        return TensorRTEngine(session, device, sidecar)
    except EdgeError:
        device.close()
        raise


@functools.cache
def noise() -> npt.NDArray[np.uint8]:
    """Give the bytes that all pictures are cut from."""
    return np.random.default_rng(0).integers(0, 256, PICTURE_BYTES + PERIOD, dtype=np.uint8)


def count_wrong(engine: TensorRTEngine, frames: int, first: int = 0) -> int:
    """Send changing pictures, two in flight, and count the answers that are not their own."""
    wrong = 0
    for number in range(first, first + frames + 1):
        if number < first + frames:
            slot = engine.acquire()
            at = number % PERIOD
            slot.pixels.reshape(-1)[:] = noise()[at : at + PICTURE_BYTES]
            engine.submit(slot)
        if number > first:
            at = (number - 1) % PERIOD
            wrong += not np.array_equal(engine.collect().values, noise()[at : at + VALUES])
    return wrong


def check_frames(options: Namespace) -> Answer:
    """Two frames in flight keep their order and leave no memory behind."""
    with closing(open_echo()) as engine:
        return watch_memory(lambda count: count_wrong(engine, count), options.frames, "frames")


def check_cycles(options: Namespace) -> Answer:
    """Open and close leave no memory behind."""

    def cycle(count: int) -> int:
        wrong = 0
        for number in range(count):
            with closing(open_echo()) as engine:
                wrong += count_wrong(engine, 2, first=number)
        return wrong

    return watch_memory(cycle, options.cycles, "cycles")


def check_threads(options: Namespace) -> Answer:
    """Engines are used and closed by threads other than the one that opened them, all at once."""

    def use(number: int) -> int:
        with closing(engines[number]) as engine:
            return count_wrong(engine, options.frames, first=number * PERIOD // THREADS)

    with ExitStack() as stack, ThreadPoolExecutor(THREADS) as pool:
        engines = [stack.enter_context(closing(open_echo())) for _ in range(THREADS)]
        wrong = sum(pool.map(use, range(THREADS)))
    return not wrong, f"{THREADS} times {options.frames} frames, {wrong} wrong"


def check_loop(_: Namespace) -> Answer:
    """The loop gives each picture of a folder its own scores."""
    rng, pixels = np.random.default_rng(1), np.empty(SHAPE, np.uint8)
    fitter = Fitter(CONTRACT)
    wanted, found = [], []
    sink: Any = SimpleNamespace(
        take_record=lambda record: found.append(record.result), take_snapshot=lambda _: None
    )
    options = LoopOptions(read_power=lambda: Unavailable("not asked for"), top_k=VALUES)
    with tempfile.TemporaryDirectory() as folder:
        for index in range(PICTURES):
            picture = cv2.resize(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8), (320, 240))
            cv2.imwrite(f"{folder}/{index:02}.png", picture)
            fitter.fit(picture, pixels)
            scores = pixels.reshape(-1)[:VALUES].astype(np.float32)
            wanted.append(classify(scores, CONTRACT.labels, VALUES, are_logits=False))
        changed = threading.Condition()
        with closing(open_echo()) as echo, open_source(folder) as source:
            captures = [Capture(source, changed=changed)]
            with RoundRobin(captures, changed) as frames:
                run_loop(frames, echo, CONTRACT, [sink], options)
    right = sum(one == other for one, other in zip(found, wanted, strict=False))
    return right == len(found) == len(set(wanted)) == PICTURES, (
        f"{PICTURES} pictures, {len(set(wanted))} of them different; {len(found)} answers,"
        f" {right} right"
    )


CHECKS = (check_frames, check_cycles, check_threads, check_loop)


def run_check(check: Callable[[Namespace], Answer], options: Namespace) -> Row:
    """Give what should hold, whether it does, and what was found: an error of the GPU too."""
    name = str(check.__doc__).rstrip(".")
    try:
        return (name, *check(options))
    except EdgeError as error:
        return name, False, str(find_first(error))


def find_first(error: BaseException) -> EdgeError:
    """Give what failed first: the close after it fails too, and would hide it."""
    errors = [error]
    while (earlier := errors[-1].__context__) is not None:
        errors.append(earlier)
    return next(each for each in reversed(errors) if isinstance(each, EdgeError))


def watch_memory(work: Callable[[int], int], count: int, what: str) -> Answer:
    """Do so much work after a warm-up; tell how many answers were wrong and what memory is gone."""
    work(WARM_UP)
    before = read_memory()
    wrong = work(count)
    on_gpu_bytes, here_bytes = (now - then for now, then in zip(read_memory(), before, strict=True))
    return not wrong and max(on_gpu_bytes, here_bytes) <= SLACK_BYTES, (
        f"{count} {what}, {wrong} wrong; {on_gpu_bytes / 1024:+.0f} KiB on the GPU,"
        f" {here_bytes / 1024:+.0f} KiB in this process, {SLACK_BYTES >> 10} KiB allowed"
    )


def read_memory() -> tuple[int, int]:
    """Give what the GPU has in use and what this process holds of the host's, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return used_memory_bytes(), pages * os.sysconf("SC_PAGE_SIZE")


def measure_times(frames: int) -> dict[str, list[int]]:
    """Time whole frames, one in flight, in turns with their copies alone: wall time in ns."""
    with closing(open_echo(wait_cycles=0)) as engine, closing(Device()) as device:
        pixels = device.allocate((1, *SHAPE), np.uint8)
        scores = device.allocate((1, VALUES), np.float32)

        def pass_frame() -> None:
            engine.submit(engine.acquire())
            engine.collect()

        def copy() -> None:
            with device.current():
                device.upload(pixels, 1)
                device.download(scores, 1)
                device.synchronize()

        calls = {"submit and collect": pass_frame, "the copies and a wait alone": copy}
        times_ns: dict[str, list[int]] = {name: [] for name in calls}
        for _ in range(ROUNDS):
            for name, call in calls.items():
                call()  # the first one after the other's turn does not count
                for _ in range(-(-frames // ROUNDS)):
                    started_ns = time.perf_counter_ns()
                    call()
                    times_ns[name].append(time.perf_counter_ns() - started_ns)
    return times_ns


def render_times(times_ns: dict[str, list[int]]) -> str:
    """Give the table of times."""
    rows = [
        f"| {name} | {len(each)} | {np.percentile(each, 50) / 1e3:.1f} µs"
        f" | {np.percentile(each, 99) / 1e3:.1f} µs |"
        for name, each in times_ns.items()
    ]
    return "\n".join(["| What | Times | p50 | p99 |", "|---|---|---|---|", *rows])


def tell_times(options: Namespace, gpu: GPU) -> str:
    """Give the times of a frame, or why there are none."""
    if gpu.name == STAND_IN:
        return "None: this ran on the stand-in driver of `tests/rig`, and its times are no GPU's."
    if options.no_times:
        return "None: `--no-times` was given."
    return render_times(measure_times(options.frames))


def read_driver_version() -> str:
    """Give the version of NVIDIA's kernel module: its file says "... Kernel Module  550.54 ..."."""
    file = Path("/proc/driver/nvidia/version")
    found = re.search(r"\d+\.[\d.]+", file.read_text()) if file.exists() else None
    return found[0] if found else "version not told"


def render_report(gpu: GPU, words: list[str], rows: list[Row], times: str) -> str:
    """Give the whole page."""
    memory = "memory shared with the CPU" if gpu.is_integrated else "memory of its own"
    checks = "\n".join(
        f"| {name} | {'yes' if holds else '**no**'} | {found} |" for name, holds, found in rows
    )
    return f"""# The GPU engine on a CUDA driver

Written by `tools/gpu_proof.py`, which says what it does. An echo stands in for the network, so
nothing here is about TensorRT's plans or the speed of a network.

| What | Which |
|---|---|
| Date | {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC |
| GPU | {gpu.name}, compute capability {gpu.compute_capability}, {memory} |
| Driver | {read_driver_version()}, knows CUDA up to {gpu.cuda} |
| edge | {__version__} |
| pycuda | {version("pycuda")} |
| Python | {platform.python_version()}, {platform.platform()} |
| Command | `{shlex.join(["python", "tools/gpu_proof.py", *words])}` |

## Checks

| What should hold | Does it | Found |
|---|---|---|
{checks}

## Times

{times}
"""


def main(words: list[str]) -> int:
    """Read the command line, prove and report; give the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--frames", type=positive, default=10_000, help="frames a check")
    parser.add_argument("--cycles", type=positive, default=100, help="times to open and close")
    parser.add_argument("--no-times", action="store_true", help="take no times")
    parser.add_argument("-o", "--output", type=Path, help="write the report here too")
    options = parser.parse_args(words)
    try:
        gpu = describe_gpu()
        if options.output:
            check_target(options.output)
        rows = [run_check(check, options) for check in CHECKS]
        report = render_report(gpu, words, rows, tell_times(options, gpu))
        print(report, end="")
        if options.output:
            write_atomic(options.output, report.encode())
    except EdgeError as error:
        print(f"gpu_proof: {error}", file=sys.stderr)
        return 1
    for name, holds, _ in rows:
        if not holds:
            print(f"gpu_proof: does not hold: {name}", file=sys.stderr)
    return int(not all(holds for _, holds, _ in rows))


def positive(word: str) -> int:
    """Read a number of at least one."""
    if (number := int(word)) < 1:
        raise ValueError(word)
    return number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
