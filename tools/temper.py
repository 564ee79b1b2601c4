"""Make a classifier's probabilities as sure as they are right, by one factor for all its scores.

    python tools/temper.py MODEL DATA -o OUT

DATA holds CLASS/*.jpg, pictures that the training has not seen. Label smoothing and mixup leave a
network far too modest; its answers stay what they are. The factor goes into the last convolution,
so that every engine gives the tempered scores. How good it is, is told of pictures that it was not
found with: each half's factor is tried on the other half.
Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from onnx import numpy_helper

from edge.engine.base import open_engine
from edge.errors import EdgeError, InputError
from edge.evaluate.tally import RELIABILITY_BINS
from edge.image import Fitter
from edge.model.onnx_file import Model, copy_proto, load_model, save_model
from edge.stats import Reliability, log_softmax

if TYPE_CHECKING:
    import numpy.typing as npt

    Scores = npt.NDArray[np.float64]
    Classes = npt.NDArray[np.int64]

FACTORS = np.geomspace(0.1, 10, 2001)


def read_scores(model: Model, data: Path) -> tuple[Scores, Classes]:
    """Give the scores of all pictures, (N, C), and their classes, (N,).

    Raises:
        InputError: a class has no pictures.
    """
    fitter, scores, classes = Fitter(model.contract), [], []
    with open_engine("openvino", model) as engine:
        for number, label in enumerate(model.contract.labels):
            files = sorted((data / label).glob("*.jpg"))
            if not files:
                raise InputError(f"{data / label}: no pictures", hint="Give CLASS/*.jpg")
            for file in files:
                slot = engine.acquire()
                fitter.fit(cv2.imread(str(file)), slot.pixels)
                engine.submit(slot)
                scores.append(engine.collect().values)
                classes.append(number)
    return np.array(scores, np.float64), np.array(classes)


def loss(scores: Scores, classes: Classes) -> float:
    """Give the mean negative log likelihood in nats."""
    above = scores - scores.max(axis=1, keepdims=True)
    right = above[np.arange(len(classes)), classes]
    return float((np.log(np.exp(above).sum(axis=1)) - right).mean())


def find_factor(scores: Scores, classes: Classes) -> float:
    """Give what the scores are to be multiplied with: the one of the least loss."""
    return float(min(FACTORS, key=lambda factor: loss(factor * scores, classes)))


def calibration_error(scores: Scores, classes: Classes) -> float:
    """Give the expected calibration error, 0 to 1, as `edge eval` does."""
    found = Reliability(RELIABILITY_BINS)
    for row, truth in zip(scores, classes, strict=True):
        best = int(row.argmax())
        found.add(float(np.exp(log_softmax(row)[best])), is_right=best == truth)
    return found.error()


def cross_checked(scores: Scores, classes: Classes) -> Scores:
    """Give each half's scores times the other half's factor."""
    tempered = np.empty_like(scores)
    for half in (0, 1):
        factor = find_factor(scores[1 - half :: 2], classes[1 - half :: 2])
        tempered[half::2] = factor * scores[half::2]
    return tempered


def temper(model: Model, factor: float) -> Model:
    """Give the same network with the last convolution's weights and bias times a factor.

    Behind that convolution come a ReLU and a mean alone, which keep a positive factor.
    """
    proto = copy_proto(model)
    last = next(node for node in reversed(proto.graph.node) if node.op_type == "Conv")
    stored = {item.name: item for item in proto.graph.initializer}
    made_by = {node.output[0]: node for node in proto.graph.node}
    weight = last.input[1]
    names = [weight if weight in stored else made_by[weight].input[1], last.input[2]]
    for name in names:
        array = (factor * numpy_helper.to_array(stored[name])).astype(np.float32)
        stored[name].CopyFrom(numpy_helper.from_array(array, name))
    return Model(proto, model.contract)


def main() -> int:
    """Find the factor, say what it does, and write the model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    try:
        model = load_model(asked.model)
        scores, classes = read_scores(model, asked.data)
        factor = find_factor(scores, classes)
        save_model(temper(model, factor), asked.output)
    except EdgeError as error:
        print(f"temper: {error}", file=sys.stderr)
        return 1
    checked = cross_checked(scores, classes)
    for what, found in (("as it is", scores), ("tempered, cross-checked", checked)):
        print(
            f"{what}: calibration error {calibration_error(found, classes):.2%},"
            f" loss {loss(found, classes):.4f} nats, {len(classes)} pictures"
        )
    print(f"{asked.output}: scores times {factor:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
