"""L5: `edge bench` with the real pycuda and a stand-in of TensorRT: copies, batches, hashes."""

from __future__ import annotations

import json

import pytest

from edge.engine.plan import read_sidecar
from edge.engine.tensorrt import open_plan
from edge.files import sha256_file
from edge.model.onnx_file import save_model

pytestmark = pytest.mark.rig

QUICK = ("--seconds", "0.5", "--no-start", "--json", "-")


@pytest.fixture
def plan(gpu, small_model, tmp_path):
    """Give a plan of the small model that takes up to four pictures."""
    save_model(small_model, tmp_path / "small.onnx")
    words = ("--precision", "fp16", "--batch", "1:2:4", "-o", "small.plan")
    done = gpu("build", "small.onnx", *words)
    assert done.returncode == 0, done.stderr
    return tmp_path / "small.plan"


def test_plan_is_measured_with_its_copies_and_named_by_its_hash(gpu, plan):
    done = gpu("bench", plan.name, *QUICK)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    (case,) = row["cases"]
    assert (case["engine"], case["device"], case["precision"]) == ("tensorrt", "stand-in", "fp16")
    assert case["sha256"] == {"plan": sha256_file(plan)}
    assert row["conditions"]["gpu"]["compute_capability"] == "8.7"
    assert "the rest is the copying" in " ".join(done.stderr.split())


def test_batches_are_swept_up_to_the_plans(gpu, plan):
    row = json.loads(gpu("bench", plan.name, "--batch", "1,4,8", *QUICK).stdout)
    one, four, eight = row["cases"]
    assert [case["batch"] for case in row["cases"]] == [1, 4, 8]
    assert {r["frames"] for r in one["rounds"]} == {len(r["latencies_us"]) for r in one["rounds"]}
    assert all(r["frames"] == 4 * len(r["latencies_us"]) for r in four["rounds"])
    assert eight["unavailable"].startswith("tensorrt: takes 4 pictures at once")


def test_layers_are_timed_by_the_plans_own_names(gpu, plan):
    """The stand-in says a quarter of a millisecond for the first layer, twice that for the next."""
    row = json.loads(gpu("bench", plan.name, "--layers", *QUICK).stdout)
    convolutions = read_sidecar(plan).layers
    assert row["cases"][0]["layers"] == [
        {"name": layer.name, "kind": layer.kind, "took_ns": 250_000 * (1 + number)}
        for number, layer in enumerate(convolutions)
    ]
    assert len(convolutions) > 1


@pytest.mark.usefixtures("rig", "fake_tensorrt")
def test_layers_are_not_timed_unless_asked_for(plan):
    with open_plan(plan, board=None) as (engine, _):
        engine.submit(engine.acquire())
        engine.collect()
        assert engine.read_layers() == ()


def test_model_is_named_with_the_plan_that_was_built_of_it(gpu, plan):
    words = ("bench", "small.onnx", "--engine", "tensorrt", *QUICK)
    (case,) = json.loads(gpu(*words).stdout)["cases"]
    assert set(case["sha256"]) == {"model", "plan"}
    assert case["sha256"]["model"] == sha256_file(plan.with_name("small.onnx"))
