"""L8: the proof that is meant for a GPU, on the stand-in driver: it can pass, and it can fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location

import pytest
from samples import ROOT

from edge.engine.cuda import Device

pytestmark = pytest.mark.rig

SCRIPT = ROOT / "tools" / "gpu_proof.py"
FEW = ("--frames", "30", "--cycles", "2")
FRAMES = "Two frames in flight keep their order and leave no memory behind"
CYCLES = "Open and close leave no memory behind"
THREADS = "Engines are used and closed by threads other than the one that opened them, all at once"
LOOP = "The loop gives each picture of a folder its own scores"
ALL = [FRAMES, CYCLES, THREADS, LOOP]


@pytest.fixture
def proof(rig):  # noqa: ARG001 - the script finds it as its driver
    """Give the script as a module, on the rig."""
    spec = spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers(report: str) -> dict[str, bool]:
    """Give the report's table of checks."""
    found = re.findall(r"^\| (.+?) \| (yes|\*\*no\*\*) \| .+ \|$", report, re.MULTILINE)
    return {name: answer == "yes" for name, answer in found}


def run(folder, *words: object) -> subprocess.CompletedProcess[str]:
    """Run the script with the driver that lies in a folder."""
    return subprocess.run(
        [sys.executable, SCRIPT, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "LD_LIBRARY_PATH": str(folder)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["eager", "lazy"])
@pytest.mark.parametrize("shared", ["0", "1"])
def test_all_holds_on_the_rig(proof, monkeypatch, capsys, mode, shared):
    monkeypatch.setenv("RIG_MODE", mode)
    monkeypatch.setenv("RIG_INTEGRATED", shared)
    assert proof.main([*FEW]) == 0
    report, errors = capsys.readouterr()
    assert (answers(report), errors) == (dict.fromkeys(ALL, True), "")


def test_report_of_the_rig_says_so_and_holds_no_times(rig, tmp_path):
    done = run(rig.folder, *FEW, "-o", tmp_path / "proof.md")
    assert (done.returncode, done.stderr) == (0, "")
    report = (tmp_path / "proof.md").read_text()
    assert report == done.stdout
    assert "| GPU | stand-in, compute capability 8.7, memory of its own |" in report
    assert report.endswith(
        "None: this ran on the stand-in driver of `tests/rig`, and its times are no GPU's.\n"
    )
    assert "µs" not in report


@pytest.mark.parametrize(
    ("fault", "name", "said"),
    [
        ("cuModuleLoadData:1:218", FRAMES, "cuda: cuModuleLoadData answers 218"),
        ("cuLaunchKernel:3:999", FRAMES, "cuda: cuLaunchKernel answers 999"),
        ("cuMemGetInfo:2:999", FRAMES, "cuda: the GPU failed (cuMemGetInfo failed"),
        ("cuLaunchKernel:3:700", FRAMES, "cuda: cuLaunchKernel answers 700"),
        ("cuEventSynchronize:5:700", FRAMES, "cuda: the GPU failed (cuEventSynchronize failed"),
        ("cuEventSynchronize:42:700", CYCLES, "cuda: the GPU failed (cuEventSynchronize failed"),
        ("cuLaunchKernel:100:999", THREADS, "cuda: cuLaunchKernel answers 999"),
        ("cuLaunchKernel:200:999", LOOP, "cuda: cuLaunchKernel answers 999"),
    ],
)
def test_failing_call_fails_its_check_alone(proof, monkeypatch, capsys, fault, name, said):
    monkeypatch.setenv("RIG_FAIL", fault)
    assert proof.main([*FEW]) == 1
    report, errors = capsys.readouterr()
    assert errors == f"gpu_proof: does not hold: {name}\n"
    assert answers(report) == {**dict.fromkeys(ALL, True), name: False}
    assert f"| {name} | **no** | {said}" in report


def test_wrong_answers_fail_every_check(proof, monkeypatch, capsys):
    """A GPU that reads one byte beside the picture's first."""
    right = proof.EchoSession.enqueue
    monkeypatch.setattr(
        proof.EchoSession, "enqueue",
        lambda session, pixels, *rest: right(session, pixels + 1, *rest),
    )  # fmt: skip
    assert proof.main([*FEW]) == 1
    report, errors = capsys.readouterr()
    assert errors.splitlines() == [f"gpu_proof: does not hold: {name}" for name in ALL]
    assert answers(report) == dict.fromkeys(ALL, False)
    assert "30 frames, 30 wrong" in report
    assert "60 answers, 0 right" in report


def test_stale_pictures_are_seen(proof, monkeypatch, capsys):
    """Every other picture stays on the host, so that the one before in its slot is answered."""
    uploads = []
    right = Device.upload

    def upload(device, buffer, rows) -> None:
        uploads.append(buffer)
        if len(uploads) % 4:
            right(device, buffer, rows)

    monkeypatch.setattr(Device, "upload", upload)
    assert proof.main([*FEW]) == 1
    assert not any(answers(capsys.readouterr().out).values())


def test_memory_that_is_not_freed_is_seen(proof, monkeypatch, capsys):
    kept = []

    def keep(device) -> None:
        kept.extend(device._buffers)
        device._drop()

    with monkeypatch.context() as patch:
        patch.setattr(Device, "_free", keep)
        code = proof.main(["--frames", "1", "--cycles", "30"])
    device = Device()
    device._buffers = kept
    device.close()
    assert code == 1
    assert answers(capsys.readouterr().out) == {**dict.fromkeys(ALL, True), CYCLES: False}


@pytest.mark.usefixtures("rig")
def test_times_are_taken_in_turns_and_told_of_a_gpu_alone(proof):
    times_ns = proof.measure_times(30)
    assert {name: len(each) for name, each in times_ns.items()} == {
        "submit and collect": 40, "the copies and a wait alone": 40,
    }  # fmt: skip
    assert proof.render_times({"a call": [1000, 2000, 3000]}).splitlines()[2:] == [
        "| a call | 3 | 2.0 µs | 3.0 µs |"
    ]


@pytest.mark.skipif(
    find_spec("pycuda") is None, reason="pycuda is not installed; .ci/run builds it"
)
def test_without_a_driver_one_line_says_so(tmp_path):
    (tmp_path / "libcuda.so.1").touch()
    refused(run(tmp_path, "-o", tmp_path / "proof.md"), "cuda: the GPU's driver is missing (")
    assert not (tmp_path / "proof.md").exists()


def test_without_a_gpu_one_line_says_so(rig, monkeypatch, tmp_path):
    monkeypatch.setenv("RIG_FAIL", "cuInit:1:100")
    refused(run(rig.folder, "-o", tmp_path / "proof.md"), "cuda: no GPU can be used (cuInit failed")
    assert not (tmp_path / "proof.md").exists()


def test_report_that_cannot_be_written_is_refused_before_the_work(rig, tmp_path):
    refused(run(rig.folder, "-o", tmp_path / "none" / "proof.md"), str(tmp_path / "none"))


def refused(done: subprocess.CompletedProcess[str], said: str) -> None:
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"gpu_proof: {said}")
