"""L5: a recording through the loop, the real pycuda and a stand-in of TensorRT, to its answers."""

from __future__ import annotations

import json
import os
import re

import pytest
from samples import make_picture, make_video

from edge.model.onnx_file import save_model

pytestmark = pytest.mark.rig


@pytest.fixture
def clip(tmp_path):
    return make_video(tmp_path / "clip.avi", frames=12)


@pytest.fixture
def plan(gpu, small_model, tmp_path):
    """Give a plan of the small model, in fp16."""
    save_model(small_model, tmp_path / "small.onnx")
    done = gpu("build", "small.onnx", "--precision", "fp16", "-o", "small.plan")
    assert done.returncode == 0, done.stderr
    return tmp_path / "small.plan"


def answers(done) -> list[list[tuple[str, float]]]:
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [[(guess["label"], guess["p"]) for guess in row["top"]] for row in rows]


MODES = [
    {"RIG_MODE": mode, "RIG_INTEGRATED": shared} for mode in ("eager", "lazy") for shared in "01"
]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: "-".join(mode.values()))
@pytest.mark.parametrize("model", ["squeezenet8-int8", "squeezenet8"])
def test_gpu_gives_the_same_guesses_as_the_reference(gpu, clip, model, mode):
    """Every frame of a recording, two in flight, from uint8 pixels to sorted guesses.

    Our ONNX Runtime engine rounds the biases of INT8 too, the stand-in leaves them float, so that
    ties fall otherwise and guesses that are nearly alike may change places.
    """
    words = ("run", clip, "--model", model, "--top", 8, "--json", "-", "--engine")
    reference = answers(gpu(*words, "onnxruntime"))
    found = answers(gpu(*words, "tensorrt", rig_mode=mode))
    assert len(found) == 12
    assert len({row[0][1] for row in reference}) > 6  # the frames differ, so a stale slot shows
    for one, other in zip(found, reference, strict=True):
        if model == "squeezenet8":
            assert [label for label, _ in one] == [label for label, _ in other]
            assert dict(one) == pytest.approx(dict(other), abs=1e-5)
        assert dict(one) == pytest.approx(dict(other), abs=0.02)


def test_plan_runs_with_its_sidecars_contract(gpu, clip, plan):
    done = gpu("run", clip.name, "--model", plan)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "clip.avi · small · tensorrt"
    sidecar = json.loads(plan.with_name("small.plan.json").read_text())
    seen = {name: sidecar[name] for name in ("device", "compute_capability", "cuda", "tensorrt")}
    assert seen == {
        "device": "stand-in", "compute_capability": "8.7", "cuda": "12.6", "tensorrt": "10.3.0",
    }  # fmt: skip
    assert sidecar["model"] == str(plan.with_name("small.onnx"))


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: "-".join(mode.values()))
def test_sources_that_share_a_batch_get_the_guesses_that_each_gets_alone(gpu, plan, mode):
    folders = [plan.with_name(name) for name in "abc"]
    for number, folder in enumerate(folders):
        folder.mkdir()
        for seq in range(8):
            make_picture(folder / f"{seq}.png", seed=10 * number + seq)
    words = ("--precision", "fp16", "--batch", "1:2:4", "-o", "batch.plan")
    assert gpu("build", "small.onnx", *words).returncode == 0

    def guesses(name: str, *sources: object, **machine: object):
        done = gpu("run", *sources, "--model", name, "--json", "-", **machine)
        assert done.returncode == 0, done.stderr
        for row in map(json.loads, done.stdout.splitlines()):
            yield (row["source"], row["seq"]), [(one["label"], one["p"]) for one in row["top"]]

    alone = {key: row for folder in folders for key, row in guesses("small.plan", folder.name)}
    together = dict(guesses("batch.plan", *(folder.name for folder in folders), rig_mode=mode))
    assert together.keys() == alone.keys()
    assert len({row[0][1] for row in alone.values()}) > 18  # so that a mix-up shows
    for key, wanted in alone.items():
        assert [label for label, _ in together[key]] == [label for label, _ in wanted]
        assert [p for _, p in together[key]] == pytest.approx([p for _, p in wanted], abs=1e-5)


def test_plan_that_picks_its_classes_gives_the_same_guesses(gpu, clip, plan):
    words = ("--precision", "fp32", "--top", 3, "-o", "top.plan")
    assert gpu("build", "small.onnx", *words).returncode == 0
    run = ("run", clip, "--top", 3, "--json", "-", "--model")
    all_scores, picked = (answers(gpu(*run, name)) for name in (plan, "top.plan"))
    assert len(picked) == 12
    for one, other in zip(picked, all_scores, strict=True):
        assert [label for label, _ in one] == [label for label, _ in other]
        assert [p for _, p in one] == pytest.approx([p for _, p in other], abs=1e-5)


@pytest.mark.parametrize(
    ("machine", "said"),
    [
        ({"version": "10.7.0"}, "it is for TensorRT 10.3.0, this is 10.7.0"),
        ({"version": "11.0.0"}, "it is for TensorRT 10.3.0, this is 11.0.0"),
    ],
)
def test_plan_that_does_not_fit_is_built_again_once(gpu, clip, plan, machine, said):
    before = plan.read_bytes()
    done = gpu("run", clip, "--model", "small.plan", **machine)
    assert done.stderr == f"edge: small.plan: {said}. Building it again\n"
    assert "clip.avi · small · tensorrt" in done.stdout
    assert plan.read_bytes() == before  # the stand-in builds the same for each version
    again = gpu("run", clip, "--model", "small.plan", **machine)
    assert (again.returncode, again.stderr) == (0, "")


def test_tampered_plan_is_never_loaded_but_built_again(gpu, clip, plan):
    whole = plan.read_bytes()
    plan.write_bytes(b"a stranger's code")
    done = gpu("run", clip, "--model", "small.plan")
    assert done.stderr == (
        "edge: small.plan: its bytes are not those that were built. Building it again\n"
    )
    assert (done.returncode, plan.read_bytes()) == (0, whole)


def test_plan_without_a_sidecar_is_refused_by_auto_too(gpu, clip, plan):
    plan.with_name("small.plan.json").unlink()
    done = gpu("run", clip, "--model", "small.plan")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "edge: small.plan: has no sidecar, so nobody knows what it is."
        " Build it here with edge build; never load a plan from a stranger\n"
    )


def test_rebuild_builds_a_plan_that_fits(gpu, clip, plan):
    sidecar = plan.with_name("small.plan.json")
    before = json.loads(sidecar.read_text())
    done = gpu("run", clip, "--model", "small.plan", "--rebuild")
    after = json.loads(sidecar.read_text())
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("build_s", "built_at"):
        before.pop(name)
        after.pop(name)
    assert after == before


def test_rebuild_says_when_the_model_has_changed(gpu, clip, plan, small_model):
    from edge.model.squeezenet import build_squeezenet, random_weights

    other = build_squeezenet("1.1", small_model.contract, random_weights("1.1", 5, seed=9))
    save_model(other, plan.with_name("small.onnx"))
    done = gpu("run", clip, "--model", "small.plan", "--rebuild")
    assert f"small.onnx: has changed since {plan.name} was built" in done.stderr
    assert done.returncode == 0
    assert gpu("run", clip, "--model", "small.plan").stderr == ""


def test_plan_whose_model_is_gone_cannot_be_built_again(gpu, clip, plan):
    plan.with_name("small.onnx").unlink()
    done = gpu("run", clip, "--model", "small.plan", version="10.7.0")
    assert done.returncode == 1
    first, last = done.stderr.splitlines()
    assert first.endswith("Building it again")
    assert last.startswith(f"edge: {plan.with_name('small.onnx')}: no such file")


@pytest.mark.usefixtures("plan")
def test_plan_of_a_model_is_built_once_and_kept(gpu, clip, tmp_path):
    first = gpu("run", clip, "--model", "small.onnx")
    assert first.stderr == "edge: small.onnx: building its plan for this GPU, once\n"
    assert "clip.avi · small · tensorrt" in first.stdout
    second = gpu("run", clip, "--model", "small.onnx")
    assert (second.returncode, second.stderr) == (0, "")
    newer = gpu("run", clip, "--model", "small.onnx", version="10.7.0")
    assert "it is for TensorRT 10.3.0, this is 10.7.0. Building it again" in newer.stderr
    kept = list((tmp_path / os.environ["EDGE_HOME"] / "cache").glob("*.plan"))
    assert [path.name.split("-")[0] for path in kept] == ["small"]


def lose(sidecar) -> None:
    sidecar.unlink()


def age(sidecar) -> None:
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "version": 0}))


@pytest.mark.parametrize(
    ("spoil", "said"), [(lose, "has no sidecar, so nobody knows"), (age, "has version 0")]
)
def test_kept_plan_is_built_again_when_its_sidecar_is_of_no_use(gpu, clip, plan, spoil, said):
    """A power cut between the two files, or an update of edge, must not cost the GPU for good."""
    gpu("run", clip, "--model", "small.onnx")
    (sidecar,) = (plan.parent / os.environ["EDGE_HOME"] / "cache").glob("*.plan.json")
    spoil(sidecar)
    done = gpu("run", clip, "--model", "small.onnx", "--engine", "tensorrt")
    assert done.returncode == 0
    first, second = done.stderr.splitlines()
    assert said in first
    assert first.endswith("Building it again")
    assert second == "edge: small.onnx: building its plan for this GPU, once"
    assert gpu("run", clip, "--model", "small.onnx").stderr == ""


def test_plan_whose_sidecar_cannot_be_read_is_told_once(gpu, clip, plan):
    age(plan.with_name("small.plan.json"))
    done = gpu("run", clip, "--model", "small.plan")
    assert done.returncode == 1
    assert done.stderr == (
        "edge: small.plan.json: has version 0, this edge reads 1."
        " Build the plan again with edge build\n"
    )


BROKEN = [
    ({"rig_mode": {"RIG_FAIL": "cuInit:1:100"}}, "cuda: no GPU can be used (cuInit failed"),
    ({"rig_mode": {"RIG_FAIL": "cuMemHostAlloc:1:2"}}, "cuda: the GPU has no memory left"),
    ({"rig_mode": {"RIG_FAIL": "cuEventSynchronize:3:700"}}, "cuda: the GPU failed (cuEventSynch"),
    ({"runtime": False}, "tensorrt: cannot start (it gives no reason)"),
    ({"memory": False}, "tensorrt: no memory for the plan (out of memory)"),
    ({"takes_frames": 5}, "tensorrt: the GPU did not take a frame (an illegal memory access"),
]


@pytest.mark.parametrize(("broken", "said"), BROKEN)
def test_broken_gpu_is_one_clear_line(gpu, clip, plan, broken, said):
    done = gpu("run", clip, "--model", plan, "--engine", "tensorrt", **broken)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"edge: {said}")
    assert ". " in line


@pytest.mark.parametrize(("broken", "said"), BROKEN)
def test_auto_goes_on_with_the_cpu_and_says_so(gpu, clip, plan, broken, said):
    done = gpu("run", clip, "--model", plan, **broken)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"edge: {said}")
    assert line.endswith("Going on with the CPU")
    assert "clip.avi · small · openvino\n" in done.stdout


def test_frames_after_a_loss_have_a_summary_of_their_own(gpu, clip, plan):
    """GPU and CPU times in one percentile would be a figure of neither."""
    done = gpu("run", clip, "--model", plan, "--json", "rows.jsonl", takes_frames=5)
    rows = (plan.parent / "rows.jsonl").read_text().splitlines()
    numbers = [json.loads(row)["seq"] for row in rows]
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (0, 11)
    on_cpu = int(re.search(r"small · openvino\n  (\d+) frames", done.stdout)[1])
    assert 0 < on_cpu < len(numbers)


@pytest.mark.usefixtures("plan")
def test_plan_that_tensorrt_refuses_twice_is_told_so(gpu, clip):
    done = gpu("run", clip, "--model", "small.plan", "--engine", "tensorrt", takes_plans=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == (
        "edge: the plan: TensorRT refuses it (the engine plan file is not compatible)."
        " Building it again"
    )


@pytest.mark.usefixtures("plan")
def test_plan_is_no_model_for_the_cpu(gpu, clip):
    done = gpu("run", clip, "--model", "small.plan", "--engine", "openvino")
    assert done.returncode == 1
    assert done.stderr == (
        "edge: small.plan: is a plan for the GPU, openvino runs ONNX models."
        " Use --engine tensorrt, or give the model\n"
    )
