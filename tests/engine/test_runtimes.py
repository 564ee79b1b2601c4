"""The CPU runtimes are imported whole but for what calls home."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import sys
from edge.engine.runtimes import CONVERTER, load_onnxruntime, load_openvino
openvino = load_openvino()
assert "CPU" in openvino.Core().available_devices
assert load_openvino() is openvino
assert CONVERTER not in sys.modules  # nobody else is kept from it
assert "CPUExecutionProvider" in load_onnxruntime().get_available_providers()
assert not any(name.startswith("openvino_telemetry") for name in sys.modules)
"""


def test_runtimes_are_loaded_without_what_calls_home(tmp_path):
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    words = [sys.executable, "-c", SCRIPT]
    subprocess.run(words, check=True, env={**os.environ, **home})
    assert list(tmp_path.iterdir()) == []


def test_run_and_doctor_leave_nothing_in_the_home(edge, tmp_path, picture_folder):
    home = tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home)}
    for words in (
        ("run", picture_folder, "--engine", "openvino"),
        ("run", picture_folder, "--engine", "onnxruntime"),
        ("doctor",),
    ):
        assert edge(*words, env=environment).returncode == 0
    left = {path.relative_to(home).parts[:2] for path in home.rglob("*") if path.is_file()}
    assert left <= {(".cache", "gstreamer-1.0")}  # its registry of plug-ins
