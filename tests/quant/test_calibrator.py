"""The pictures of TensorRT's own calibration are those of ours, and reach the GPU one by one."""

from __future__ import annotations

import sys
import types
from contextlib import contextmanager

import numpy as np
import pytest
from samples import make_contract

from edge.engine.trt_api import BuildSettings
from edge.errors import UnavailableError
from edge.quant.calibrator import batches_of, build_calibrated
from edge.quant.dataset import open_calibration_set


def test_batches_are_the_views_that_quantize_takes(picture_folder):
    pictures, contract, told = open_calibration_set(picture_folder), make_contract(), []
    batches = [batch.copy() for batch in batches_of(pictures, contract, lambda *s: told.append(s))]
    views = [view.copy() for view in pictures.views(contract)]
    assert [batch.shape for batch in batches] == [(1, 64, 64, 3)] * 6
    assert all(np.array_equal(batch[0], view) for batch, view in zip(batches, views, strict=True))
    assert told == [("calibrating", done, 6) for done in range(1, 7)]


class Buffer:
    address = 4096

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.host = np.zeros(shape, np.uint8)
        self.uploaded: list[np.ndarray] = []

    def upload_now(self) -> None:
        self.uploaded.append(self.host.copy())


class Device:
    opened: list[Device]

    def __init__(self) -> None:
        self.is_current = self.is_closed = False
        self.opened.append(self)

    def allocate(self, shape, dtype) -> Buffer:
        assert dtype == np.uint8
        self.buffer = Buffer(shape)
        return self.buffer

    @contextmanager
    def current(self):
        self.is_current = True
        try:
            yield
        finally:
            self.is_current = False

    def close(self) -> None:
        assert not self.is_current
        self.is_closed = True


@pytest.fixture
def device(monkeypatch):
    """Give the class of a GPU that keeps what was uploaded."""
    Device.opened = []
    cuda = types.ModuleType("edge.engine.cuda")
    cuda.Device = Device
    monkeypatch.setitem(sys.modules, "edge.engine.cuda", cuda)
    return Device


def calibrate(picture_folder, small_model, **changes: object):
    from edge.model.fold import fold

    settings = BuildSettings(**{"target": "tensorrt", "precision": "int8", **changes})
    pictures = open_calibration_set(picture_folder)
    network = fold(small_model).to_bytes()
    contract = small_model.contract
    return build_calibrated(network, settings, pictures, contract, b"", lambda *_: True)


@pytest.mark.usefixtures("fake_tensorrt")
def test_each_picture_is_uploaded_and_the_gpu_let_go(device, picture_folder, small_model):
    built = calibrate(picture_folder, small_model)
    (opened,) = device.opened
    views = open_calibration_set(picture_folder).views(small_model.contract)
    for uploaded, view in zip(opened.buffer.uploaded, views, strict=True):
        assert np.array_equal(uploaded[0], view)
    assert opened.is_closed
    assert built.calibration_table == b"table"


def test_gpu_is_let_go_when_the_build_fails(device, fake_tensorrt, picture_folder, small_model):
    del fake_tensorrt.IInt8EntropyCalibrator2
    with pytest.raises(UnavailableError, match="has no calibrator any more"):
        calibrate(picture_folder, small_model)
    assert device.opened[0].is_closed
