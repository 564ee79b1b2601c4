"""Imports the CPU runtimes so that neither tells its maker of it over the network."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

CONVERTER = "openvino.tools.ovc"
NO_REPORTS = "ORT_DISABLE_TELEMETRY"


def load_openvino() -> Any:  # noqa: ANN401 - a package without types
    """Give the package `openvino`.

    Its own import brings a model converter along that edge has no use for, and which reports each
    start over the network (through `openvino_telemetry`), writes an identity into the user's home
    for that, and takes half of the import's time and a quarter of its memory. Where the converter
    cannot be imported, OpenVINO goes on without it.

    Raises:
        ModuleNotFoundError: OpenVINO is not installed.
    """
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment] # None bars it
    is_ours = CONVERTER not in modules
    if is_ours:
        modules[CONVERTER] = None
    try:
        import openvino
    finally:
        if is_ours:
            del modules[CONVERTER]
    return openvino


def load_onnxruntime() -> Any:  # noqa: ANN401 - a package without types
    """Give the package `onnxruntime`, whose newer versions report their use unless told not to.

    Raises:
        ModuleNotFoundError: ONNX Runtime is not installed.
    """
    os.environ.setdefault(NO_REPORTS, "1")
    import onnxruntime

    return onnxruntime


LOADERS = {"openvino": load_openvino, "onnxruntime": load_onnxruntime}
"""By the name of the package."""
