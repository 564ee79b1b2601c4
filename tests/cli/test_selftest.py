"""`edge selftest`: the table, the report and the exit code, in a program of its own."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from boards import make_board
from samples import ROOT

from edge.selftest.networks import VARIANTS

OF_TENSORRT = {variant.title for variant in VARIANTS if variant.wants_tensorrt}
NEEDS_A_NETWORK = {
    *(variant.title for variant in VARIANTS),
    "frames in flight", "another thread", "several engines", "memory", "demo",
}  # fmt: skip


def by_status(report, status):
    return {check["name"] for check in report["checks"] if check["status"] == status}


@pytest.fixture
def copied(tmp_path):
    """Give a copy of edge that a test may spoil; `python -m edge` finds it first."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("edge", "engines", "calib"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    return tmp_path


def spoil(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.timeout(400)
def test_healthy_machine_without_a_gpu_passes(edge, tmp_path):
    done = edge("selftest", "--engine", "openvino", "--json", "report.json", timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads((tmp_path / "report.json").read_text())
    assert by_status(report, "failed") == set()
    assert by_status(report, "passed") >= NEEDS_A_NETWORK - OF_TENSORRT | {"reference answers"}
    assert by_status(report, "not tested") >= OF_TENSORRT | {"GPU", "shared memory"}
    assert report["version"] == 1
    assert report["asked"] == report["ran"]["engine"] == "openvino"
    assert not report["ran"]["on_gpu"]
    assert report["ran"]["version"] == report["machine"]["versions"]["openvino"]
    assert all(check["seconds"] >= 0 and check["detail"] for check in report["checks"])
    for name in by_status(report, "not tested"):
        assert name in done.stdout.replace("\n", " ").split("Not tested here: ")[1]
    assert "nothing here was proven or timed on a GPU." in done.stdout.replace("\n", " ")


def test_tensorrt_that_was_asked_for_and_is_missing_fails_with_its_reason(edge):
    done = edge(
        "selftest", "--engine", "tensorrt", "--json", "-", env={**os.environ, "COLUMNS": "80"}
    )
    report = json.loads(done.stdout)
    assert done.returncode == 3
    assert by_status(report, "failed") == {"GPU"}
    assert by_status(report, "not tested") >= NEEDS_A_NETWORK
    assert report["checks"][0]["detail"].startswith("tensorrt: not on this machine. On a Jetson")
    assert report["ran"] is None
    assert done.stderr.endswith(
        f"edge: selftest: 1 of {len(report['checks'])} checks failed: GPU. The table says why\n"
    )
    table = done.stderr.splitlines()[:-1]
    assert (
        table[0] == "GPU                     failed     tensorrt: not on this machine. On a Jetson"
    )
    assert max(len(line) for line in table) <= 80


def test_driver_that_crashes_is_a_failed_check_and_not_the_end(edge, tmp_path):
    package = tmp_path / "shadow" / "pycuda"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "driver.py").write_text("import os\nos.abort()\n")
    paths = (package.parent, ROOT / "tests" / "fakes", os.environ.get("PYTHONPATH", ""))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(path) for path in paths if path)}
    done = edge("selftest", "--engine", "tensorrt", "--json", "-", env=env)
    report = json.loads(done.stdout)
    assert (done.returncode, by_status(report, "failed")) == (3, {"GPU"})
    assert report["checks"][0]["detail"] == ("TensorRT: crashed (SIGABRT). Check the GPU's driver")


def test_board_is_named_and_its_rails_are_read(edge, tmp_path):
    make_board(tmp_path / "root", "agx_orin")
    done = edge("selftest", "--engine", "tensorrt", "--json", "-", "--root", "root")
    report = json.loads(done.stdout)
    assert report["machine"]["board"] == {"module": "AGX Orin", "soc": "tegra234", "l4t": "36.4.7"}
    assert "power" in by_status(report, "passed")


def test_engine_with_wrong_answers_is_named_and_exits_with_3(edge, copied):
    spoil(copied / "edge" / "engine" / "openvino.py", ".reshape(-1)", ".reshape(-1)[::-1]")
    done = edge("selftest", "--engine", "openvino", "--json", "-", timeout=300)
    report = json.loads(done.stdout)
    assert done.returncode == 3
    assert by_status(report, "failed") == {v.title for v in VARIANTS} - OF_TENSORRT
    assert by_status(report, "not tested") >= {"frames in flight", "demo", "memory"}
    assert "Traceback" not in done.stderr
    assert "pictures got another class" in report["checks"][2]["detail"]
