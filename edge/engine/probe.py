"""Reads the inner tensors of a network while pictures go through it, for calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper

from edge.engine.openvino import openvino_form
from edge.engine.runtimes import load_openvino
from edge.errors import ModelError
from edge.model.onnx_file import copy_proto

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from edge.model.onnx_file import Model


class TensorProbe:
    """Runs a folded model and gives float tensors by name.

    Args:
        model: with uint8 pixels as its input.
        names: the tensors to read.

    Raises:
        ModelError: OpenVINO does not take this network.
    """

    def __init__(self, model: Model, names: Sequence[str]) -> None:
        proto = copy_proto(openvino_form(model))
        del proto.graph.output[:]
        proto.graph.output.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
        )
        core = load_openvino().Core()
        options = {"INFERENCE_PRECISION_HINT": "f32"}
        try:
            compiled = core.compile_model(
                core.read_model(proto.SerializeToString()), "CPU", options
            )
        except RuntimeError as error:
            raise ModelError(
                f"{model.contract.name}: OpenVINO cannot run this network for calibration",
                hint="Export it with standard ONNX operators",
            ) from error
        self._request = compiled.create_infer_request()
        self._names = list(names)

    def read(self, pixels: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
        """Give the tensors for one picture.

        Args:
            pixels: uint8, (H, W, 3), BGR, of the network's input size.

        Returns:
            Name to float32 array; overwritten by the next call.
        """
        self._request.infer({0: pixels[np.newaxis]})
        return {
            name: self._request.get_output_tensor(index).data
            for index, name in enumerate(self._names)
        }
