"""What speaks against a calibration set, said before long work is done with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.engine.probe import TensorProbe
from edge.image import Fitter, crop_box
from edge.model.fold import fold
from edge.quant.measure import evenly

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet

FEW = 50
"""Pictures below which ranges depend on which ones they are."""

MOST_SEEN = 200
"""Pictures that are looked at, evenly spread."""

SOME, MOST = 0.1, 0.9
"""Shares of the pictures from which a thing is worth a word."""

BLANK = 4.0
"""Standard deviation inside a picture, in grey levels, below which it shows nothing."""

ALIKE = 6.0
"""Standard deviation over the pictures, in grey levels, below which they show one scene."""

ENLARGED = 1.5
"""Factor from which a picture is blown up."""

CELLS = 8
"""Cells a side of the thumbnail that pictures are compared by."""


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What one picture is like.

    Attributes:
        thumbnail: mean grey levels of its parts, float64 (`CELLS`, `CELLS`, 3).
        contrast: standard deviation of its grey levels.
        factor: by how much it is enlarged for the network; below 1 it is shrunk.
        label: what the float network takes it for.
    """

    thumbnail: npt.NDArray[np.float64]
    contrast: float
    factor: float
    label: str


def find_doubts(calibration: CalibrationSet, model: Model) -> list[str]:
    """Give what may spoil the ranges: a line each, with what to do.

    Args:
        calibration: at most `MOST_SEEN` of its pictures are looked at.
        model: fp32; its own answers tell whether the pictures show different things.

    Raises:
        ModelError: the network cannot be run.
        InputError: a picture cannot be read any more.
    """
    count = len(calibration.pictures)
    looks = list(_look_at(calibration, sorted(evenly(count, MOST_SEEN)), model))
    few = f"{count} pictures are few, so ranges depend on which ones. Give about 200"
    return [*([few] if count < FEW else []), *_doubts_of(looks)]


def _look_at(calibration: CalibrationSet, places: Sequence[int], model: Model) -> Iterator[_Look]:
    folded, contract = fold(model), model.contract
    probe = TensorProbe(folded, [folded.proto.graph.output[0].name])
    fitter = Fitter(contract)
    view = np.empty((*contract.input_hw, 3), dtype=np.uint8)
    for place in places:
        pixels = calibration.pictures[place].decode()
        _, _, height, width = crop_box(pixels.shape[0], pixels.shape[1], contract)
        fitter.fit(pixels, view)
        (scores,) = probe.read(view).values()
        yield _Look(
            thumbnail=_shrink(view),
            contrast=float(view.std()),
            factor=max(view.shape[0] / height, view.shape[1] / width),
            label=contract.labels[int(scores.argmax())],
        )


def _shrink(view: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Give the means of the picture's parts; fewer than `CELLS` where it has fewer pixels."""
    down, right = (min(CELLS, side) for side in view.shape[:2])
    rows = np.stack([part.mean(axis=0) for part in np.array_split(view, down)])
    return np.stack([part.mean(axis=1) for part in np.array_split(rows, right, axis=1)], axis=1)


def _doubts_of(looks: Sequence[_Look]) -> Iterator[str]:
    count = len(looks)
    blank = sum(look.contrast < BLANK for look in looks)
    if blank >= SOME * count:
        yield (
            f"{blank} of {count} pictures show next to nothing, black or of one colour."
            " Leave them out"
        )
    enlarged = sum(look.factor >= ENLARGED for look in looks)
    if enlarged >= SOME * count:
        yield (
            f"{enlarged} of {count} pictures are much smaller than the network's input and are"
            " enlarged. Give larger ones"
        )
    label, most = Counter(look.label for look in looks).most_common(1)[0]
    spread = float(np.std([look.thumbnail for look in looks], axis=0).mean())
    if spread < ALIKE and count > 1:
        yield "the pictures are nearly alike. Give different scenes that the camera will see"
    elif most >= MOST * count and count > 1:
        yield (
            f"{most} of {count} pictures are {label} to the model. Give pictures of its other"
            " classes too"
        )
