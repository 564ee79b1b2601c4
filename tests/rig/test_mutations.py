"""L6: the rig's tests bite. Each mutation of the GPU engine turns them red."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from samples import ROOT

pytestmark = pytest.mark.rig

ENGINE = ("engine/tensorrt.py", "test_engine.py", "")
CUDA = ("engine/cuda.py", "test_engine.py", "")
SESSION = ("engine/trt_session.py", "test_run.py", "same_guesses and squeezenet8-lazy-1")
BATCH = ("engine/tensorrt.py", "test_batch.py", "not plan")
BATCH_CUDA = ("engine/cuda.py", "test_batch.py", "not plan")
BATCH_SESSION = ("engine/trt_session.py", "test_batch.py", "plan or shape")

MUTATIONS = {
    "no wait": (ENGINE, "device.wait(lane.done)", "pass"),
    "waits for the start alone": (ENGINE, "device.wait(lane.done)", "device.wait(lane.started)"),
    "network on the null stream": (ENGINE, "device.stream)", "0)"),
    "tensors swapped": (
        ENGINE, "enqueue(lane.pixels.address, lane.scores.address",
        "enqueue(lane.scores.address, lane.pixels.address",
    ),
    "one lane for both slots": (ENGINE, "self._lanes[number]", "self._lanes[0]"),
    "newest in the place of the oldest": (ENGINE, "self._running.popleft()", "self._running.pop()"),
    "scores shared with the next frame": (ENGINE, "given.copy()", "given"),
    "session left open": (ENGINE, "close(self._session.close)", "close()"),
    "upload on the null stream": (CUDA, "buffer.host[:rows], self._stream)", "buffer.host[:rows])"),
    "download on the null stream": (CUDA, "buffer.copy, self._stream)", "buffer.copy)"),
    "event on the null stream": (CUDA, "event.record(self._stream)", "event.record()"),
    "upload forgotten": (
        CUDA, "self._driver.memcpy_htod_async(buffer.copy, buffer.host[:rows], self._stream)",
        "pass",
    ),
    "no push": (CUDA, "self._context.push()", "pass"),
    "no pop": (CUDA, "self._driver.Context.pop()", "pass"),
    "memory of the GPU not freed": (
        CUDA, "buffer.copy.free()",
        "vars(self._driver).setdefault('kept', []).append(buffer.copy)",
    ),
    "memory of the host not freed": (CUDA, "buffer.allocation.free()", "self.kept = buffer"),
    "freed twice": (
        CUDA, "buffer.allocation.free()", "buffer.allocation.free(); buffer.allocation.free()",
    ),
    "events kept": (CUDA, "self._events.clear()", "self._events.copy()"),
    "shared memory not mapped": (CUDA, "host_alloc_flags.DEVICEMAP", "host_alloc_flags.PORTABLE"),
    "lost context kept": (CUDA, "_end_context(self._context)", "pass"),
    "half a buffer": (CUDA, "mem_alloc(host.nbytes)", "mem_alloc(host.nbytes // 2)"),
    "plan's tensors swapped": (
        SESSION, "set_tensor_address(self._pixels, pixels)",
        "set_tensor_address(self._pixels, scores)",
    ),
    "plan on another stream": (SESSION, "execute_async_v3(stream)", "execute_async_v3(0)"),
    "least batch ignored": (BATCH, "max(filled, self._least)", "filled"),
    "scores of unused rows given": (BATCH, "lane.scores.host[:filled]", "lane.scores.host"),
    "rest of a lane kept": (BATCH, "self._free.popleft()  #", "break  #"),
    "lane freed by a half": (BATCH, "extend(lane.slots)", "extend(lane.slots[:1])"),
    "rows all the first": (BATCH, "pixels.host[row]", "pixels.host[0]"),
    "slots of both lanes alike": (BATCH, "_open_lane(number * most", "_open_lane(0 * most"),
    "one picture in": (BATCH, "upload(lane.pixels, count)", "upload(lane.pixels, 1)"),
    "one picture out": (BATCH, "download(lane.scores, filled)", "download(lane.scores, 1)"),
    "one picture worked out": (BATCH, "lane.scores.address, count,", "lane.scores.address, 1,"),
    "batch's scores shared with the next": (BATCH, "given.copy()", "given"),
    "whole lane copied in": (BATCH_CUDA, "buffer.host[:rows], self._stream)",
                             "buffer.host, self._stream)"),
    "whole lane copied out": (BATCH_CUDA, "memcpy_dtoh_async(buffer.host[:rows],",
                              "memcpy_dtoh_async(buffer.host,"),
    "count forgotten": (BATCH_SESSION, "self._count = count", "pass"),
    "count never changed": (BATCH_SESSION, "if count != self._count:", "if not self._count:"),
    "most not tried": (BATCH_SESSION, "(batch.most, batch.least)", "(batch.least,)"),
    "scores counted for the batch": (BATCH_SESSION, " // batch.least", ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Give a copy of the package, which `run` then finds first."""
    folder = tmp_path_factory.mktemp("mutated")
    shutil.copytree(ROOT / "edge", folder / "edge", ignore=shutil.ignore_patterns("__pycache__"))
    for data in ("engines", "calib"):
        (folder / data).symlink_to(ROOT / data)
    return folder


def run(folder, file: str, words: str) -> subprocess.CompletedProcess[str]:
    """Run a file of the rig's tests, and what it starts, on the copy."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    where = ["-c", ROOT / "pyproject.toml", "--rootdir", ROOT, ROOT / "tests" / "rig" / file]
    return subprocess.run(
        [*command, *where, "-k", words], cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("tests", [ENGINE, SESSION, BATCH, BATCH_SESSION])
@pytest.mark.usefixtures("rig")
def test_whole_engine_is_green(copy, tests):
    _, file, words = tests
    done = run(copy, file, words)
    assert (done.returncode, " passed" in done.stdout) == (0, True), done.stdout


@pytest.mark.parametrize("name", MUTATIONS)
@pytest.mark.usefixtures("rig")
def test_mutation_is_red(copy, name):
    (file, tests, words), before, after = MUTATIONS[name]
    path = copy / "edge" / file
    source = path.read_text()
    assert source.count(before) >= 1, f"{file} no longer says {before}"
    path.write_text(source.replace(before, after))
    try:
        done = run(copy, tests, words)
    finally:
        path.write_text(source)
    assert done.returncode != 0, f"nothing noticed: {name}"
    assert "no tests ran" not in done.stdout
