"""Fixtures of the rig: the real pycuda on a stand-in driver."""

from __future__ import annotations

import atexit
import json
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from samples import ROOT

from rig.driver import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator


MODES = [
    pytest.param({}, id="eager"),
    pytest.param({"RIG_MODE": "lazy"}, id="lazy"),
    pytest.param({"RIG_INTEGRATED": "1"}, id="eager-shared"),
    pytest.param({"RIG_MODE": "lazy", "RIG_INTEGRATED": "1"}, id="lazy-shared"),
]


@pytest.fixture(scope="session")
def loaded_rig(tmp_path_factory) -> Rig:
    """Give the stand-in driver, loaded before pycuda looks for one."""
    if find_spec("pycuda") is None:
        pytest.skip("pycuda is not installed; .ci/run builds it")
    return Rig(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def rig(loaded_rig, monkeypatch) -> Iterator[Rig]:
    """Give the rig as new: nothing alive, eager, a GPU with its own memory."""
    from edge.engine import cuda

    for name in ("RIG_MODE", "RIG_FAIL", "RIG_INTEGRATED"):
        monkeypatch.delenv(name, raising=False)
    loaded_rig.reset()
    yield loaded_rig
    monkeypatch.undo()
    assert loaded_rig.live() == (0, 0, 0)
    if cuda._start.cache_info().currsize:
        context = cuda._start()[1]
        cuda._start.cache_clear()
        atexit.unregister(context.detach)
        context.detach()


@pytest.fixture(params=MODES)
def mode(request, rig, monkeypatch):
    """Put the rig into one of its modes."""
    for name, value in request.param.items():
        monkeypatch.setenv(name, value)
    return rig


@pytest.fixture
def gpu(rig, edge):
    """Give a function that runs the command line on a machine with the stand-ins."""

    def run(*words: object, rig_mode: dict | None = None, **machine: object):
        paths = [ROOT / "tests" / "fakes", os.environ.get("PYTHONPATH", "")]
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(path) for path in paths if path),
            "LD_LIBRARY_PATH": str(rig.folder),
            "FAKE_TENSORRT": json.dumps(machine),
            **(rig_mode or {}),
        }
        return edge(*words, env=env, timeout=300)

    return run
