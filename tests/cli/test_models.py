"""`edge models`: list, show and import; the network is for the tests of the zoo."""

from __future__ import annotations

import json

import pytest

from edge.model.onnx_file import load_model, save_model
from edge.model.zoo import list_models

BUNDLED = ["squeezenet8", "squeezenet8-int8"]
ORIGIN = ["squeezenet1.0", "squeezenet1.1"]


def test_list_names_every_model_and_where_it_is(edge):
    done = edge("models", "list")
    assert (done.returncode, done.stderr) == (0, "")
    states = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()}
    assert states == dict.fromkeys(BUNDLED, "here") | dict.fromkeys(ORIGIN, "pull")


@pytest.mark.parametrize("home", ["/proc/none", "/dev/null/home", f"/{'x' * 300}"])
def test_list_needs_no_folder_and_pull_names_the_one_that_it_cannot_make(edge, monkeypatch, home):
    monkeypatch.setenv("EDGE_HOME", home)
    assert all(name in edge("models", "list").stdout for name in (*BUNDLED, *ORIGIN))
    done = edge("models", "pull", "squeezenet1.0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"edge: {home}/models: cannot be made (")
    assert done.stderr.endswith("Set EDGE_HOME to a folder of yours\n")


def test_list_is_json_when_asked(edge):
    done = edge("models", "list", "--json")
    found = json.loads(done.stdout)
    assert found["version"] == 1
    assert [row["name"] for row in found["models"]] == [entry.name for entry in list_models()]
    assert all(
        set(row) == {"name", "here", "size_bytes", "licence", "summary"} for row in found["models"]
    )


@pytest.mark.parametrize("name", BUNDLED)
def test_show_tells_what_a_bundled_model_says_of_itself(edge, name):
    done = edge("models", "show", name)
    assert (done.returncode, done.stderr) == (0, "")
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert rows["precision"] == ("int8" if name.endswith("int8") else "fp32")
    assert rows["output"].startswith("8 ")
    assert f"{name}.onnx" in rows["file"]


@pytest.mark.parametrize("name", BUNDLED)
def test_show_is_json_with_every_label_when_asked(edge, name):
    found = json.loads(edge("models", "show", name, "--json").stdout)
    model = load_model(next(entry.path() for entry in list_models() if entry.name == name))
    assert found["sha256"] == model.sha256()
    assert found["parameters"] == model.parameters > 500_000
    assert tuple(found["contract"]["labels"]) == model.contract.labels
    assert found["contract"]["version"] == 1


@pytest.mark.parametrize("name", ORIGIN)
def test_show_names_the_command_when_a_model_is_not_fetched_yet(edge, name):
    done = edge("models", "show", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"edge: {name}: not on this machine yet. Run: edge models pull {name}\n")


def test_show_reads_a_file(edge, small_model, tmp_path):
    save_model(small_model, tmp_path / "mine.onnx")
    done = edge("models", "show", "mine.onnx")
    assert "apple, bird, cup, door, elk" in done.stdout
    assert "short side to 72, middle 64 x 64, RGB" in done.stdout


def test_pull_says_that_a_bundled_model_is_ready(edge):
    done = edge("models", "pull", "squeezenet8")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("ready. Use it with: edge run demo --model squeezenet8\n")


def test_import_stores_the_contract_that_flags_give(edge, small_model, tmp_path):
    bare = small_model.proto.__class__()
    bare.CopyFrom(small_model.proto)
    del bare.metadata_props[:]
    (tmp_path / "bare.onnx").write_bytes(bare.SerializeToString())
    (tmp_path / "names.txt").write_text("\n".join("abcde"))
    done = edge(
        "models", "import", "bare.onnx", "-o", "mine.onnx", "--labels", "names.txt", "--size", 64,
        "--order", "BGR", "--mean", 1, 2, 3, "--std", 4, 5, 6, "--licence", "MIT",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mine.onnx: bare, ")
    assert "5 classes" in done.stdout
    contract = load_model(tmp_path / "mine.onnx").contract
    assert contract.labels == tuple("abcde")
    assert (contract.channel_order, contract.mean, contract.std) == ("BGR", (1, 2, 3), (4, 5, 6))
    assert contract.licence == "MIT"


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("file", "parameters"),
    [("squeezenet1.0-deepcompression.net", 1_248_424), ("squeezenet1.1.ncnn.bin", 1_235_496)],
)
def test_import_reads_the_published_files(edge, shared_data, tmp_path, file, parameters):
    done = edge("models", "import", shared_data / "models" / file, "-o", "out.onnx")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{parameters:,} parameters, 1000 classes" in done.stdout
    assert load_model(tmp_path / "out.onnx").parameters == parameters
