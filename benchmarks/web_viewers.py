"""What the live view costs a run: no view, a view that nobody opened, one viewer, ten viewers.

    python benchmarks/web_viewers.py CLIP [--engine NAME] [--frames 600] [--rounds 5] [--realtime]

Each round plays the clip's first frames in every way, in turn, so that a noisy machine hurts all
alike. Viewers live in a process of their own and do what the page does: they read the events and
fetch each picture that they hear of; on a machine with few cores they take time from the run as a
browser on the same machine would. Printed are medians over the rounds with the least and the most:
frames a second, end-to-end latency, and what the sink takes of the loop for one frame.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import threading
import time
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edge import __version__
from edge.camera.base import open_source
from edge.camera.capture import Capture
from edge.camera.paced import PacedSource
from edge.camera.round_robin import RoundRobin
from edge.engine.base import open_engine
from edge.loop import LoopOptions, run_loop
from edge.model.onnx_file import load_model
from edge.model.zoo import resolve_model
from edge.record import RunInfo, Unavailable
from edge.sinks.address import parse_address
from edge.sinks.listening import listen
from edge.sinks.web.sink import WebSink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.camera.base import Source
    from edge.engine.base import Engine
    from edge.frame import Frame
    from edge.model.contract import Contract
    from edge.record import FrameRecord, Snapshot, Summary

WAYS = {"no view": None, "view, nobody": 0, "view, 1 viewer": 1, "view, 10 viewers": 10}
FIGURES = ("fps", "p50 ms", "p99 ms", "sink us")


class FirstFrames:
    """Ends a source after so many frames; see `edge.camera.base.Source`."""

    def __init__(self, source: Source, count: int) -> None:
        self._source = source
        self._frames: Iterator[Frame] = islice(iter(source.read, None), count)
        self.info = source.info
        self.unreadable = 0
        self.stop, self.close = source.stop, source.close

    def read(self) -> Frame | None:
        """Give the next frame; None after the last one that is wanted."""
        return next(self._frames, None)


class TimedSink:
    """Times what another sink takes for each record; see `edge.sinks.base.Sink`."""

    def __init__(self, sink: WebSink) -> None:
        self._sink = sink
        self.times_ns: list[int] = []

    def take_record(self, record: FrameRecord) -> None:
        """Hand it on."""
        started_ns = time.perf_counter_ns()
        self._sink.take_record(record)
        self.times_ns.append(time.perf_counter_ns() - started_ns)

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Hand it on."""
        self._sink.take_snapshot(snapshot)

    def close(self) -> None:
        """Leave that to the other one's owner."""


def watch(port: int, count: int, ready: multiprocessing.Barrier) -> None:
    """Be so many viewers until the run ends."""
    threads = [threading.Thread(target=_watch_once, args=(port, ready)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _watch_once(port: int, ready: multiprocessing.Barrier) -> None:
    events = HTTPConnection("127.0.0.1", port)
    events.request("GET", "/events")
    answer = events.getresponse()
    pictures = HTTPConnection("127.0.0.1", port)
    ready.wait()
    with suppress(HTTPException, OSError):
        for line in answer:
            if line.startswith(b'data: {"place":'):
                pictures.request("GET", f"/pictures/{json.loads(line[6:])['place']}")
                pictures.getresponse().read()
    events.close()
    pictures.close()


def play(source: Source, engine: Engine, contract: Contract, viewers: int | None) -> list[float]:
    """Run the loop over a source; gives `FIGURES`."""
    if viewers is None:
        return _figures(_run(source, engine, contract, []), [0])
    info = RunInfo("clip", contract.name, engine.info.name, 5, __version__)
    with ExitStack() as stack:
        web = WebSink(listen(parse_address(":0", "--web"), "--web"), lambda: info)
        timed = TimedSink(web)
        if viewers:
            stack.callback(_invite(urlsplit(web.url).port, viewers).join)
        stack.enter_context(closing(web))
        return _figures(_run(source, engine, contract, [timed]), timed.times_ns)


def _run(source: Source, engine: Engine, contract: Contract, sinks: list[TimedSink]) -> Summary:
    changed = threading.Condition()
    options = LoopOptions(read_power=lambda: Unavailable("not asked for"))
    with RoundRobin([Capture(source, changed=changed)], changed) as sources:
        return run_loop(sources, engine, contract, sinks, options)


def _invite(port: int, count: int) -> multiprocessing.Process:
    """Start viewers and wait until they watch."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(count + 1)
    process = context.Process(target=watch, args=(port, count, ready))
    process.start()
    ready.wait()
    return process


def _figures(summary: Summary, times_ns: list[int]) -> list[float]:
    age = summary.final.stages["end_to_end"]
    return [summary.final.fps, age.p50_ms, age.p99_ms, statistics.fmean(times_ns) / 1000]


def main() -> None:
    """Read the command line, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip")
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--realtime", action="store_true", help="at the clip's own speed")
    asked = parser.parse_args()
    model = load_model(resolve_model("squeezenet8-int8"))
    rounds: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    with open_engine(asked.engine, model) as engine:
        for _ in range(asked.rounds + 1):
            for way, viewers in WAYS.items():
                with open_source(asked.clip) as opened:
                    source = PacedSource(opened) if asked.realtime else opened
                    first = FirstFrames(source, asked.frames)
                    rounds[way].append(play(first, engine, model.contract, viewers))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{asked.rounds} rounds of {asked.frames} frames after one warm-up, {asked.engine};")
    print("median (least to most)")
    print(f"{'':18}" + "".join(f"{name:>27}" for name in FIGURES))
    for way, table in rounds.items():
        columns = zip(*table[1:], strict=True)
        print(f"{way:18}" + "".join(f"{_spread(column):>27}" for column in columns))


def _spread(values: tuple[float, ...]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
