"""TensorRT's own calibration reads our pictures from the GPU, one by one."""

from __future__ import annotations

import ctypes

import pytest

from edge.engine.trt_api import BuildSettings
from edge.errors import UnavailableError
from edge.model.fold import fold
from edge.quant.calibrator import build_calibrated
from edge.quant.dataset import open_calibration_set

pytestmark = pytest.mark.rig


def calibrate(picture_folder, small_model):
    settings = BuildSettings(target="tensorrt", precision="int8")
    pictures, contract = open_calibration_set(picture_folder), small_model.contract
    network = fold(small_model).to_bytes()
    return build_calibrated(network, settings, pictures, contract, b"", lambda *_: True)


@pytest.mark.parametrize("mode", ["eager", "lazy"])
def test_each_picture_is_on_the_gpu_when_the_builder_reads_it(
    rig, monkeypatch, fake_tensorrt, picture_folder, small_model, mode
):
    monkeypatch.setenv("RIG_MODE", mode)
    seen = []

    class Reading(fake_tensorrt.Builder):
        def build_serialized_network(self, network, config):
            while (addresses := config.int8_calibrator.get_batch(["pixels"])) is not None:
                assert rig.holds(addresses[0], 64 * 64 * 3)
                seen.append(ctypes.string_at(addresses[0], 64 * 64 * 3))
            return super().build_serialized_network(network, config)

    monkeypatch.setattr(fake_tensorrt, "Builder", Reading)
    assert calibrate(picture_folder, small_model).calibration_table == b"table"
    views = open_calibration_set(picture_folder).views(small_model.contract)
    assert seen == [view.tobytes() for view in views]
    assert rig.live() == (0, 0, 0)


def test_gpu_is_let_go_when_the_build_fails(rig, fake_tensorrt, picture_folder, small_model):
    del fake_tensorrt.IInt8EntropyCalibrator2
    with pytest.raises(UnavailableError, match="has no calibrator any more"):
        calibrate(picture_folder, small_model)
    assert rig.live() == (0, 0, 0)
