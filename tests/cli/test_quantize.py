"""`edge quantize`: an int8 file beside the fp32 one, or nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from networks import make_residual
from samples import make_contract, make_picture

from edge.model.onnx_file import load_model, save_model

INTERRUPTED = 130
JUDGES = 40


def assert_warned_of_few(done, folder, count=6):
    assert done.returncode == 0, done.stderr
    few = f"{count} pictures are few, so ranges depend on which ones. Give about 200"
    assert done.stderr.splitlines()[0] == f"edge: {folder}: {few}"


@pytest.fixture
def small_onnx(tiny_model, tmp_path):
    path = tmp_path / "small.onnx"
    save_model(tiny_model, path)
    return path


@pytest.fixture
def judges(tmp_path):
    """Give a folder of pictures that calibrate nothing."""
    folder = tmp_path / "judges"
    folder.mkdir()
    for number in range(JUDGES):
        make_picture(folder / f"{number}.png", seed=100 + number)
    return folder


def test_quantize_writes_an_int8_model_that_runs(edge, small_onnx, picture_folder, tmp_path):
    done = edge("quantize", small_onnx, "--fast", "--calib", picture_folder, "-o", "int8.onnx")
    assert_warned_of_few(done, picture_folder)
    size_bytes = (tmp_path / "int8.onnx").stat().st_size
    assert done.stdout == (
        f"int8.onnx: 7 INT8 convolutions, {size_bytes:,} bytes, calibrated on 6 pictures\n"
    )
    assert load_model(tmp_path / "int8.onnx").is_int8
    ran = edge("run", picture_folder, "--model", "int8.onnx")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "6 frames, 0 dropped" in ran.stdout


@pytest.mark.parametrize("option", ["-o", "--report", "--tensorrt-cache"])
def test_quantize_refuses_a_name_that_is_too_long_before_the_work(
    edge, small_onnx, picture_folder, option
):
    given = ["-o", "int8.onnx", option, "x" * 300]
    done = edge("quantize", small_onnx, "--fast", "--calib", picture_folder, *given)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"edge: {'x' * 300}: File name too long. Check the path\n"


def test_quantize_uses_its_table_again_and_measures_when_something_differs(
    edge, small_onnx, picture_folder, tmp_path
):
    words = ("quantize", small_onnx, "--calib", picture_folder, "-o")
    first = edge(*words, "one.onnx")
    again = edge(*words, "one.onnx")
    given = edge(*words, "two.onnx", "--table", "one.calib.json")
    assert again.stdout == f"{first.stdout}measured before: one.calib.json\n"
    assert given.stdout.endswith("\nmeasured before: one.calib.json\n")
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
    table = (tmp_path / "one.calib.json").read_bytes()
    assert (tmp_path / "two.calib.json").read_bytes() == table
    other = edge(*words, "one.onnx", "--symmetric")
    said = "edge: one.calib.json: is of other options. Measuring again"
    assert other.stderr.splitlines()[0] == said
    assert (tmp_path / "one.calib.json").read_bytes() != table
    refused = edge(*words, "two.onnx", "--symmetric", "--table", "two.calib.json")
    assert (refused.returncode, refused.stderr) == (
        1,
        ("edge: two.calib.json: is of other options."
         " Leave --table away, or give what the table was made with\n"),
    )  # fmt: skip
    assert (tmp_path / "two.calib.json").read_bytes() == table


def test_quantize_writes_a_cache_alone(edge, small_onnx, picture_folder, tmp_path):
    done = edge("quantize", small_onnx, "--calib", picture_folder, "--tensorrt-cache", "a.cache")
    assert_warned_of_few(done, picture_folder)
    assert done.stdout == "a.cache: scales of 19 tensors, for edge build --calibrator\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.cache", "pictures", small_onnx.name
    ]  # fmt: skip


def test_quantize_wants_something_to_write(edge, small_onnx, picture_folder):
    done = edge("quantize", small_onnx, "--calib", picture_folder)
    assert done.returncode == 2
    assert done.stderr.endswith("Error: Give -o, --tensorrt-cache or both.\n")


@pytest.mark.parametrize(
    "words",
    ["--table a.json", "--report r", "--fast", "--symmetric", "--keep-float first",
     "--max-drop 0", "--held-out judges"],
)  # fmt: skip
def test_quantize_refuses_what_a_cache_alone_would_not_obey(
    edge, small_onnx, picture_folder, words
):
    cache = ["--tensorrt-cache", "a.cache", *words.split()]
    done = edge("quantize", small_onnx, "--calib", picture_folder, *cache)
    assert done.returncode == 2
    option = words.split()[0]
    assert done.stderr.endswith(f"Error: Give -o too: {option} is of the INT8 model.\n")


def test_quantize_counts_what_it_leaves_out(edge, small_onnx, picture_folder):
    (picture_folder / "text.jpg").write_text("no picture")
    (picture_folder / "copy.png").write_bytes((picture_folder / "1.png").read_bytes())
    done = edge("quantize", small_onnx, "--fast", "--calib", picture_folder, "-o", "int8.onnx")
    assert_warned_of_few(done, picture_folder)
    assert done.stdout.splitlines()[1:] == [
        "skipped 1 unreadable pictures",
        "left out 1 copies of the same picture",
    ]


def test_quantize_gives_the_same_bytes_each_time(edge, small_onnx, picture_folder, tmp_path):
    for name in ("one.onnx", "two.onnx"):
        edge("quantize", small_onnx, "--fast", "--calib", picture_folder, "-o", name)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()


def test_quantize_leaves_nothing_when_it_is_interrupted(small_onnx, picture_folder, tmp_path):
    """The last picture is a pipe: opened by us, it says that edge is at work on the set."""
    gate = picture_folder / "9.png"
    os.mkfifo(gate)
    before = sorted(tmp_path.rglob("*"))
    words = ["quantize", small_onnx, "--calib", picture_folder, "-o", tmp_path / "int8.onnx"]
    with (
        subprocess.Popen(
            [sys.executable, "-m", "edge", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        gate.open("wb"),
    ):
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert (out, said.strip()) == ("", "edge: interrupted")
    assert sorted(tmp_path.rglob("*")) == before


def test_quantize_says_what_int8_costs_on_pictures_held_out(edge, small_onnx, picture_folder):
    done = edge(
        "quantize", small_onnx, "--fast", "--calib", picture_folder, "--held-out", "demo",
        "-o", "int8.onnx",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[1]
    assert re.fullmatch(
        r"INT8 answers as fp32 on \d+\.\d% of 135 pictures held out and loses \d+\.\d\d points of"
        r" top-1, as fp32's probabilities make one expect", line,
    )  # fmt: skip


def test_quantize_refuses_what_costs_too_much_and_writes_nothing(
    edge, picture_folder, judges, tmp_path
):
    """Channels of very different loudness share a scale, so that some answer changes."""
    save_model(make_residual(make_contract(), seed=4, spread=2), tmp_path / "loud.onnx")
    words = ("--fast", "--symmetric", "--calib", picture_folder, "--held-out", judges)
    done = edge("quantize", "loud.onnx", *words, "--max-drop", "0", "-o", "int8.onnx")
    assert (done.returncode, done.stdout) == (3, "")
    assert re.search(
        r"edge: small: INT8 loses \d\.\d\d points of top-1 on 40 pictures, 0 are allowed;"
        r" worst are \S+, \S+, \S+, \S+\. Calibrate on more pictures",
        done.stderr,
    )
    assert not (tmp_path / "int8.onnx").exists()
    assert not (tmp_path / "int8.calib.json").exists()


def test_report_is_written_beside_the_model(edge, small_onnx, picture_folder, judges, tmp_path):
    words = ("--fast", "--calib", picture_folder, "--held-out", judges, "--report", "report")
    done = edge("quantize", small_onnx, *words, "-o", "int8.onnx")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert " ".join(lines[2].split()) == "the layers that hurt most signal to noise harm alone"
    assert len(lines) == 2 + 1 + 6 + 1
    fields = json.loads((tmp_path / "report" / "report.json").read_text())
    assert fields["pictures"] == JUDGES
    assert fields["int8_convolutions"] == len(fields["layers"]) == 7
    assert len(fields["activations"]) == 5
    harms = {layer["label"]: layer["harm_nats"] for layer in fields["layers"]}
    assert lines[3].split()[0] == max(harms, key=harms.get)
    assert "</html>" in (tmp_path / "report" / "report.html").read_text()
