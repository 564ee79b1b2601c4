"""The pictures of TensorRT's own calibration are those of ours; rig/ shows that a GPU gets them."""

from __future__ import annotations

import numpy as np
from samples import make_contract

from edge.quant.calibrator import batches_of
from edge.quant.dataset import open_calibration_set


def test_batches_are_the_views_that_quantize_takes(picture_folder):
    pictures, contract, told = open_calibration_set(picture_folder), make_contract(), []
    batches = [batch.copy() for batch in batches_of(pictures, contract, lambda *s: told.append(s))]
    views = [view.copy() for view in pictures.views(contract)]
    assert [batch.shape for batch in batches] == [(1, 64, 64, 3)] * 6
    assert all(np.array_equal(batch[0], view) for batch, view in zip(batches, views, strict=True))
    assert told == [("calibrating", done, 6) for done in range(1, 7)]
