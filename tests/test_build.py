"""What a build refuses or says before and after TensorRT; the builder itself is in engine/."""

from __future__ import annotations

import logging
import signal

import pytest

from edge.board import SysRoot
from edge.build import _explain_death, _warn_of_little_memory
from edge.model.onnx_file import save_model


def test_build_says_what_to_do_when_tensorrt_is_missing(edge, small_model, tmp_path):
    save_model(small_model, tmp_path / "m.onnx")
    done = edge("build", "m.onnx", "--precision", "fp32", "-o", "m.plan")
    assert done.returncode == 1
    assert done.stderr == (
        "edge: tensorrt: not on this machine."
        " On a Jetson run: sudo apt install nvidia-jetpack, then ./install.sh\n"
    )
    assert not (tmp_path / "m.plan").exists()


@pytest.mark.parametrize(
    ("model", "words", "line"),
    [
        ("squeezenet8", (), ("squeezenet8: is fp32, INT8 wants pictures to calibrate on."
         " Give --calib FOLDER, or a model of edge quantize")),
        ("squeezenet8-int8", ("--precision", "fp16"),
         "squeezenet8-int8: is INT8 already, it cannot be built as fp16. Give the fp32 model"),
        ("squeezenet8-int8", ("--compute-capability", "8.6"),
         ("--compute-capability: TensorRT builds for the GPU that it runs on."
         " Leave it away, or use --target tensorrt-rtx")),
    ],
)  # fmt: skip
def test_build_refuses_what_does_not_fit_together(edge, tmp_path, model, words, line):
    done = edge("build", model, *words, "-o", "m.plan")
    assert (done.returncode, done.stderr) == (1, f"edge: {line}\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("squeezenet8-int8",), ("squeezenet8", "--precision", "fp16")])
def test_build_refuses_pictures_that_it_would_not_use(edge, picture_folder, tmp_path, words):
    """The sidecar would name a calibration that decided nothing."""
    done = edge("build", *words, "--calib", picture_folder, "-o", "m.plan")
    assert (done.returncode, done.stderr) == (
        1,
        "edge: --calib: only an fp32 model that is to become INT8 is calibrated. Leave it away\n",
    )
    assert list(tmp_path.iterdir()) == [picture_folder]


@pytest.mark.parametrize(
    ("available_kib", "swap_kib", "warns"),
    [(900_000, 0, True), (900_000, 4_000_000, False), (6_000_000, 0, False)],
)
def test_build_warns_when_memory_is_little_and_swap_is_none(
    tmp_path, caplog, available_kib, swap_kib, warns
):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text(
        f"MemTotal: 8000000 kB\nMemAvailable: {available_kib} kB\nSwapTotal: {swap_kib} kB\n"
    )
    with caplog.at_level(logging.WARNING):
        _warn_of_little_memory(SysRoot(tmp_path))
    assert bool(caplog.records) == warns


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [
        (-signal.SIGKILL, "want of memory"),
        (-signal.SIGSEGV, "crashed (SIGSEGV)"),
        (3, "without an answer (exit code 3)"),
    ],
)
def test_dead_builder_is_explained(exit_code, said):
    assert said in str(_explain_death(exit_code))
