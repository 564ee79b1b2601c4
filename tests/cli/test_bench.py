"""`edge bench`: from the command line to the table, the JSON, the page and the verdict."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time

import jsonschema
import pytest
from benches import Noise, make_report, make_result, make_rounds
from boards import make_board
from doubles import DEADLINE_S
from samples import ROOT, make_sidecar

from edge.bench.document import to_json
from edge.cli.bench_cases import Sweep, bounds_here
from edge.model.onnx_file import save_model

SCHEMA = json.loads((ROOT / "docs" / "schema" / "bench.json").read_text())
QUICK = ("--seconds", "0.3", "--no-start")


@pytest.fixture
def model(tmp_path, small_model):
    save_model(small_model, tmp_path / "small.onnx")
    return "small.onnx"


@pytest.fixture
def keep(tmp_path):
    """Give a function that writes a measurement that never was."""

    def write(name, *rounds):
        results = [make_result(f"case {n}", rounds=one) for n, one in enumerate(rounds)]
        (tmp_path / name).write_text(to_json(make_report(tmp_path, *results)))
        return name

    return write


def test_measurement_is_told_kept_and_shown(edge, model, tmp_path):
    done = edge("bench", model, "--engine", "openvino,null:1", "--compare", "--layers", *QUICK,
                "--json", "a.json", "--report", "page")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for words in ("small openvino", "small null:1", "network alone", "stable warm-up",
                  "layers: null: does not tell", "takes",
                  "page/report.html: the report"):  # fmt: skip
        assert words in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    row = json.loads((tmp_path / "a.json").read_text())
    jsonschema.validate(row, SCHEMA)
    assert [case["name"] for case in row["cases"]] == ["small openvino", "small null:1"]
    assert row["cases"][1]["engine_latency"]["min_ms"] >= 1
    assert row["cases"][0]["sha256"]["model"]
    assert (tmp_path / "page" / "latency.png").exists()


def test_reader_that_goes_away_leaves_the_file(edge, model, tmp_path):
    theirs, ours = os.pipe()
    os.close(theirs)
    edge("bench", model, "--engine", "null", *QUICK, "--json", "a.json", capture_output=False,
         stdout=ours, stderr=subprocess.DEVNULL)  # fmt: skip
    os.close(ours)
    jsonschema.validate(json.loads((tmp_path / "a.json").read_text()), SCHEMA)


def test_engines_may_be_apart_and_one_alone_is_compared_with_nothing(edge, model):
    done = edge("bench", model, "--engine", "null, steam", "--compare", *QUICK)
    assert "steam: no such engine" in done.stdout
    assert "nothing is compared: small null alone was measured" in done.stdout


def test_page_that_could_not_be_drawn_is_refused_before_the_measurement(edge, model, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['matplotlib'] = None\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = edge("bench", model, "--engine", "null", *QUICK, "--report", "page",
                env={**os.environ, "PYTHONPATH": path})  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("edge: matplotlib: not installed")


def wait_for(stream, words):
    """Read until these words have come."""
    read, until_s = b"", time.monotonic() + DEADLINE_S
    while words not in read:
        assert select.select([stream], [], [], until_s - time.monotonic())[0], read
        read += stream.read(4096)


@pytest.mark.parametrize("words", [("--no-start",), ("--source", "demo", "--seconds", "0.3")])
def test_interrupted_measurement_keeps_what_it_has(model, tmp_path, words):
    """With --source, it is interrupted after the rounds, in the camera loop."""
    command = [sys.executable, "-m", "edge", "bench", model, "--engine", "null:1", "--seconds",
               "600", *words, "--json", "a.json"]  # fmt: skip
    ours, theirs = os.openpty()  # what is being done is told to a terminal alone
    with (
        os.fdopen(ours, "rb", buffering=0) as told,
        (tmp_path / "out").open("wb") as out,
        subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=theirs) as process,
    ):
        os.close(theirs)
        wait_for(told, b"camera loop" if "--source" in words else b"part 3")
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130
    assert "Engine alone" in (tmp_path / "out").read_text()
    row = json.loads((tmp_path / "a.json").read_text())
    jsonschema.validate(row, SCHEMA)
    assert row["doubts"][0]["problem"] == "was interrupted before it was over"
    assert row["cases"][0]["start"]["unavailable"]
    assert row["cases"][0]["rounds"]


def test_json_on_stdout_is_pure(edge, model):
    done = edge("bench", model, "--engine", "null", "--json", "-", *QUICK)
    assert json.loads(done.stdout)["kind"] == "bench"
    assert "small null" in done.stderr


def test_threads_and_batches_are_swept(edge, model):
    words = ("--engine", "openvino", "--threads", "1,2", "--batch", "1,4", *QUICK, "--json", "-")
    row = json.loads(edge("bench", model, *words).stdout)
    assert [case["name"] for case in row["cases"]] == [
        "small openvino 1 thread",
        "small openvino 1 thread batch 4",
        "small openvino 2 threads",
        "small openvino 2 threads batch 4",
    ]
    refused = [case for case in row["cases"] if "unavailable" in case]
    assert [case["batch"] for case in refused] == [4, 4]
    assert "edge build MODEL --batch 1:1:4" in refused[0]["unavailable"]


def test_start_and_loop_are_measured_apart(edge, model, picture_folder):
    done = edge("bench", model, "--engine", "null", "--seconds", "0.2", "--source",
                picture_folder, "--json", "-")  # fmt: skip
    row = json.loads(done.stdout)
    assert len(row["cases"][0]["start"]["first_label_s"]) == 3
    assert row["loop"]["small null"]["frames"] == 6
    assert row["loop"]["small null"]["kind"] == "summary"
    assert "small null: whole loop" in done.stderr


def test_files_of_one_name_are_told_apart(edge, model, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / model).write_bytes((tmp_path / model).read_bytes())
    done = edge("bench", "a/small.onnx", "b/small.onnx", "a/small.onnx", "--engine", "null",
                "--json", "-", *QUICK)  # fmt: skip
    names = [case["name"] for case in json.loads(done.stdout)["cases"]]
    assert names == ["a/small.onnx null", "b/small.onnx null"]


def test_source_that_fails_leaves_what_was_measured(edge, model, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    done = edge("bench", model, "--engine", "null", "--source", "broken.mp4", "--json", "-",
                *QUICK)  # fmt: skip
    row = json.loads(done.stdout)
    assert row["loop"]["small null"]["unavailable"].startswith("broken.mp4: ")
    assert row["cases"][0]["rounds"]
    assert "broken.mp4: " in done.stderr


@pytest.fixture
def sweep(tmp_path, small_model):
    """Give a function that asks for a plan on an Orin Nano; its network is named by the sidecar."""

    def ask(precision, network="small.onnx"):
        sidecar = make_sidecar(precision=precision, model=str(tmp_path / network))
        (tmp_path / "a.plan.json").write_text(sidecar.to_json())
        root = make_board(tmp_path / "board", "orin_nano")
        return Sweep((str(tmp_path / "a.plan"),), ("auto",), (1, 8), (None,), "latency", root)

    save_model(small_model, tmp_path / "small.onnx")
    return ask


def test_bound_of_a_plan_is_in_its_precision_and_of_its_batch(sweep):
    """A float network calibrated to INT8 would beat the bound of FP16."""
    bounds = bounds_here(sweep("int8"))
    assert list(bounds) == ["a", "a batch 8"]
    assert {one.precision for one in bounds.values()} == {"int8"}
    assert bounds["a batch 8"].arithmetic_ms == pytest.approx(8 * bounds["a"].arithmetic_ms)
    assert bounds_here(sweep("fp16"))["a"].precision == "fp16"


def test_plan_without_its_network_is_measured_without_a_bound(sweep):
    """Plan and sidecar alone are copied to the boards of a fleet."""
    assert bounds_here(sweep("int8", network="elsewhere.onnx")) == {}


def test_prediction_is_called_a_bound(edge, model):
    done = edge("bench", "--predict", "orin-nano", "squeezenet8-int8")
    assert (done.returncode, done.stderr) == (0, "")
    assert "a lower bound of its time, no prediction of it" in " ".join(done.stdout.split())
    assert "published, unverified" in " ".join(done.stdout.split())
    assert "fire9/expand3x3" in done.stdout
    assert "130 MMAC" in done.stdout
    (one,) = json.loads(edge("bench", "--predict", "orin-nano", "--json", "-").stdout)["bounds"]
    assert (one["board"], one["precision"]) == ("Orin Nano 8GB", "int8")
    assert sum(layer["macs"] for layer in one["layers"]) == 129_553_088
    wrong = edge("bench", model, "--predict", "toaster")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("edge: toaster: no such board. Use one of: nano,")


def test_diff_of_the_same_is_no_change(edge, keep):
    files = keep("a.json", make_rounds(1)), keep("b.json", make_rounds(2))
    done = edge("bench", "diff", *files, "--fail-over", "20%")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no change" in done.stdout
    assert "could go unseen" not in done.stdout


def test_diff_shows_the_medians_that_the_measurements_told(edge, keep, tmp_path):
    """Of an even number of rounds, the median lies between two of them."""
    noise = Noise(part=0.2, round=0.2)
    files = [keep(f"{seed}.json", make_rounds(seed, noise=noise)) for seed in (1, 2)]
    rows = [json.loads((tmp_path / file).read_text()) for file in files]
    told = [f"{row['cases'][0]['engine_latency']['p50_ms']:.3f}" for row in rows]
    lines = edge("bench", "diff", *files, env={**os.environ, "COLUMNS": "80"}).stdout.splitlines()
    assert lines[1].split()[1:3] == told
    assert lines[1].startswith("(1) ")  # its name would be folded to a letter a line
    assert "(1) case 0" in lines


def test_diff_fails_on_a_regression(edge, keep):
    before = keep("a.json", make_rounds(1), make_rounds(2))
    after = keep("b.json", make_rounds(3, ms=1.2), make_rounds(4))
    done = edge("bench", "diff", before, after, "--fail-over", "5%")
    assert done.returncode == 3
    assert done.stderr.startswith("edge: b.json: slower by more than 5%: case 0. The table")
    assert "slower" in done.stdout
    assert edge("bench", "diff", before, after).returncode == 0
    assert edge("bench", "diff", after, before, "--fail-over", "5%").returncode == 0


def test_diff_says_what_it_could_not_have_seen(edge, keep):
    files = keep("a.json", make_rounds(1, parts=2)), keep("b.json", make_rounds(2, parts=2))
    done = edge("bench", "diff", *files, "--fail-over", "5")
    assert done.returncode == 0
    assert "cannot be told" in " ".join(done.stdout.split())
    assert "A change of 5% could go unseen in: case 0" in " ".join(done.stdout.split())


def test_diff_says_what_else_ran_under_the_same_name(edge, model):
    """Neither --throughput nor the engine that `auto` found is in a case's name."""
    words = ("bench", model, "--engine", "null", *QUICK)
    edge(*words, "--json", "a.json")
    edge(*words, "--throughput", "--json", "b.json")
    said = edge("bench", "diff", "a.json", "b.json").stdout
    assert "small null: aim: latency -> throughput" in said


def test_diff_of_nothing_in_common_is_refused(edge, keep, tmp_path):
    keep("a.json", make_rounds(1))
    other = make_result("other")
    (tmp_path / "b.json").write_text(to_json(make_report(tmp_path, other)))
    done = edge("bench", "diff", "a.json", "b.json")
    assert done.returncode == 1
    assert done.stderr.startswith("edge: a.json and b.json: have no case in common.")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nowhere.onnx",), 1, "edge: nowhere.onnx: no such file"),
        (("small.onnx", "--engine", "steam"), 1, "edge: steam: no such engine"),
        (("small.onnx", "--batch", "0"), 2, "is no list of whole numbers"),
        (("small.onnx", "--threads", "1,x"), 2, "is no list of whole numbers"),
        (("small.onnx", "--precision-goal", "much"), 2, "is no percentage"),
        (("small.onnx", "--engine", "null,"), 2, "'null,' is no list of engines"),
        (("--predict", "orin-nano", "--batch", "8"), 2, "so --batch says nothing"),
        (("--predict", "orin-nano", "--report", "page"), 2, "so --report says nothing"),
        (("small.onnx", "--json", "missing/a.json"), 1, "edge: missing/a.json: no such file or"),
        (("small.onnx", "--engine", "tensorrt", "--threads", "1"), 1, "--threads is for engines"),
        (("diff", "a.json"), 2, "Missing argument 'AFTER'"),
        (("diff", "small.onnx", "small.onnx"), 1, "edge: small.onnx: is no file of edge bench"),
        (("diff", "a.json", "b.json"), 1, "edge: a.json: no such file or folder"),
    ],
)
@pytest.mark.usefixtures("model")
def test_what_cannot_be_measured_is_said_in_one_line(edge, words, code, said):
    done = edge("bench", *words)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr
