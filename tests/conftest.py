"""Fixtures for every test: a small model, pictures, a command line, a clean environment."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from shutil import which
from typing import TYPE_CHECKING

import hypothesis
import pytest
from networks import make_residual
from rig.cameras import Cameras, compile_cameras
from samples import ROOT, SHARED, make_contract, make_picture

from edge.model.squeezenet import build_squeezenet, random_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from edge.model.onnx_file import Model


def pytest_configure() -> None:
    """Take Ctrl-C, and keep each worker, and what it starts, to one thread of BLAS.

    A shell that starts the tests behind itself has Ctrl-C ignored, in children too. Threads of BLAS
    spin while they wait: on small matrices that costs a core, which the next worker wants.
    No property fails because the machine was busy for a moment.
    """
    hypothesis.settings.register_profile(
        "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("busy")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory) -> None:
    """Keep the user's own settings, models and terminal out of the tests."""
    for name in list(os.environ):
        if name.startswith("EDGE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("EDGE_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture(autouse=True)
def _no_leaked_thread() -> Iterator[None]:
    """Fail a test that leaves a thread of ours running."""
    yield
    ours = {"board", "capture", "metrics", "mqtt", "power", "rows", "web"}
    left = [thread.name for thread in threading.enumerate() if thread.name in ours]
    assert not left, f"threads left running: {left}"


@pytest.fixture
def shared_data() -> Path:
    """Give the folder with real pictures, weights and video, or skip."""
    if not SHARED.is_dir():
        pytest.skip("the shared data folder is not here")
    return SHARED


@pytest.fixture(scope="session")
def small_model() -> Model:
    """Give a SqueezeNet 1.1 with five classes, 64 x 64 input and random weights."""
    return build_squeezenet("1.1", make_contract(), random_weights("1.1", 5, seed=3))


@pytest.fixture(scope="session")
def tiny_model() -> Model:
    """Give a network of seven convolutions that is quantised in a third of a second."""
    return make_residual(make_contract())


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """Give a folder with six different pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(6):
        make_picture(folder / f"{number}.png", seed=number)
    return folder


@pytest.fixture
def edge(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give a function that runs the real command line in `tmp_path` and returns the process."""

    def run(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edge", *(str(word) for word in words)]
        settings = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 120}
        return subprocess.run(command, check=False, **{**settings, **options})

    return run


@pytest.fixture(scope="session")
def camera_library(tmp_path_factory) -> Path:
    """Give the stand-in of V4L2, built; see rig/v4l2.c."""
    if which("gcc") is None:
        pytest.skip("gcc is not here, which builds the stand-in of V4L2")
    return compile_cameras(tmp_path_factory.mktemp("v4l2"))


@pytest.fixture
def cameras(camera_library: Path, tmp_path: Path) -> Cameras:
    """Give a machine without cameras, into which a test plugs some."""
    return Cameras(camera_library, tmp_path / "machine")


@pytest.fixture
def build(edge: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., object]:
    """Give a function that runs `edge build` beside a stand-in of TensorRT 10.

    It writes `m.plan`; no file may get larger than `most_bytes`, as on a full disk.
    """

    def run(*words: object, most_bytes: int | None = None, **machine: object):
        paths = [str(ROOT / "tests" / "fakes"), os.environ.get("PYTHONPATH", "")]
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "FAKE_TENSORRT": json.dumps(machine),
        }
        limits = (most_bytes, most_bytes)
        limit = most_bytes and partial(resource.setrlimit, resource.RLIMIT_FSIZE, limits)
        return edge("build", *words, "-o", "m.plan", env=env, preexec_fn=limit)

    return run


@pytest.fixture
def fake_tensorrt(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Give the stand-in of TensorRT 10 that `import tensorrt` then finds."""
    spec = spec_from_file_location("tensorrt", ROOT / "tests" / "fakes" / "tensorrt.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return module
