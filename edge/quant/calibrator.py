"""TensorRT's own calibration: pictures put on the GPU while its builder asks, or their cache."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from edge.engine.cuda import Device
from edge.engine.trt_api import build
from edge.engine.trt_hooks import Calibration

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from edge.engine.trt_api import BuildSettings, Built
    from edge.engine.trt_hooks import Progress
    from edge.model.contract import Contract
    from edge.quant.dataset import CalibrationSet


def build_calibrated(
    onnx_bytes: bytes,
    settings: BuildSettings,
    pictures: CalibrationSet,
    contract: Contract,
    table: bytes,
    progress: Progress,
) -> Built:
    """Build an INT8 plan from a float network; see `edge.engine.trt_api.build`.

    Args:
        onnx_bytes: a network with pixels as its input.
        settings: what to build.
        pictures: the same ones, in the same order, that `quantize` takes.
        contract: what the network sees of a picture.
        table: of an earlier calibration of the same network on the same pictures; empty at first.
        progress: also told of each picture.

    Raises:
        EdgeError: as `build` does; there is no GPU, or a picture cannot be read any more.
    """
    with closing(Device()) as device:
        buffer = device.allocate((1, *contract.input_hw, 3), np.uint8)

        def upload(batch: npt.NDArray[np.uint8]) -> int:
            buffer.host[...] = batch
            device.upload(buffer, 1)
            device.synchronize()
            return buffer.address

        batches = batches_of(pictures, contract, progress)
        with device.current():  # TensorRT reads the address in the same context
            return build(onnx_bytes, settings, progress, Calibration(batches, upload, table))


def build_from_cache(
    onnx_bytes: bytes, settings: BuildSettings, cache: bytes, progress: Progress
) -> Built:
    """Build an INT8 plan from a float network and the scales of an earlier calibration.

    Args:
        onnx_bytes: a network with pixels as its input.
        settings: what to build.
        cache: as `edge.engine.trt_cache` writes it, of this network and TensorRT.
        progress: as `build` takes it.

    Raises:
        EdgeError: as `build` does, also where TensorRT does not take the cache and finds no
            picture in its place.
    """
    return build(onnx_bytes, settings, progress, Calibration(iter(()), _no_upload, cache))


def _no_upload(_batch: npt.NDArray[np.uint8]) -> int:
    """Stand where no batch ever comes."""
    return 0


def batches_of(
    pictures: CalibrationSet, contract: Contract, progress: Progress
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield what the network sees of each picture, uint8 (1, H, W, 3) BGR, one buffer for all."""
    for done, view in enumerate(pictures.views(contract), start=1):
        progress("calibrating", done, len(pictures.files))
        yield view[np.newaxis]
