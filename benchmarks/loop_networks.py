"""One quantised network in the form that each library computes right and runs fast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

from edge.engine.onnxruntime import onnxruntime_form
from edge.engine.openvino import openvino_form
from edge.image import Fitter
from edge.model.onnx_file import Model, load_model, save_model
from edge.model.weights import expand_weights

if TYPE_CHECKING:
    from pathlib import Path

    from edge.model.contract import Contract

VIEWS_EVERY = 10
"""Frames of a clip from one view to the next."""


def write_networks(int8: Model, fp32: Path, folder: Path) -> dict[str, Path]:
    """Write the networks of all loops.

    Args:
        int8: what `edge quantize` wrote.
        fp32: the network that it was made of.
        folder: to write into.

    Returns:
        Form to file: `fp32`; `file`, as it is; `unsigned`, activations as uint8 with the same
        integers, for OpenVINO; `integer`, with integers around each convolution, without which ONNX
        Runtime computes them in float.
    """
    forms = {
        "fp32": expand_weights(load_model(fp32)),
        "file": int8,
        "unsigned": openvino_form(int8),
        "integer": onnxruntime_form(int8),
    }
    files = {form: folder / f"{form}.onnx" for form in forms}
    for form, model in forms.items():
        save_model(model, files[form])
    return files


def write_views(clip: Path, contract: Contract, file: Path) -> None:
    """Keep what the network sees of some frames of a clip, uint8 (N, H, W, 3) BGR."""
    fitter, views = Fitter(contract), []
    with av.open(str(clip)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % VIEWS_EVERY == 0:
                views.append(np.empty((*contract.input_hw, 3), np.uint8))
                fitter.fit(frame.to_ndarray(format="bgr24"), views[-1])
    np.save(file, np.stack(views))
