"""INT8 in float32 gives the integers' own scores, and is chosen where int8 products saturate."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import make_views, prepare_int8, run_onnx
from onnx import TensorProto, helper, numpy_helper
from samples import make_contract

from edge.board import SysRoot, multiplies_int8_exactly
from edge.engine.float_levels import with_float_levels
from edge.engine.openvino import openvino_form
from edge.model.onnx_file import Model, save_model
from edge.model.squeezenet import build_squeezenet, random_weights
from edge.quant.qdq import write_qdq

VIEWS = make_views(6, seed=4)
TIES = 1e-2
"""Sums in another order fall to the other side of a tie; what saturates is off by four times it."""
ON_X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="ARM multiplies int8 exactly")


def make_root(folder, flags: str) -> SysRoot:
    (folder / "proc").mkdir()
    (folder / "proc" / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu avx2 {flags}\n")
    return SysRoot(folder)


@pytest.fixture(scope="module")
def int8_model() -> Model:
    """Give a network whose activations use all 256 levels, so that sums of products are large."""
    plain = build_squeezenet("1.1", make_contract(), random_weights("1.1", 5, seed=3))
    return write_qdq(prepare_int8(plain, make_views(4), all_levels=True))


@ON_X86
@pytest.mark.parametrize(
    ("flags", "exact"),
    [("avx512f avx512_vnni", True), ("avx_vnni", True), ("avx512f avx512bw", False), ("", False)],
)
def test_vnni_decides(tmp_path, flags, exact):
    assert multiplies_int8_exactly(make_root(tmp_path, flags)) is exact


@ON_X86
def test_unknown_cpu_is_not_trusted(tmp_path):
    assert not multiplies_int8_exactly(SysRoot(tmp_path))


def test_scores_are_those_of_the_integers(int8_model):
    found = with_float_levels(int8_model)
    assert not [node for node in found.proto.graph.node if node.op_type == "QuantizeLinear"]
    np.testing.assert_allclose(run_onnx(found, VIEWS), run_onnx(int8_model, VIEWS), atol=1e-4)


@ON_X86
def test_openvino_is_given_no_quantiser_without_vnni(tmp_path, int8_model):
    found = openvino_form(int8_model, make_root(tmp_path, ""))
    assert "QuantizeLinear" not in {node.op_type for node in found.proto.graph.node}
    np.testing.assert_allclose(run_onnx(found, VIEWS), run_onnx(int8_model, VIEWS), atol=TIES)


@given(
    zero=st.one_of(
        st.integers(0, 255).map(np.uint8), st.integers(-128, 127).map(np.int8), st.none()
    ),
    scale=st.floats(2**-10, 8, width=32),
)
def test_any_grid_saturates_and_rounds_as_onnx_says(zero, scale):
    values = np.concatenate([np.linspace(-400, 400, 801), np.arange(-300, 300) + 0.5])
    values = (values * scale).astype(np.float32)
    stored = {"scale": np.array(scale, np.float32)}
    grid = ["scale"]
    if zero is not None:
        stored["zero"] = np.array(zero)
        grid.append("zero")
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", *grid], ["q"]),
            helper.make_node("DequantizeLinear", ["q", *grid], ["y"]),
        ],
        "grid",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [len(values)])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [len(values)])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 9
    model = Model(proto, make_contract())
    given_y, found_y = (
        onnxruntime.InferenceSession(one.to_bytes(), providers=["CPUExecutionProvider"]).run(
            None, {"x": values}
        )[0]
        for one in (model, with_float_levels(model))
    )
    np.testing.assert_array_equal(found_y, given_y)


def test_quantiser_whose_integers_are_read_otherwise_stays():
    """A float in the place of an integer would break the graph."""
    stored = {"scale": np.array(0.5, np.float32), "zero": np.array(0, np.uint8)}
    graph = helper.make_graph(
        [helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"])],
        "bare",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("q", TensorProto.UINT8, [4])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    model = Model(helper.make_model(graph), make_contract())
    assert [node.op_type for node in with_float_levels(model).proto.graph.node] == [
        "QuantizeLinear"
    ]


ON_HASWELL = """
import sys, numpy, openvino
network, views, scores = sys.argv[1:]
core, options = openvino.Core(), {"INFERENCE_PRECISION_HINT": "f32"}
compiled = core.compile_model(core.read_model(network), "CPU", options)
found = [compiled({0: view[None]})[0].copy() for view in numpy.load(views)]
numpy.save(scores, numpy.concatenate(found))
"""


@ON_X86
def test_cpu_that_adds_products_in_16_bits_gives_the_right_scores(tmp_path, int8_model):
    """OpenVINO on an emulated Haswell, which saturates; VPMADDUBSW is emulated bit for bit."""
    emulator = shutil.which("qemu-x86_64")
    if emulator is None:
        pytest.skip("qemu-x86_64 is not installed; .ci/run installs qemu-user")
    network, views, found = (tmp_path / name for name in ("n.onnx", "views.npy", "scores.npy"))
    save_model(openvino_form(int8_model, make_root(tmp_path, "")), network)
    np.save(views, VIEWS)
    words = [emulator, "-cpu", "Haswell", sys.executable, "-c", ON_HASWELL, network, views, found]
    subprocess.run(words, check=True, capture_output=True, timeout=150)
    np.testing.assert_allclose(np.load(found), run_onnx(int8_model, VIEWS), atol=TIES)
