"""`edge eval`: its text, its JSON against the schema, its page, and its refusals."""

from __future__ import annotations

import json
import os
import re
import subprocess

import jsonschema
import pytest
from networks import make_int8
from samples import LABELS, ROOT, make_picture

from edge.model.onnx_file import save_model

SCHEMA = json.loads((ROOT / "docs" / "schema" / "eval.json").read_text())


@pytest.fixture
def bench(small_model, tmp_path):
    """Give a folder with a model, its INT8 form, and ten pictures of five classes, one damaged."""
    save_model(small_model, tmp_path / "small.onnx")
    int8 = make_int8(small_model)
    save_model(type(int8)(int8.proto, int8.contract.renamed("small-int8")), tmp_path / "int8.onnx")
    for number in range(10):
        folder = tmp_path / "data" / LABELS[number % 5]
        folder.mkdir(parents=True, exist_ok=True)
        make_picture(folder / f"{number}.jpg", seed=number)
    (tmp_path / "data" / "elk" / "bad.jpg").write_text("no picture")
    return tmp_path


def validate(row: dict) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(row)


def test_eval_says_accuracy_and_agreement_with_their_intervals(edge, bench):
    done = edge(
        "eval", "int8.onnx", "--data", "data", "--against", "small.onnx", "--json", "out.json"
    )
    assert done.returncode == 0, done.stderr
    share = r" +\d+\.\d\d %, 95 % interval \d+\.\d to \d+\.\d %"
    wanted = [
        r"small-int8 · openvino int8 · 10 pictures",
        r"  left out 1 that cannot be decoded: elk/bad.jpg",
        r"  classes by label: 5 of 5 have pictures",
        rf"  top-1{share}",
        r"  calibration error \d+\.\d % in 15 bins",
        *[r"  \d times \w+ was taken for \w+"] * done.stdout.count(" was taken for "),
        r"against small · openvino fp32",
        rf"  its top-1{share}",
        r"  difference +[+-]\d+\.\d\d points, [+-]\d+\.\d to [+-]\d+\.\d: small-int8 less this",
        rf"  same answer{share}",
        r"  KL\(small ‖ small-int8\) \d\.\d{4} nats a picture, \d\.\d{4} to \d\.\d{4}",
    ]  # fmt: skip
    assert re.fullmatch("\n".join(wanted) + "\n", done.stdout), done.stdout
    row = json.loads((bench / "out.json").read_text())
    validate(row)
    assert (row["n"], row["unreadable"], row["top5"]) == (10, ["elk/bad.jpg"], None)
    assert row["kl_of"] == ["small", "small-int8"]
    assert sum(one["n"] for one in row["per_class"]) == 10


@pytest.mark.usefixtures("bench")
def test_eval_tells_its_progress_a_line_a_tenth_where_no_terminal_is(edge):
    done = edge("eval", "small.onnx", "--data", "data")
    steps = [f"edge: evaluating {done} of 11" for done in range(2, 12)]
    assert done.stderr.splitlines() == steps


@pytest.mark.usefixtures("bench")
def test_eval_writes_json_alone_to_stdout(edge):
    done = edge("eval", "small.onnx", "--data", "data", "--json", "-")
    row = json.loads(done.stdout)
    validate(row)
    assert (row["agreement"], row["classes_named_by"]) == (None, "label")


@pytest.mark.usefixtures("bench")
def test_eval_without_classes_compares_alone(edge, picture_folder):
    done = edge(
        "eval", "small.onnx", "--data", picture_folder, "--against", "int8.onnx", "--json", "-"
    )
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    validate(row)
    assert row["top1"] is None
    assert row["agreement_low"] < row["agreement"] <= row["agreement_high"]
    refused = edge("eval", "small.onnx", "--data", picture_folder)
    assert refused.returncode == 1
    assert refused.stderr.startswith("edge: " + str(picture_folder) + ": 6 of 6 pictures lie in no")


@pytest.mark.usefixtures("bench")
def test_schema_refuses_what_is_no_evaluation(edge):
    row = json.loads(edge("eval", "small.onnx", "--data", "data", "--json", "-").stdout)
    for broken in ({**row, "top1": 2}, {**row, "version": 2}, {**row, "new": 1}):
        with pytest.raises(jsonschema.ValidationError):
            validate(broken)


def test_report_is_one_page_with_its_pictures(edge, bench):
    pytest.importorskip("matplotlib")
    done = edge("eval", "small.onnx", "--data", "data", "--against", "int8.onnx", "--report", "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("report: out/report.html\n")
    assert sorted(path.name for path in (bench / "out").iterdir()) == [
        "confusion.png", "reliability.png", "report.html"
    ]  # fmt: skip
    page = (bench / "out" / "report.html").read_text()
    assert "elk/bad.jpg" in page
    wrong = 10 - round(10 * float(re.search(r"(\d+\.\d\d) %", page)[1]) / 100)
    assert page.count("<figure class=mistake>") == wrong > 0
    assert not re.search(r'(src|href)="(?!data:)', page)  # needs nothing else


def test_one_picture_tells_no_interval_of_the_divergence(edge, bench):
    pytest.importorskip("matplotlib")
    (bench / "one.csv").write_text("data/elk/3.jpg,elk\n")
    make_picture(bench / "data" / "elk" / "3.jpg", seed=3)
    words = ("--data", "one.csv", "--against", "int8.onnx", "--report", "out", "--json", "a.json")
    done = edge("eval", "small.onnx", *words)
    assert re.search(r"nats a picture$", done.stdout, re.MULTILINE), done.stdout
    assert "inf" not in (bench / "out" / "report.html").read_text().partition("<figure")[0]
    row = json.loads((bench / "a.json").read_text())
    validate(row)
    assert (row["kl_low"], row["kl_high"]) == (None, None)


def test_reader_that_goes_away_leaves_the_file(edge, bench):
    theirs, ours = os.pipe()
    os.close(theirs)
    edge("eval", "small.onnx", "--data", "data", "--json", "out.json", capture_output=False,
         stdout=ours, stderr=subprocess.DEVNULL)  # fmt: skip
    os.close(ours)
    validate(json.loads((bench / "out.json").read_text()))


def test_report_that_fails_leaves_the_figures(edge, bench):
    pytest.importorskip("matplotlib")
    (bench / "out" / "report.html").mkdir(parents=True)
    words = ("eval", "small.onnx", "--data", "data", "--json", "out.json", "--report", "out")
    done = edge(*words)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("edge: out/report.html: is a folder")
    assert " pictures" in done.stdout
    validate(json.loads((bench / "out.json").read_text()))


def test_names_are_written_as_text_on_the_page(edge, small_model, tmp_path):
    pytest.importorskip("matplotlib")
    save_model(small_model, tmp_path / "small.onnx")
    (tmp_path / "data" / "apple").mkdir(parents=True)
    for number in range(5):
        make_picture(tmp_path / "data" / "apple" / f"<b>{number}&.png", seed=number)
    done = edge("eval", "small.onnx", "--data", "data", "--report", "out")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "apple/<b>" not in page
    assert "apple/&lt;b&gt;0&amp;.png" in page
