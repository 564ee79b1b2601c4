"""L2: the real TensorRT-RTX parser and builder, on the CPU, with the networks that we write."""

from __future__ import annotations

import dataclasses
import multiprocessing
from importlib import import_module

import onnx
import pytest
from networks import make_residual, make_vgg
from onnx import TensorProto, helper
from samples import make_contract

from edge.build.options import BuildOptions
from edge.build.plan import build_plan
from edge.engine.plan import Machine, read_plan, read_sidecar
from edge.engine.trt_api import BuildSettings, build
from edge.engine.trt_hooks import make_profiler
from edge.errors import BuildError, CheckFailedError, EdgeError, ModelError, UnavailableError
from edge.model.batch import Batch, open_batch
from edge.model.half import to_half
from edge.model.onnx_file import load_model
from edge.model.squeezenet import build_squeezenet, random_weights
from edge.model.zoo import resolve_model
from edge.quant.dataset import open_calibration_set
from edge.quant.quantize import QuantOptions, quantize

pytestmark = pytest.mark.rtx
pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed (extra rtx)")

RTX = BuildOptions(target="tensorrt-rtx", compute_capability="8.6")
SETTINGS = BuildSettings(target="tensorrt-rtx", precision="fp32", compute_capability="8.6")


def types(sidecar) -> dict[str, int]:
    counts: dict[str, int] = {}
    for layer in sidecar.convolutions():
        counts[layer.input_type] = counts.get(layer.input_type, 0) + 1
    return counts


def test_profiler_takes_times_through_the_real_base():
    profiler = make_profiler(import_module("tensorrt_rtx"))
    for name, took_ms in (("conv1", 0.5), ("pool1", 0.25), ("conv1", 1.5)):
        profiler.report_layer_time(name, took_ms)
    assert profiler.times_ms == {"conv1": [0.5, 1.5], "pool1": [0.25]}


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_int8_build_has_26_int8_convolutions(tmp_path, picture_folder, version):
    """From an fp32 model and pictures, pixels folded in: the layer table of the real builder."""
    side_px = 227 if version == "1.0" else 224
    labels = tuple(f"class {number}" for number in range(1000))
    contract = make_contract(input_hw=(side_px, side_px), resize_short_px=256, labels=labels)
    model = build_squeezenet(version, contract, random_weights(version, 1000, seed=1))
    plan = tmp_path / "model.plan"
    sidecar = build_plan(model, open_calibration_set(picture_folder), plan, RTX).sidecar
    assert types(sidecar) == {"Int8": 26}
    assert plan.stat().st_size > 1_000_000
    assert sidecar.model_sha256 == model.sha256()


@pytest.mark.parametrize(
    ("name", "precision", "kind"),
    [
        ("squeezenet8-int8", "int8", "Int8"),
        ("squeezenet8", "fp16", "Half"),
        ("squeezenet8", "fp32", "Float"),
    ],
)
def test_bundled_models_build_in_their_precision(tmp_path, name, precision, kind):
    plan = tmp_path / "model.plan"
    options = dataclasses.replace(RTX, precision=precision)
    sidecar = build_plan(load_model(resolve_model(name)), None, plan, options).sidecar
    assert types(sidecar) == {kind: 26}
    assert read_sidecar(plan).to_json() == sidecar.to_json()
    here = Machine(sidecar.tensorrt, "any", "8.6")
    assert read_plan(plan, here, model_sha256=sidecar.model_sha256)[0].precision == precision


MAKERS = {
    "squeezenet8": lambda: load_model(resolve_model("squeezenet8")),
    "vgg": lambda: make_vgg(make_contract()),
    "residual": lambda: make_residual(make_contract()),
}


@pytest.mark.parametrize("all_levels", [False, True])
@pytest.mark.parametrize("name", MAKERS)
def test_every_convolution_that_we_quantise_is_int8_with_int8_weights(
    picture_folder, name, all_levels
):
    """In both forms: its input is Int8, and the kernel has the weight's own node in it."""
    options = QuantOptions(fast=True, all_levels=all_levels)
    quantized = quantize(
        MAKERS[name](),
        open_calibration_set(picture_folder),
        progress=lambda _done: None,
        options=options,
    )
    settings = dataclasses.replace(SETTINGS, precision="int8")
    built = build(quantized.model.to_bytes(), settings, lambda *_: True)
    kernels = [layer for layer in built.layers if layer.is_convolution]
    nodes = [node for node in quantized.model.proto.graph.node if node.op_type == "Conv"]
    assert {layer.input_type for layer in kernels} == {"Int8"}
    assert len(kernels) == quantized.int8_convs == len(nodes)
    for node in nodes:
        (kernel,) = (layer for layer in kernels if node.input[1] in layer.onnx)
        assert node.name in kernel.onnx


def test_int8_build_is_refused_when_the_gpu_gets_float_convolutions(tmp_path):
    """SM75 builds float kernels in silence; the old plan stays as it was."""
    plan = tmp_path / "model.plan"
    plan.write_bytes(b"old")
    model = load_model(resolve_model("squeezenet8-int8"))
    with pytest.raises(CheckFailedError, match="26 of 26 convolutions are Float") as error:
        build_plan(model, None, plan, dataclasses.replace(RTX, compute_capability="7.5"))
    assert "conv1, fire2/squeeze1x1" in str(error.value)
    assert plan.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [plan]


@pytest.mark.parametrize(
    ("name", "precision", "kind"),
    [("squeezenet8-int8", "int8", "Int8"), ("squeezenet8", "fp16", "Half")],
)
def test_open_batch_keeps_the_precision(tmp_path, name, precision, kind):
    plan = tmp_path / "model.plan"
    options = dataclasses.replace(RTX, precision=precision, batch=Batch(1, 2, 8))
    sidecar = build_plan(load_model(resolve_model(name)), None, plan, options).sidecar
    assert types(sidecar) == {kind: 26}
    assert read_sidecar(plan).flags.batch == "1:2:8"


@pytest.mark.parametrize("batch", [None, Batch(1, 1, 8)])
@pytest.mark.parametrize(
    ("name", "precision", "kind"),
    [("squeezenet8-int8", "int8", "Int8"), ("squeezenet8", "fp16", "Half")],
)
def test_picked_classes_leave_every_convolution_as_it_was(tmp_path, name, precision, kind, batch):
    plan = tmp_path / "model.plan"
    options = dataclasses.replace(RTX, precision=precision, top_k=3, batch=batch)
    sidecar = build_plan(load_model(resolve_model(name)), None, plan, options).sidecar
    assert types(sidecar) == {kind: 26}
    assert any("top/" in node for layer in sidecar.layers for node in layer.onnx)
    read = read_sidecar(plan)
    assert (read.flags.top_k, read.contract.output) == (3, "probabilities")


def test_calibrator_is_refused(tmp_path, picture_folder):
    pictures = open_calibration_set(picture_folder)
    options = dataclasses.replace(RTX, calibrator=True, calibration_cache=tmp_path)
    with pytest.raises(UnavailableError, match=r"no calibrator any more\. Leave --calibrator away"):
        build_plan(load_model(resolve_model("squeezenet8")), pictures, tmp_path / "m.plan", options)


def test_open_batch_without_a_profile_is_refused(small_model):
    """So the profile above reached the builder."""
    network = open_batch(to_half(small_model)).to_bytes()
    with pytest.raises(BuildError, match="its input size is open"):
        build(network, SETTINGS, lambda *_: True)
    assert build(network, dataclasses.replace(SETTINGS, batch=(1, 1, 4)), lambda *_: True).plan


def test_progress_is_told(tmp_path):
    told = []
    options = dataclasses.replace(RTX, progress=lambda *step: told.append(step))
    build_plan(load_model(resolve_model("squeezenet8-int8")), None, tmp_path / "m.plan", options)
    assert told
    assert all(1 <= done <= total for _, done, total in told)


def test_killed_build_is_explained_and_leaves_the_old_plan(tmp_path):
    plan = tmp_path / "model.plan"
    plan.write_bytes(b"old")

    def kill(*_step: object) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    model = load_model(resolve_model("squeezenet8-int8"))
    with pytest.raises(BuildError, match="killed, most likely for want of memory"):
        build_plan(model, None, plan, dataclasses.replace(RTX, progress=kill))
    assert plan.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [plan]


def test_workspace_too_small_is_told_in_plain_words(tmp_path):
    options = dataclasses.replace(RTX, workspace_mib=1)
    with pytest.raises(BuildError, match=r"no kernel fits into the workspace\. Raise --workspace"):
        build_plan(load_model(resolve_model("squeezenet8-int8")), None, tmp_path / "m", options)


def test_unknown_compute_capability_names_the_known(tmp_path):
    options = dataclasses.replace(RTX, compute_capability="8.7")
    with pytest.raises(EdgeError, match=r"8\.7: TensorRT-RTX has no kernels for it.*8\.6, 8\.9"):
        build_plan(load_model(resolve_model("squeezenet8-int8")), None, tmp_path / "m", options)


def broken(kind: str, model) -> bytes:
    proto = onnx.ModelProto()
    proto.CopyFrom(to_half(model).proto)
    graph = proto.graph
    if kind == "truncated":
        return proto.SerializeToString()[:-2000]
    if kind == "empty":
        return b""
    if kind == "garbage":
        return b"not a network" * 99
    if kind == "unknown operator":
        graph.node[3].op_type = "Frobnicate"
    if kind == "wrong weight shape":
        graph.initializer[0].dims[0] *= 2
        graph.initializer[0].raw_data *= 2
    if kind == "missing initialiser":
        del graph.initializer[2:4]
    if kind == "open batch":
        graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    return proto.SerializeToString()


@pytest.mark.parametrize(
    "kind",
    ["truncated", "empty", "garbage", "unknown operator", "missing initialiser",
     "wrong weight shape", "open batch"],
)  # fmt: skip
def test_broken_network_gives_one_clear_line(small_model, kind):
    with pytest.raises((ModelError, BuildError)) as error:
        build(broken(kind, small_model), SETTINGS, lambda *_: True)
    line = str(error.value)
    assert "\n" not in line
    assert "TensorRT" in line
    if kind == "unknown operator":
        assert "Frobnicate" in line


def test_cancelled_build_says_so(small_model):
    network = to_half(small_model).to_bytes()
    with pytest.raises(BuildError, match="the build was cancelled"):
        build(network, SETTINGS, lambda *_: False)


def test_qdq_for_a_zero_point_is_refused_by_the_parser():
    """The rule that our quantiser keeps is really TensorRT's."""
    zero = helper.make_tensor("zero", TensorProto.INT8, [], [3])
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [0.5])
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])],
        [zero, scale],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(ModelError, match="zero point"):
        build(proto.SerializeToString(), SETTINGS, lambda *_: True)
