"""What holds of every int8 network, whatever its weights and pictures are."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import (
    make_residual,
    make_vgg,
    make_views,
    prepare_int8,
    run_engine,
    run_onnx,
    with_dead_channel,
)
from onnx import numpy_helper
from samples import ROOT, make_contract
from strategies import QUICK

from edge.model.fold import fold
from edge.model.onnx_file import save_model
from edge.model.weights import LEVELS
from edge.quant.dataset import open_calibration_set
from edge.quant.qdq import write_qdq
from edge.quant.quantize import QuantOptions, quantize

CONTRACT = make_contract()
FORMS = pytest.mark.parametrize("all_levels", [False, True])
MAKERS = {"vgg": make_vgg, "residual": make_residual}
NETWORKS = pytest.mark.parametrize("name", MAKERS)


def silent(done: int) -> None:
    """Take the progress and show nothing."""


def assert_sound(model) -> None:
    """Check what TensorRT refuses, and that weights reach as far below zero as above."""
    arrays = {item.name: numpy_helper.to_array(item) for item in model.proto.graph.initializer}
    for array in arrays.values():
        assert np.isfinite(array).all()
    for node in model.proto.graph.node:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            assert (arrays[node.input[1]] > 0).all()
            assert not arrays[node.input[2]].any()
        if node.op_type == "DequantizeLinear" and node.input[0] in arrays:
            assert arrays[node.input[0]].min() >= -LEVELS


@QUICK
@given(
    name=st.sampled_from(sorted(MAKERS)),
    seed=st.integers(0, 2**31),
    spread=st.floats(0, 6),
    all_levels=st.booleans(),
)
def test_network_is_sound_for_any_weights(name, seed, spread, all_levels):
    model = MAKERS[name](CONTRACT, seed=seed, spread=spread)
    network = prepare_int8(model, make_views(1, seed=seed), all_levels=all_levels)
    assert_sound(write_qdq(network))


@QUICK
@given(name=st.sampled_from(sorted(MAKERS)), seed=st.integers(0, 2**31))
def test_symmetric_form_has_one_zero_and_the_same_levels_on_both_sides(name, seed):
    """No Pad and no shifted bias but that of the pixels: what a convolution sees as 0 is 0."""
    network = prepare_int8(MAKERS[name](CONTRACT, seed=seed), make_views(1, seed=seed))
    model = write_qdq(network)
    assert all(site.bounds == (-128, 127) for site in network.sites.values())
    assert "Pad" not in {node.op_type for node in model.proto.graph.node}
    arrays = {item.name: numpy_helper.to_array(item) for item in model.proto.graph.initializer}
    behind = [conv for conv in network.convs.values() if conv.source in network.sites]
    assert behind
    for conv in behind:
        np.testing.assert_array_equal(arrays[f"{conv.name}/bias"], conv.bias.astype(np.float32))


@FORMS
@pytest.mark.parametrize(("name", "conv"), [("vgg", "a2"), ("residual", "one/first")])
def test_dead_channel_is_survived(picture_folder, name, conv, all_levels):
    """Its weights are all zero, so that nothing says their scale; its bias still counts."""
    model = with_dead_channel(MAKERS[name](CONTRACT), conv)
    pictures = open_calibration_set(picture_folder)
    options = QuantOptions(fast=True, all_levels=all_levels)
    quantized = quantize(model, pictures, progress=silent, options=options).model
    assert_sound(quantized)
    views = make_views(4, seed=9)
    wanted = run_onnx(fold(model), views)
    for engine in ("onnxruntime", "openvino"):
        given_scores = run_engine(engine, quantized, views)
        np.testing.assert_allclose(given_scores, wanted, atol=0.1 * np.abs(wanted).max())


@FORMS
@NETWORKS
def test_pictures_of_one_colour_are_survived(tmp_path, name, all_levels):
    """Every channel is constant, all pixels say the same, and a covariance is zero."""
    for grey in (0, 128, 255):
        cv2.imwrite(str(tmp_path / f"{grey}.png"), np.full((80, 80, 3), grey, dtype=np.uint8))
    model, pictures = MAKERS[name](CONTRACT), open_calibration_set(tmp_path)
    options = QuantOptions(fast=True, all_levels=all_levels)
    quantized = quantize(model, pictures, progress=silent, options=options).model
    assert_sound(quantized)
    views = np.stack([view.copy() for view in pictures.views(CONTRACT)])
    wanted, got = run_onnx(fold(model), views), run_onnx(quantized, views)
    np.testing.assert_allclose(got, wanted, atol=0.1 * np.abs(wanted).max())


@NETWORKS
def test_every_process_writes_the_same_bytes_however_many_threads_it_has(
    tmp_path, picture_folder, name
):
    """On one machine; on another kind of CPU a matrix product may sum in another order."""
    save_model(MAKERS[name](CONTRACT), tmp_path / "fp32.onnx")
    written = []
    for threads in ("1", "2"):
        file = tmp_path / f"{threads}.onnx"
        words = ["quantize", tmp_path / "fp32.onnx", "--calib", picture_folder, "-o", file]
        subprocess.run(
            [sys.executable, "-m", "edge", *words],
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": threads},
            cwd=ROOT,
        )
        written.append(file.read_bytes())
    assert written[0] == written[1]
