"""Real weights on real pictures, through the product's own path: decode, fit, engine, top-k.

The figures are those of `edge run FOLDER --json` on 400 labelled photographs of 400 ImageNet
classes; fp32 was measured independently with ONNX Runtime, INT8 may lose two points, for eight of
the 400 pictures may fall on either side.
"""

from __future__ import annotations

import csv
import json

import pytest

pytestmark = [pytest.mark.shared_data, pytest.mark.timeout(600)]

FP32 = {"1.0": (65.50, 85.25), "1.1": (64.25, 87.00)}
FILES = {"1.0": "squeezenet1.0-deepcompression.net", "1.1": "squeezenet1.1.ncnn.bin"}
ONE_PICTURE = 100 / 400


def accuracy(rows: list[dict], truth: dict[str, int]) -> tuple[float, float]:
    ranks = [[guess["index"] for guess in row["top"]] for row in rows]
    wanted = [truth[row["file"]] for row in rows]
    top1 = sum(top[0] == label for top, label in zip(ranks, wanted, strict=True))
    top5 = sum(label in top for top, label in zip(ranks, wanted, strict=True))
    return 100 * top1 / len(rows), 100 * top5 / len(rows)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_real_weights_keep_their_accuracy_in_fp32_and_int8(edge, shared_data, tmp_path, version):
    images = shared_data / "imagenet"
    with (images / "dev.csv").open() as file:
        truth = {row["file"]: int(row["class_index"]) for row in csv.DictReader(file)}
    steps = [
        ("models", "import", shared_data / "models" / FILES[version], "-o", "fp32.onnx"),
        ("quantize", "fp32.onnx", "--fast", "--calib", images / "calib", "-o", "int8.onnx"),
        ("run", images / "dev", "--model", "fp32.onnx", "--json", "fp32.jsonl"),
        ("run", images / "dev", "--model", "int8.onnx", "--json", "int8.jsonl"),
        ("eval", "int8.onnx", "--against", "fp32.onnx", "--data", images / "dev.csv",
         "--pictures", images / "dev", "--json", "eval.json"),
    ]  # fmt: skip
    for words in steps:
        done = edge(*words, timeout=400)
        assert done.returncode == 0, done.stderr
    fp32, int8 = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("fp32.jsonl", "int8.jsonl")
    )
    assert len(fp32) == len(int8) == len(truth) == 400

    assert accuracy(fp32, truth) == pytest.approx(FP32[version], abs=ONE_PICTURE)
    top1, top5 = accuracy(int8, truth)
    assert top1 > FP32[version][0] - 2
    assert top5 > FP32[version][1] - 2
    same = sum(
        a["top"][0]["index"] == b["top"][0]["index"] for a, b in zip(fp32, int8, strict=True)
    )
    assert same / 400 > 0.95

    told = json.loads((tmp_path / "eval.json").read_text())  # by the same code, so to the picture
    assert [100 * told[name] for name in ("top1", "top5")] == pytest.approx([top1, top5])
    assert [100 * told[name] for name in ("against_top1", "against_top5")] == pytest.approx(
        accuracy(fp32, truth)
    )
    assert told["agreement"] == pytest.approx(same / 400)


def test_video_gives_one_line_a_frame(edge, shared_data, tmp_path):
    done = edge("run", shared_data / "video" / "car-detection.mp4", "--json", "out.jsonl")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["seq"] for row in rows] == list(range(377))
