"""Write engines/selftest.json: which pictures `edge selftest` shows, and what ONNX Runtime says.

python tools/make_selftest_reference.py [-o engines/selftest.json]

Pictures are taken in the order of their numbers, class by class in turn, where the fp32 model is
sure of its answer: the self-test is to find broken engines, not pictures on the edge of a class.
"""

from __future__ import annotations

import argparse
import json
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.engine.base import open_engine
from edge.files import sha256_file
from edge.model.onnx_file import load_model
from edge.model.zoo import list_models
from edge.selftest.engines import classify_all
from edge.selftest.pictures import hash_pictures, make_pictures
from edge.selftest.reference import REFERENCE, REFERENCE_VERSION

if TYPE_CHECKING:
    from edge.model.zoo import CatalogueEntry
    from edge.selftest.pictures import Pixels
    from edge.selftest.reference import Probabilities

FP32 = "squeezenet8"
CANDIDATES = 2000
PICTURES = 16
MARGIN = 0.25
"""Least distance between the best probability and the next one."""
ENGINE = "onnxruntime"


def run(entry: CatalogueEntry, pictures: Pixels) -> Probabilities:
    """Give what the reference engine says, float64, (N, classes)."""
    model = load_model(entry.path())
    with open_engine(ENGINE, model) as engine:
        return classify_all(engine, model.contract, pictures)


def choose(probabilities: Probabilities) -> list[int]:
    """Give the numbers of the chosen pictures, sorted."""
    ranked = np.sort(probabilities, axis=1)
    is_sure = ranked[:, -1] - ranked[:, -2] > MARGIN
    best = probabilities.argmax(axis=1)
    queues = [np.flatnonzero(is_sure & (best == place)) for place in range(ranked.shape[1])]
    in_turn = (int(one) for turn in zip_longest(*queues) for one in turn if one is not None)
    return sorted(islice(in_turn, PICTURES))


def make_reference() -> dict[str, Any]:
    """Give the whole file."""
    bundled = {entry.name: entry for entry in list_models() if entry.file}
    input_hw = load_model(bundled[FP32].path()).contract.input_hw
    candidates = make_pictures(range(CANDIDATES), input_hw)
    numbers = choose(run(bundled[FP32], candidates))
    pictures = candidates[numbers]
    return {
        "version": REFERENCE_VERSION,
        "made_by": f"tools/{Path(__file__).name} with {ENGINE}",
        "input_hw": input_hw,
        "pictures": numbers,
        "pictures_sha256": hash_pictures(pictures),
        "models": {
            name: {
                "sha256": sha256_file(entry.path()),
                "probabilities": run(entry, pictures).round(6).tolist(),
            }
            for name, entry in bundled.items()
        },
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(REFERENCE))
    output = parser.parse_args().output
    text = json.dumps(make_reference())
    for mark in ('"pictures', '"models"', '"squeezenet8', "["):  # a line a picture, for a diff
        text = text.replace(f", {mark}", f",\n{mark}")
    output.write_text(f"{text}\n")


if __name__ == "__main__":
    main()
