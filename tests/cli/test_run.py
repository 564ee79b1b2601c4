"""`edge run`: sources, options, signals and the summary, in a program of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from board_states import make_whole_board
from boards import make_board
from played import PlayedBoard
from samples import ROOT, cut, make_picture, make_video
from tegrastats_lines import ORIN

from edge.model.onnx_file import save_model

FRAMES = re.compile(r"^  (\d+) frames, (\d+) dropped", re.MULTILINE)


@pytest.fixture
def small_onnx(small_model, tmp_path):
    path = tmp_path / "small.onnx"
    save_model(small_model, path)
    return path


def test_run_ends_with_a_summary(edge, small_onnx, picture_folder):
    done = edge("run", picture_folder.name, "--model", small_onnx)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "pictures · small · openvino"
    assert lines[1].startswith("  6 frames, 0 dropped in ")
    assert [line.split("  ")[2] for line in lines[3:11]] == [
        "capture", "decode", "wait", "preprocess", "infer", "post", "sinks", "end to end",
    ]  # fmt: skip
    assert lines[11].startswith("  power ")
    assert [line.split(": ")[0] for line in lines[12:]] == [f"  {n}.png" for n in range(6)]
    assert all(line.endswith(" in 100% of 1 frames") for line in lines[12:])


def test_engines_name_the_pictures_alike(edge, small_onnx, picture_folder):
    rows = {}
    for engine in ("openvino", "onnxruntime"):
        done = edge("run", picture_folder, "--model", small_onnx, "--engine", engine, "--json", "-")
        rows[engine] = [json.loads(line) for line in done.stdout.splitlines()]
    for one, other in zip(*rows.values(), strict=True):
        assert one["top"][0]["label"] == other["top"][0]["label"]
        assert one["top"][0]["p"] == pytest.approx(other["top"][0]["p"], abs=1e-3)


@pytest.mark.parametrize("top", [1, 3, 99])
def test_top_says_how_many_guesses_a_row_holds(edge, small_onnx, tmp_path, top):
    one = make_picture(tmp_path / "one.png")
    done = edge("run", one, "--model", small_onnx, "--engine", "null",
                "--top", top, "--json", "-")  # fmt: skip
    assert len(json.loads(done.stdout)["top"]) == min(top, 5)


def test_environment_gives_engine_and_model_and_flags_win(edge, small_onnx, picture_folder):
    environment = {**os.environ, "EDGE_ENGINE": "null", "EDGE_MODEL": str(small_onnx)}
    done = edge("run", picture_folder.name, env=environment)
    assert done.stdout.startswith("pictures · small · null\n")
    done = edge("run", picture_folder.name, "--engine", "openvino", env=environment)
    assert done.stdout.startswith("pictures · small · openvino\n")


def test_power_of_a_board_is_in_the_summary(edge, tmp_path):
    make_board(tmp_path / "root", "agx_orin")
    done = edge("run", "demo", "--engine", "null", "--seconds", 1, "--root", "root")
    total = "VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0 (module)"
    assert re.search(
        rf"  power 8\.72 W now, 8\.72 W mean, \d+\.\d J, {re.escape(total)}\n", done.stdout
    )


COST = re.compile(
    r"  power (?P<now>\S+) W now, (?P<mean>\S+) W mean, (?P<energy>\S+) ± (?P<error>\S+) J, VDD_IN"
    r" \(module\)\n  energy (?P<frame>\S+) ± \S+ mJ a frame, (?P<net>\S+) ± \S+ of them"
    r" above (?P<idle>\S+) W idle\n"
)


def test_energy_of_a_played_board_is_told_a_frame_and_above_idle(tmp_path):
    played = PlayedBoard(tmp_path, "orin_nano")
    with start("--idle", "0.5", "--root", str(tmp_path)) as process:
        process.stdout.readline()
        for power_mw in (24_000, 4_800):
            played.set("VDD_IN", power_mw)
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "edge: measuring the idle power for 0.5 s\n")
    cost = {name: float(figure) for name, figure in COST.search(rest).groupdict().items()}
    assert (cost["now"], cost["idle"]) == (4.8, 4.8)
    covered_s = cost["energy"] / cost["mean"]  # to the 0.1 % of their digits
    true_j, doubt_j = played.energy_j(covered_s)
    rounding_j = 0.15 + 4.8 * covered_s * 0.01
    assert abs(cost["energy"] - true_j) <= cost["error"] + doubt_j + rounding_j
    share_above_idle = 1 - 4.8 / cost["mean"]
    assert cost["net"] == pytest.approx(cost["frame"] * share_above_idle, abs=0.1, rel=0.01)


@pytest.mark.skipif(not shutil.which("gst-launch-1.0"), reason="gst-launch-1.0 is not installed")
def test_no_camera_runs_while_the_idle_power_is_measured(tmp_path):
    """A pipeline runs from its opening on: what it draws would count as idle."""
    PlayedBoard(tmp_path / "board", "orin_nano")
    command = [
        sys.executable, "-m", "edge", "run", "gst:videotestsrc is-live=true", "--engine", "null",
        "--idle", "600", "--root", tmp_path / "board",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == "edge: measuring the idle power for 600 s\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert children == ""
    assert (process.returncode, said.strip()) == (130, "edge: interrupted")


def test_power_may_come_from_tegrastats(edge, tmp_path, monkeypatch):
    program = tmp_path / "tegrastats"
    program.write_text(f"#!/bin/sh\necho '{ORIN}'\nexec sleep 1000\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    done = edge("run", "demo", "--engine", "null", "--seconds", 1, "--power", "tegrastats")
    assert (done.returncode, done.stderr) == (0, "")
    assert "  power 8.70 W now, 8.70 W mean, 0.0 J, VDD_GPU_SOC + VDD_CPU_CV" in done.stdout


def test_run_goes_on_without_power_when_tegrastats_is_missing(edge, small_onnx, picture_folder):
    done = edge("run", picture_folder, "--model", small_onnx, "--power", "tegrastats")
    assert done.returncode == 0
    assert "  power not available: tegrastats is not on this machine" in done.stdout


def test_video_is_read_to_its_end(edge, tmp_path):
    make_video(tmp_path / "clip.mp4", frames=25, codec="mp4v")
    done = edge("run", "clip.mp4", "--engine", "null", "--json", "-")
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == list(range(25))
    assert "  25 frames, 0 dropped" in done.stderr


def test_cut_video_gives_its_frames_its_summary_and_then_the_error(edge, tmp_path):
    short = cut(make_video(tmp_path / "clip.avi", frames=12), 0.6)
    done = edge("run", short.name, "--engine", "null", "--json", "out.jsonl")
    rows = (tmp_path / "out.jsonl").read_text().splitlines()
    assert done.returncode == 1
    assert FRAMES.search(done.stdout)[1] == str(len(rows))
    assert done.stderr == (
        f"edge: cut-clip.avi: ends after {len(rows)} of 12 frames, it is truncated or damaged."
        " Copy it again\n"
    )


def start(*words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "edge", "run", "demo", "--engine", "null", *words],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_live_run_with_its_summary(number):
    with start() as process:
        first = process.stdout.readline()
        assert " fps  " in first, process.stderr.read()
        process.send_signal(number)
        rest, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    assert rest.startswith("demo · ")
    assert int(FRAMES.search(rest)[1]) > 0
    assert "chelsea.png: " in rest


def test_signal_ends_a_run_that_writes_rows_with_a_whole_line():
    with start("--json", "-") as process:
        first = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        # Not `communicate`: `readline` may hold more lines already, which that does not see.
        rest, said = process.stdout.read(), process.stderr.read()
    rows = [json.loads(line) for line in (first + rest).splitlines()]
    assert process.returncode == 0
    assert int(FRAMES.search(said)[1]) == len(rows)


@pytest.mark.parametrize(("closed", "rows"), [(">&-", []), ("2>&-", [0])])
def test_closed_stream_takes_its_text_and_nothing_else(small_onnx, picture_folder, closed, rows):
    """As under a parent that closed its descriptors: text for people is not put among the data."""
    words = [picture_folder / "0.png", "--model", small_onnx, "--engine", "null"]
    output = ["--json", "-"] if rows else []
    run = shlex.join([sys.executable, "-m", "edge", "run", *map(str, words), *output])
    done = subprocess.run(
        ["/bin/sh", "-c", f"{run} {closed}"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == rows


def test_panel_is_shown_on_a_terminal_and_cleared_before_the_summary():
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    with start("--seconds", "1", stdout=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while piece := read_terminal(ours):
            shown += piece
        assert process.stderr.read() == ""
    os.close(ours)
    text = shown.decode()
    panel, summary = text.rsplit("\x1b[?25h", 1)
    assert process.returncode == 0
    assert "end to end" in panel
    assert "fps" in panel
    assert re.search(r"\d\.\d%", panel)
    assert "demo · squeezenet8-int8 · null" in summary
    assert "│" not in summary


def read_terminal(terminal):
    """Read what came; nothing once the other side is closed, which Linux tells by an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def test_summary_says_in_which_state_the_board_was(edge, small_onnx, tmp_path):
    make_whole_board(tmp_path / "board", "orin_nano")
    # The demo plays on until the sampler has had its turn.
    words = ("demo", "--model", small_onnx, "--engine", "null", "--seconds", "2")
    done = edge("run", *words, "--root", tmp_path / "board")
    assert done.returncode == 0, done.stderr
    assert "  board tj 49.9 °C at most, MAXN_SUPER (2), clocks not locked\n" in done.stdout


def test_gpu_engine_says_what_is_missing(edge, small_onnx, picture_folder):
    done = edge("run", picture_folder, "--model", small_onnx, "--engine", "tensorrt")
    assert done.returncode == 1
    assert done.stderr == (
        "edge: tensorrt: not on this machine."
        " On a Jetson run: sudo apt install nvidia-jetpack, then ./install.sh\n"
    )


@pytest.fixture
def beside_tensorrt():
    """Give the environment of a machine that has TensorRT, and no pycuda."""
    if find_spec("pycuda"):
        pytest.skip("pycuda is installed")
    paths = (str(ROOT / "tests" / "fakes"), os.environ.get("PYTHONPATH"))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def test_gpu_engine_names_the_command_that_installs_pycuda(
    edge, small_onnx, picture_folder, beside_tensorrt
):
    words = ("run", picture_folder, "--model", small_onnx, "--engine", "tensorrt")
    done = edge(*words, env=beside_tensorrt)
    assert done.returncode == 1
    assert done.stderr == (
        f"edge: pycuda: not installed. Install it with: {sys.executable} -m pip install"
        " 'edge[jetson]'\n"
    )


def test_auto_runs_on_the_cpu_where_pycuda_is_missing_and_says_so(
    edge, small_onnx, picture_folder, beside_tensorrt
):
    done = edge("run", picture_folder.name, "--model", small_onnx, env=beside_tensorrt)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "pictures · small · openvino")
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge: pycuda: not installed.")
    assert line.endswith("Going on with the CPU")
