"""Small things that tests are made from: places, contracts, pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.model.contract import Contract

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
LABELS = ("apple", "bird", "cup", "door", "elk")


def make_contract(**changes: object) -> Contract:
    """Make a contract for a small network; keyword arguments replace its fields."""
    fields = {
        "name": "small",
        "input_hw": (64, 64),
        "resize_short_px": 72,
        "channel_order": "RGB",
        "mean": (123.0, 117.0, 104.0),
        "std": (58.0, 57.0, 56.0),
        "labels": LABELS,
        "licence": "Apache-2.0",
    }
    return Contract(**{**fields, **changes})


def make_picture(path: Path, *, seed: int = 0, height: int = 90, width: int = 120) -> Path:
    """Write a picture of smooth random colours; the suffix says the format."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return path
