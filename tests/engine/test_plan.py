"""Sidecars: written, read again, and a plan refused when anything differs."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from samples import PLAN, make_sidecar

from edge.engine.layers import Layer, parse_inspector, parse_layer_lines
from edge.engine.plan import (
    Machine,
    read_plan,
    read_sidecar,
    sidecar_path,
    write_plan,
)
from edge.engine.trt_hooks import make_log
from edge.errors import InputError, ModelError, PlanMismatchError

HERE = Machine(tensorrt="10.3.0", device="Orin Nano 8GB", compute_capability="8.7")


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "model.plan"
    write_plan(path, PLAN, make_sidecar())
    return path


def test_sidecar_survives_its_file(plan):
    sidecar = read_sidecar(plan)
    assert dataclasses.asdict(sidecar) == dataclasses.asdict(make_sidecar())
    assert [layer.name for layer in sidecar.convolutions()] == ["a"]


def test_plan_is_taken_when_everything_fits(plan):
    sidecar, data = read_plan(plan, HERE)
    assert (sidecar.device, data) == ("Orin Nano 8GB", PLAN)
    assert read_plan(plan, HERE, model_sha256="ab" * 32)[1] == PLAN


def test_plan_for_any_gpu_is_taken_on_each(tmp_path):
    """A portable plan of TensorRT-RTX names no device."""
    path = tmp_path / "model.plan"
    write_plan(path, PLAN, make_sidecar(device=None, compute_capability=None))
    assert read_plan(path, HERE)[1] == PLAN


@pytest.mark.parametrize(
    ("here", "said"),
    [
        ({"tensorrt": "10.7.0"}, "it is for TensorRT 10.3.0, this is 10.7.0"),
        ({"compute_capability": "11.0"},
         "it is for compute capability 8.7, this GPU has 11.0"),
        ({"device": "AGX Orin"}, "it was built on Orin Nano 8GB, this is AGX Orin"),
    ],
)  # fmt: skip
def test_plan_is_refused_when_it_is_for_something_else(plan, here, said):
    with pytest.raises(PlanMismatchError, match=f"{re.escape(said)}. Run it with --rebuild"):
        read_plan(plan, dataclasses.replace(HERE, **here))


def test_plan_is_refused_when_it_is_of_another_model(plan):
    with pytest.raises(PlanMismatchError, match="it was built from another model"):
        read_plan(plan, HERE, model_sha256="cd" * 32)


def test_plan_is_refused_when_a_byte_was_changed(plan):
    plan.write_bytes(PLAN[:-1] + b"!")
    with pytest.raises(PlanMismatchError, match="its bytes are not those that were built"):
        read_plan(plan, HERE)


def test_plan_is_refused_when_it_has_no_sidecar(plan):
    sidecar_path(plan).unlink()
    with pytest.raises(PlanMismatchError, match="has no sidecar"):
        read_plan(plan, HERE)


def test_missing_plan_is_no_mismatch(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_plan(tmp_path / "absent.plan", HERE)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}', "\x00\x01", '{"version": "x'])
def test_sidecar_that_is_none_is_refused_in_one_line(plan, text):
    sidecar_path(plan).write_text(text)
    with pytest.raises(ModelError, match="is no sidecar of a plan"):
        read_sidecar(plan)


def test_newer_sidecar_is_named(plan):
    fields = json.loads(sidecar_path(plan).read_text())
    sidecar_path(plan).write_text(json.dumps({**fields, "version": 2}))
    with pytest.raises(ModelError, match="has version 2, this edge reads 1"):
        read_sidecar(plan)


def test_newer_sidecar_is_named_when_it_has_other_fields(plan):
    fields = json.loads(sidecar_path(plan).read_text())
    sidecar_path(plan).write_text(json.dumps({**fields, "version": 2, "colour": "red"}))
    with pytest.raises(ModelError, match="has version 2"):
        read_sidecar(plan)


def test_layer_lines_give_name_kind_type_and_onnx_nodes():
    lines = [
        "nothing to see here",
        (
            "Name: conv1_myl0_2, LayerType: correlation, Inputs: [ { Name: x, Dimensions: [1,4],"
            " Strides: [256,1,32,4], Datatype: Int8, Format: (NHWC) Channel major format }],"
            " Constants: [ { Name: w, Dimensions: [64,4,3,3], Datatype: Int8 }], Outputs: [ {"
            " Name: y, Dimensions: [1,64,6,6], Datatype: Float }], StreamId: 0,"
            " Metadata: [ONNX Layer: conv1][ONNX Layer: conv1.weight.dq]"
        ),
        "Name: wait, LayerType: wait, Inputs: [], Outputs: [], StreamId: 0",
    ]
    assert parse_layer_lines(lines) == (
        Layer("conv1_myl0_2", "correlation", "Int8", ("conv1", "conv1.weight.dq")),
        Layer("wait", "wait", "", ()),
    )


def test_inspector_gives_the_same_shape_of_layers():
    told = {
        "Layers": [
            {
                "Name": "conv1 + relu",
                "LayerType": "CaskConvolution",
                "Inputs": [{"Name": "x", "Format/Datatype": "Thirty-two wide channel Int8 format"}],
                "Metadata": "[ONNX Layer: conv1][ONNX Layer: relu]",
            },
            "a bare name",
            {"Name": "odd", "LayerType": "Reformat", "Inputs": []},
        ]
    }
    assert parse_inspector(json.dumps(told)) == (
        Layer("conv1 + relu", "CaskConvolution", "Int8", ("conv1", "relu")),
        Layer("odd", "Reformat", "", ()),
    )


def test_layer_lines_of_tensorrt_10_are_read_too():
    """It prints them itself; without this, JetPack 6 would have refused every INT8 build."""
    convolution = (
        "Name: conv1 + relu, LayerType: CaskConvolution, Inputs: [ {{ Name: x, Location: Device,"
        " Dimensions: [1,3,224,224], Format/Datatype: {} }}], Outputs: [ {{ Name: y, Location:"
        " Device, Dimensions: [1,64,55,55], Format/Datatype: Channel major FP16 format }}],"
        " ParameterType: Convolution, {}Metadata: [ONNX Layer: conv1]\x1e[ONNX Layer: relu]"
    )
    told = {
        ("Half", ""): "Half",
        ("Thirty-two wide channel vectorized row major Int8 format", ""): "Int8",
        ("Row major linear FP32", ""): "Float",
        ("Channel major FP16 format where channel % 8 == 0", ""): "Half",
        ("N/A due to dynamic shapes", 'Weights: {"Type": "Int8", "Count": 864}, '): "Int8",
    }
    assert parse_layer_lines([convolution.format(*words) for words in told]) == tuple(
        Layer("conv1 + relu", "CaskConvolution", kind, ("conv1", "relu")) for kind in told.values()
    )


def test_log_keeps_a_layer_with_all_its_nodes(fake_tensorrt):
    log = make_log(fake_tensorrt)
    line = "Name: a, LayerType: b, Metadata: [ONNX Layer: c]\x1e[ONNX Layer: d]"
    told = f"Layers:\n{line}\n"
    log.log(fake_tensorrt.Severity.VERBOSE, told)
    assert log.layer_lines == [line]


@pytest.mark.parametrize(
    ("kind", "does"),
    [
        ("CaskConvolution", True),
        ("CaskConvActPool", True),
        ("FusedConvActConvolution", True),
        ("CudnnConvolution", True),
        ("correlation", True),
        ("gemm", True),
        ("CaskDeconvolutionV2", False),
        ("CaskPooling", False),
        ("Reformat", False),
        ("kgen", False),
    ],
)
def test_kernels_with_a_convolution_inside_are_told(kind, does):
    """SqueezeNet's first one is fused with the pool behind it, and counts all the same."""
    assert Layer("a", kind, "Int8", ()).is_convolution == does


def test_inspector_tells_the_type_of_an_open_batch_and_what_is_no_json():
    """Both as TensorRT 8.6 to 10 print them."""
    text = (
        '{"Layers": [{"Name": "conv1", "LayerType": "CaskConvolution", "Inputs": [{"Name": "x",'
        ' "Format/Datatype": "N/A due to dynamic shapes"}], "Weights": {"Type": "Int8"},'
        ' "Metadata": "[ONNX Layer: conv1]\x1e[ONNX Layer: relu]"}]}'
    )
    assert parse_inspector(text) == (Layer("conv1", "CaskConvolution", "Int8", ("conv1", "relu")),)


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"Layers": []}'])
def test_inspector_gives_nothing_for_anything_else(text):
    assert parse_inspector(text) == ()
