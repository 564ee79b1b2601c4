"""The magnitudes of activations, channel by channel, in one pass over the pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge.engine.probe import TensorProbe
from edge.errors import ModelError
from edge.quant.histogram import ChannelHistograms

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from edge.model.onnx_file import Model


def measure_ranges(
    model: Model,
    tensors: Sequence[str],
    pictures: Iterable[tuple[Path, npt.NDArray[np.uint8]]],
    apart: Container[int],
    progress: Callable[[int], None],
) -> dict[str, ChannelHistograms]:
    """Give the histograms of each channel, by tensor.

    Memory does not grow with the number of pictures.

    Args:
        model: folded, float.
        tensors: what to measure, each (1, C, ...).
        pictures: file and what the network sees of it, uint8 (H, W, 3).
        apart: numbers of pictures, from 0, that are checked and not counted.
        progress: called with the count of pictures done.

    Raises:
        ModelError: a value is not finite; names the tensor and the picture.
    """
    probe = TensorProbe(model, tensors)
    histograms = {name: ChannelHistograms() for name in tensors}
    for number, (path, view) in enumerate(pictures):
        for tensor, values in probe.read(view).items():
            if not np.isfinite(values).all():
                raise ModelError(
                    f"{model.contract.name}: tensor {tensor} is not finite on {path}",
                    hint="Check the weights of the model",
                )
            if number in apart:
                continue
            histograms[tensor].add(values)
        progress(number + 1)
    return histograms
