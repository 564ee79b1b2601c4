"""`edge doctor`, end to end: this machine, fake boards, and machines with something broken."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys

import pytest
from board_states import STATES, make_whole_board
from rig.cameras import CSI
from samples import PLAN, ROOT, make_sidecar

from edge.assets import user_folder
from edge.engine.plan import write_plan

GPU_MISSING = {"TensorRT", "GPU"}
"""What a fake board that should have them lacks on a machine without a GPU."""


def report(done) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def named(checks, status) -> set[str]:
    return {name for name, check in checks.items() if check["status"] == status}


@pytest.fixture
def with_modules(tmp_path):
    """Give a function that makes an environment in which Python finds these modules first."""

    def make(**modules):
        folder = tmp_path / "shadow"
        folder.mkdir()
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text)
        paths = (str(folder), os.environ.get("PYTHONPATH"))
        return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}

    return make


@pytest.fixture
def light(with_modules, monkeypatch):
    """Put stand-ins in the place of the libraries, for tests that are of something else."""
    opencv = "def getBuildInformation(): return 'GStreamer: NO'\n"
    openvino = "class Core: available_devices = ['CPU']\n"
    plain = dict.fromkeys(("numpy", "onnx", "av", "simplejpeg", "onnxruntime"), "")
    env = with_modules(cv2=opencv, openvino=openvino, **plain)
    monkeypatch.setenv("PYTHONPATH", env["PYTHONPATH"])


def test_healthy_machine_ends_with_0_and_a_plain_line_for_each_check(edge):
    done = edge("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    *lines, closing = done.stdout.splitlines()
    assert all(re.match(r"(ok {7}|warning  )\S", line) for line in lines), lines
    assert re.fullmatch(r"\d+ ok, \d+ warnings?, 0 broken", closing)
    for name in ("device", "Python", "OpenVINO", "squeezenet8-int8", "EDGE_HOME"):
        assert any(line.startswith(f"ok       {name}: ") for line in lines), name


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize("name", STATES)
def test_board_is_looked_at_through_its_root(edge, tmp_path, name):
    state = STATES[name]
    make_whole_board(tmp_path / "board", name)
    done = edge("doctor", "--json", env={**os.environ, "EDGE_ROOT": str(tmp_path / "board")})
    checks = report(done)
    assert state.model in checks["device"]["detail"]
    assert f"{state.jetpack}, L4T {state.l4t}" in checks["JetPack"]["detail"]
    assert checks["power mode"]["detail"] == state.mode
    assert checks["EDGE_ROOT"]["status"] == "ok"
    is_old = int(state.l4t.partition(".")[0]) < 36
    assert named(checks, "broken") == (set() if is_old else GPU_MISSING)
    assert done.returncode == (0 if is_old else 3)


def test_broken_libraries_are_lines_and_end_nothing(edge, with_modules):
    env = with_modules(
        cv2="import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
        numpy="raise ImportError('libopenblas.so.0: cannot open shared object file')\n",
        tensorrt="raise ImportError('libnvinfer.so.10: cannot open shared object file')\n",
    )
    done = edge("doctor", "--json", env=env)
    checks = report(done)
    assert done.returncode == 3
    assert named(checks, "broken") >= {"OpenCV", "NumPy", "TensorRT"}
    assert checks["OpenCV"]["detail"] == "crashes when it is loaded (SIGSEGV)"
    assert "libopenblas" in checks["NumPy"]["detail"]
    assert "libnvinfer" in checks["TensorRT"]["detail"]
    assert done.stderr.startswith("edge: doctor: broken here: TensorRT, NumPy, OpenCV, ")
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("light")
def test_data_that_is_missing_is_named(edge, tmp_path):
    folder = tmp_path / "checkout"
    for name in ("edge", "engines", "calib"):
        leave = shutil.ignore_patterns("__pycache__", "imagenet-labels.txt")
        shutil.copytree(ROOT / name, folder / name, ignore=leave)
    (folder / "engines/squeezenet8.onnx").write_bytes(b"no model")
    paths = os.pathsep.join((str(folder), os.environ["PYTHONPATH"]))
    done = edge("doctor", env={**os.environ, "PYTHONPATH": paths}, cwd=folder)
    assert done.returncode == 3
    assert (
        "broken   bundled data: missing: engines/imagenet-labels.txt. Get edge again, "
        in done.stdout
    )
    assert "broken   squeezenet8: " in done.stdout
    assert done.stderr == (
        "edge: doctor: broken here: bundled data, squeezenet8. The report says what mends it\n"
    )


@pytest.mark.usefixtures("light")
def test_plan_of_another_machine_is_a_warning_and_a_damaged_one_broken(edge):
    path = user_folder("cache") / "old.plan"
    write_plan(path, PLAN, make_sidecar())
    done = edge("doctor")
    assert done.returncode == 0
    assert "warning  old.plan: for Orin Nano 8GB, TensorRT 10.3.0; nothing here" in done.stdout
    path.write_bytes(b"other")
    done = edge("doctor")
    assert done.returncode == 3
    assert "broken   old.plan: its bytes are not those that were built. Run: rm " in done.stdout


@pytest.mark.usefixtures("light")
def test_cameras_tell_their_formats_and_what_keeps_them_away(edge, cameras):
    cameras.plug(0, **CSI)
    cameras.plug(2)
    cameras.plug(10, deny="")
    done = edge("doctor", "--json", "--root", cameras.root, env=cameras.environment)
    checks = report(done)
    assert done.returncode == 3
    assert named(checks, "broken") == {"nvargus-daemon", "/dev/video10"}
    assert checks["/dev/video0"]["detail"] == (
        "vi-output, imx219 9-0010: RG10 to 3280x2464; edge run csi://0"
    )
    assert checks["/dev/video2"]["detail"] == ("HD Pro Webcam: MJPG to 1280x720, YUYV to 640x480")
    assert checks["/dev/video10"]["detail"] == "unknown: permission denied"
    assert checks["/dev/video10"]["mend"] == (
        "Run: sudo usermod -aG video $USER, then log in again"
    )
    assert checks["nvargus-daemon"]["mend"] == "Run: sudo systemctl restart nvargus-daemon"


@pytest.mark.usefixtures("light")
def test_settings_of_the_environment_are_shown(edge):
    done = edge("doctor", env={**os.environ, "EDGE_ENGIN": "openvino", "EDGE_MODEL": "squeezenet8"})
    assert "ok       EDGE_MODEL: squeezenet8\n" in done.stdout
    assert (
        "warning  EDGE_ENGIN: set, and nothing obeys it. Did you mean EDGE_ENGINE?\n" in done.stdout
    )
    assert done.returncode == 0


@pytest.mark.usefixtures("light")
@pytest.mark.parametrize(("columns", "is_coloured"), [(60, False), (120, True)])
def test_terminal_gets_a_grouped_table_that_fits(tmp_path, columns, is_coloured):
    make_whole_board(tmp_path, "nano")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "edge", "doctor", "--root", str(tmp_path)]
    env = {**os.environ, "COLUMNS": str(columns)}
    if is_coloured:
        env.pop("NO_COLOR")
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=env) as run:
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
    os.close(ours)
    assert run.returncode == 0
    assert (b"\x1b[33m" in shown) == is_coloured
    lines = re.sub(r"\x1b\[[0-9;]*[mK]", "", shown.decode()).splitlines()
    for title in ("Machine", "Heat, clocks and power", "Libraries", "Models and plans"):
        assert title in lines
    assert lines[-1].endswith(" 0 broken")
    commands = [line for line in lines if line.strip().startswith("Run: ")]
    assert all(len(line) <= columns for line in lines if line not in commands)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
