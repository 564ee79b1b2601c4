"""L5 on the rig: `edge doctor` on a whole Jetson, with a plan that fits and one that does not."""

from __future__ import annotations

import json

import pytest
from board_states import make_whole_board, write

from edge.assets import user_folder
from edge.model.onnx_file import save_model

pytestmark = pytest.mark.rig


@pytest.fixture
def looked_at(gpu, tmp_path):
    """Give a function that gives what the doctor says of an Orin Nano, by name."""
    make_whole_board(tmp_path / "board", "orin_nano")
    write(tmp_path / "board", {"usr/local/cuda/include/cuda.h": ""})

    def run(**machine):
        done = gpu("doctor", "--json", "--root", tmp_path / "board",
                   rig_mode={"RIG_INTEGRATED": "1"}, **machine)  # fmt: skip
        checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        return done, checks

    return run


def test_whole_jetson_is_well_with_its_plan_until_tensorrt_is_another(
    gpu, looked_at, small_model, tmp_path
):
    save_model(small_model, tmp_path / "small.onnx")
    plan = user_folder("cache") / "small.plan"
    done = gpu("build", "small.onnx", "--precision", "fp16", "-o", plan, "--root",
               tmp_path / "board")  # fmt: skip
    assert done.returncode == 0, done.stderr
    done, checks = looked_at()
    assert (done.returncode, done.stderr) == (0, "")
    assert checks["TensorRT"]["detail"].startswith("10.3.0, ")
    assert checks["GPU"]["detail"].startswith("stand-in, compute capability 8.7")
    assert (checks["small.plan"]["status"], checks["CUDA"]["status"]) == ("ok", "ok")
    done, checks = looked_at(version="10.7.0")
    assert done.returncode == 0
    assert checks["small.plan"]["detail"] == "it is for TensorRT 10.3.0, this is 10.7.0"
