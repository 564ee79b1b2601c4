"""Whether cameras come back from every fault, and whether anything grows meanwhile.

    python benchmarks/soak.py [--minutes 10] [--only http,rtsp,gstreamer] [--json FILE]

A real MJPEG server and two real RTSP servers, of which FFmpeg reads one and GStreamer the other,
play on loopback, each in a process of its own. edge reads each through a line that this program
cuts, stalls and garbles at random; now and then it kills a server and starts another one, which
sends pictures of another size. After each fault the line is mended, and the source must give the
label of a new picture before `DEADLINE_S`. Between the faults descriptors, threads, child processes
and memory are counted. The exit code is 1 where a source did not come back or something grew.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from servers.line import Line  # noqa: E402 - the tests' own servers

from edge.camera.url import parse_source  # noqa: E402 - after the path
from edge.cli.sources import open_sources  # noqa: E402 - after the path
from edge.engine.base import open_engine  # noqa: E402 - after the path
from edge.loop import LoopOptions, run_loop  # noqa: E402 - after the path
from edge.model.onnx_file import load_model  # noqa: E402 - after the path
from edge.model.zoo import resolve_model  # noqa: E402 - after the path
from edge.record import Unavailable  # noqa: E402 - after the path

if TYPE_CHECKING:
    from edge.record import FrameRecord, Snapshot

SERVERS = {
    "http": ([sys.executable, "mjpeg.py"], "timeout=2"),
    "rtsp": (["/usr/bin/python3", "rtsp.py"], "timeout=2&decoder=ffmpeg"),
    "gstreamer": (["/usr/bin/python3", "rtsp.py"], "timeout=2&decoder=gstreamer"),
}
"""Program of each server, which prints its address, and the options edge reads it with."""

SIZES = ("640x480", "320x240", "1280x720")
FPS = 15
DEADLINE_S = 30.0
FAULT_S = {"cut": (0.05, 1.5), "stall": (0.2, 4.0), "garble": (0.3, 1.5), "restart": (0.0, 1.0)}
WEIGHTS = {"cut": 6, "stall": 2, "garble": 2, "restart": 1}
CALM_S = (1.0, 2.0)
GROWTH_MIB = 24.0
"""How far the medians of memory in the second and in the last quarter may differ."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and how it went.

    Attributes:
        source: a key of `SERVERS`.
        kind: what was done to it.
        lasted_s: until it was mended.
        recovered_s: from then to the label of a new picture; None where none came in time.
    """

    source: str
    kind: str
    lasted_s: float
    recovered_s: float | None


@dataclass(frozen=True, slots=True)
class Usage:
    """What this process holds at one moment."""

    descriptors: int
    threads: int
    children: int
    memory_mib: float


class Server:
    """One server in a process of its own, on a port that stays the same."""

    def __init__(self, kind: str) -> None:
        self._command = SERVERS[kind][0]
        self.port = 0
        self._start(SIZES[0])

    def _start(self, size: str) -> None:
        program, script = self._command
        options = ["--port", str(self.port), "--fps", str(FPS), "--size", size]
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            [program, str(ROOT / "tests" / "servers" / script), *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None  # noqa: S101 - for the types
        address = urlsplit(self._process.stdout.readline().split()[-1])
        self.port, self.scheme, self.path = address.port or 0, address.scheme, address.path

    def restart(self, size: str) -> None:
        """Kill it and start it again."""
        self.stop()
        self._start(size)

    def stop(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Watch:
    """A sink that knows when each source gave its last label."""

    def __init__(self) -> None:
        self._newest_ns: dict[str, int] = {}
        self._told = threading.Condition()
        self.snapshot: Snapshot | None = None

    def take_record(self, record: FrameRecord) -> None:
        """Note when the picture was taken."""
        with self._told:
            self._newest_ns[record.frame.source] = record.frame.captured_ns
            self._told.notify_all()

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Keep the state."""
        self.snapshot = snapshot

    def close(self) -> None:
        """Hold nothing."""

    def wait_for(self, source: str, since_ns: int) -> float | None:
        """Give the seconds until a picture taken after `since_ns` had its label."""
        with self._told:
            is_there = self._told.wait_for(
                lambda: self._newest_ns.get(source, 0) > since_ns, DEADLINE_S
            )
        return (time.monotonic_ns() - since_ns) / 1e9 if is_there else None


class Saboteur(threading.Thread):
    """Breaks one source again and again."""

    def __init__(self, kind: str, name: str, parts: tuple[Server, Line], watch: Watch) -> None:
        super().__init__(name=f"saboteur-{kind}", daemon=True)
        self._kind, self._source = kind, name
        self._server, self._line = parts
        self._watch = watch
        self._random = random.Random(kind)  # noqa: S311 - the same faults each time
        self.over = threading.Event()
        self.faults: list[Fault] = []

    def run(self) -> None:
        """Break, mend, wait, until it is over."""
        if self._watch.wait_for(self._source, 0) is None:
            self.faults.append(Fault(self._kind, "start", 0.0, None))
            return
        kinds, weights = zip(*WEIGHTS.items(), strict=True)
        while not self.over.wait(self._random.uniform(*CALM_S)):
            kind = self._random.choices(kinds, weights)[0]
            lasts_s = self._random.uniform(*FAULT_S[kind])
            self._break(kind)
            self.over.wait(lasts_s)
            self._line.set_fault("none")
            mended_ns = time.monotonic_ns()
            recovered_s = self._watch.wait_for(self._source, mended_ns)
            self.faults.append(Fault(self._kind, kind, lasts_s, recovered_s))

    def _break(self, kind: str) -> None:
        if kind == "restart":
            self._server.restart(self._random.choice(SIZES))
        else:
            self._line.set_fault(kind)  # type: ignore[arg-type] # the other keys of WEIGHTS


def read_usage() -> Usage:
    """Count what this process holds."""
    status = Path("/proc/self/status").read_text("utf-8")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text("utf-8").split()
    return Usage(
        descriptors=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - one call
        threads=int(fields["Threads"]),
        children=len(children),
        memory_mib=int(fields["VmRSS"].split()[0]) / 1024,
    )


def soak(kinds: list[str], minutes: float, model_name: str) -> dict[str, object]:
    """Run it all; gives faults, usage and the last state of the sources."""
    watch, stop, usages = Watch(), threading.Event(), []
    model = load_model(resolve_model(model_name))
    with ExitStack() as stack:
        saboteurs, urls = [], []
        for kind in kinds:
            server = Server(kind)
            stack.callback(server.stop)
            line = stack.enter_context(Line(server.port))
            address = f"{server.scheme}://127.0.0.1:{line.port}{server.path}#{SERVERS[kind][1]}"
            url = parse_source(address)
            urls.append(url)
            saboteurs.append(Saboteur(kind, url.name, (server, line), watch))
        engine = stack.enter_context(open_engine("auto", model))
        sources = stack.enter_context(open_sources(urls, realtime=False))
        options = LoopOptions(read_power=lambda: Unavailable("not asked for"), stop=stop)
        loop = threading.Thread(
            target=run_loop, args=(sources, engine, model.contract, [watch], options)
        )
        loop.start()
        for saboteur in saboteurs:
            saboteur.start()
        ends_s = time.monotonic() + 60 * minutes
        while time.monotonic() < ends_s:
            time.sleep(0.5)
            if watch.snapshot and all(one.state == "live" for one in watch.snapshot.sources):
                usages.append(read_usage())
        for saboteur in saboteurs:
            saboteur.over.set()
        for saboteur in saboteurs:
            saboteur.join()
        stop.set()
        loop.join()
        states = [
            {"source": one.name, "frames": one.frames, **asdict(one.counts)}
            for one in (watch.snapshot.sources if watch.snapshot else ())
        ]
    faults = [asdict(fault) for saboteur in saboteurs for fault in saboteur.faults]
    return {"faults": faults, "usage": [asdict(usage) for usage in usages], "sources": states}


def growth(usage: list[dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Give the medians of the second and of the last quarter of the run."""
    quarter = max(1, len(usage) // 4)
    early, late = usage[quarter : 2 * quarter] or usage, usage[-quarter:]
    return {
        name: tuple(statistics.median(one[name] for one in part) for part in (early, late))
        for name in usage[0]
    }  # type: ignore[return-value] # two medians


def show(result: dict[str, list[dict[str, object]]], minutes: float) -> bool:
    """Print the tables; tells whether all is well."""
    print(f"{minutes:g} minutes, {platform.machine()}, {os.cpu_count()} cores, Python "
          f"{platform.python_version()}\n")  # fmt: skip
    print("| source | fault | times | recovered | seconds to a new label: median | most |")
    print("|---|---|---|---|---|---|")
    faults = result["faults"]
    for source, kind in sorted({(fault["source"], fault["kind"]) for fault in faults}):
        these = [one for one in faults if (one["source"], one["kind"]) == (source, kind)]
        times = [one["recovered_s"] for one in these if one["recovered_s"] is not None]
        figures = f"{statistics.median(times):.2f} | {max(times):.2f}" if times else "- | -"
        print(f"| {source} | {kind} | {len(these)} | {len(times)} | {figures} |")
    heads = list(result["sources"][0])
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for state in result["sources"]:
        print(f"| {' | '.join(str(value) for value in state.values())} |")
    print("\n| held | second quarter | last quarter |\n|---|---|---|")
    grown = growth(result["usage"])
    for name, (early, late) in grown.items():
        print(f"| {name} | {early:.1f} | {late:.1f} |")
    lost = [fault for fault in faults if fault["recovered_s"] is None]
    grew = [name for name, (early, late) in grown.items()
            if late > early + (GROWTH_MIB if name == "memory_mib" else 0)]  # fmt: skip
    print(
        f"\n{len(faults)} faults, {len(lost)} not recovered; grew: {', '.join(grew) or 'nothing'}"
    )
    return not lost and not grew


def main() -> None:
    """Read the command line, soak and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", default=",".join(SERVERS))
    parser.add_argument("--model", default="squeezenet8-int8")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    result = soak(given.only.split(","), given.minutes, given.model)
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1), "utf-8")
    sys.exit(0 if show(result, given.minutes) else 1)


if __name__ == "__main__":
    main()
