"""Real photographs as a 720p camera codes them: decoding them small does not cost accuracy.

Single answers do change, as they do when the view moves by one pixel; how many are right must not.
"""

from __future__ import annotations

import csv

import cv2
import pytest

from edge.camera.base import open_source
from edge.engine.base import open_engine
from edge.frame import Jpeg
from edge.image import Fitter, to_pixels
from edge.model.onnx_file import load_model

pytestmark = pytest.mark.shared_data

ANSWERS_MOVED = 8
"""Two points of 400, as between fp32 and INT8."""


def enlarge(source, target) -> None:
    """Write a square picture as a JPEG of 1280 x 720, with its mirror image at its sides."""
    square = cv2.resize(cv2.imread(str(source)), (720, 720), interpolation=cv2.INTER_CUBIC)
    wide = cv2.copyMakeBorder(square, 0, 0, 280, 280, cv2.BORDER_REFLECT)
    cv2.imwrite(str(target), wide, [cv2.IMWRITE_JPEG_QUALITY, 90])


def test_small_decoding_keeps_the_answers_right(edge, shared_data, tmp_path):
    images = shared_data / "imagenet"
    with (images / "dev.csv").open() as file:
        truth = {row["file"]: int(row["class_index"]) for row in csv.DictReader(file)}
    (tmp_path / "wide").mkdir()
    for name in truth:
        enlarge(images / "dev" / name, tmp_path / "wide" / name)
    weights = shared_data / "models" / "squeezenet1.0-deepcompression.net"
    assert edge("models", "import", weights, "-o", "fp32.onnx").returncode == 0
    model = load_model(tmp_path / "fp32.onnx")
    fitter = Fitter(model.contract)
    right = {"whole": 0, "small": 0}
    with open_engine("auto", model) as engine, open_source(str(tmp_path / "wide")) as source:
        while (frame := source.read()) is not None:
            assert isinstance(frame.data, Jpeg)
            for way, data in (("whole", to_pixels(frame.data)), ("small", frame.data)):
                slot = engine.acquire()
                fitter.fit(data, slot.pixels)
                engine.submit(slot)
                right[way] += int(engine.collect().values.argmax()) == truth[frame.file]
    assert right["whole"] > 200
    assert abs(right["whole"] - right["small"]) <= ANSWERS_MOVED, right
