"""Opens the pictures that a command calibrates on, and says what speaks against them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edge.quant.doubts import find_doubts

if TYPE_CHECKING:
    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet

log = logging.getLogger(__name__)


def warn_of_doubts(name: str, pictures: CalibrationSet, model: Model) -> None:
    """Log a warning for each thing that may spoil the ranges.

    Args:
        name: of the pictures, as the person gave it.
        pictures: to calibrate on.
        model: fp32.

    Raises:
        InputError: the network cannot be run, or a picture cannot be read any more.
    """
    for doubt in find_doubts(pictures, model):
        log.warning("%s: %s", name, doubt)
