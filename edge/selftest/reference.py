"""The stored answers that every engine has to give, and how far it may be from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import CheckFailedError, ModelError
from edge.files import read_bytes, sha256_file
from edge.model.zoo import find_model
from edge.selftest.pictures import hash_pictures, make_pictures

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from edge.selftest.pictures import Pixels

    Probabilities = npt.NDArray[np.float64]

REFERENCE = "engines/selftest.json"
REFERENCE_VERSION = 1

TOLERANCES = {"fp32": 0.02, "fp16": 0.05, "int8": 0.08, "calibrated": 0.35}
"""Most that any probability may differ by; on 2000 such pictures these were the largest seen:

fp32: 0.000002 between two CPU engines. But a GPU since Ampere multiplies "fp32" in TF32, which
    keeps as many bits as fp16, and that cost 0.0054.
fp16: 0.0054 with sums in fp32; TensorRT may also sum in fp16.
int8, against the INT8 file's own answers: 0.023 between two CPU engines, which round ties and the
    last sum otherwise.
calibrated, against the fp32 answers: 0.22 for the INT8 file, calibrated on photographs.
"""
REPEATED = 1e-4
"""Most that the same engine may differ by when it sees the same picture again."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What was stored.

    Attributes:
        pictures: uint8, (N, H, W, 3), BGR: what the network sees.
        probabilities: catalogue name of a model to float64, (N, classes).
    """

    pictures: Pixels
    probabilities: dict[str, Probabilities]


def read_reference(path: Path) -> Reference:
    """Read the stored answers and make the pictures they belong to.

    Raises:
        InputError: there is no such file, or it is no reference.
        CheckFailedError: it belongs to other models, or the pictures come out otherwise here.
    """
    data = read_bytes(path)
    try:
        return _from_fields(json.loads(data), path)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path}: is no reference of edge selftest", hint="Install edge again"
        ) from error


def _from_fields(fields: dict[str, Any], path: Path) -> Reference:
    if fields["version"] != REFERENCE_VERSION:
        raise ValueError(fields["version"])
    height, width = fields["input_hw"]
    pictures = make_pictures(fields["pictures"], (height, width))
    if hash_pictures(pictures) != fields["pictures_sha256"]:
        raise CheckFailedError(
            f"{path}: its pictures come out otherwise on this machine",
            hint="Install NumPy and edge again",
        )
    probabilities = {}
    for name, model in fields["models"].items():
        if sha256_file(find_model(name).path()) != model["sha256"]:
            raise CheckFailedError(f"{path}: is of another {name}", hint="Install edge again")
        probabilities[name] = np.array(model["probabilities"], dtype=np.float64)
        if len(probabilities[name]) != len(pictures):
            raise ValueError(name)
    return Reference(pictures, probabilities)


def compare(given: Probabilities, wanted: Probabilities, tolerance: float) -> str:
    """Say how near the answers are.

    Args:
        given: float64, (N, classes).
        wanted: the same shape.
        tolerance: most that any probability may differ by.

    Raises:
        CheckFailedError: a top-1 differs, a probability is too far off, or one is no number.
    """
    if given.shape != wanted.shape:
        raise CheckFailedError(
            f"gave {given.shape[-1]} scores, {wanted.shape[-1]} are wanted", hint=REPORT_IT
        )
    difference = float(np.abs(given - wanted).max())
    said = f"probabilities differ by up to {difference:.2g} ({tolerance:g} is allowed)"
    others = int(np.count_nonzero(given.argmax(axis=1) != wanted.argmax(axis=1)))
    if others:
        raise CheckFailedError(
            f"{others} of {len(wanted)} pictures got another class, {said}", hint=REPORT_IT
        )
    if not difference <= tolerance:  # a NaN is too far as well
        raise CheckFailedError(said, hint=REPORT_IT)
    return f"{len(wanted)} of {len(wanted)} pictures got their class, {said}"


REPORT_IT = "Report it with the file of --json"
