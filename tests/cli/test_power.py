"""`edge power`: this machine's reading, a log's table and JSON, and what cannot be read."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone

import pytest
from boards import HWMON, make_board
from doubles import DEADLINE_S
from played import PlayedBoard
from tegrastats_lines import NANO, ORIN, THOR

TABLE = """\
t.log: 2 samples, 0.5 s if they are 500 ms apart (--interval; the log does not tell the time)
lines that could not be read: 1

Rail        min W  mean W  max W  energy J
POM_5V_IN    1.00    2.00   3.00       1.0
POM_5V_GPU   0.00    0.00   0.00       0.0
total        1.00    2.00   3.00       1.0
total is POM_5V_IN (module), energy within ± 0.5 J

GPU load  3 % mean, 3 % max
EMC load  7 % mean, 7 % max
CPU load  12 % mean, 12 % max
hottest   PLL 34.0 °C, CPU 36.5 °C
"""


@pytest.fixture
def nano_log(tmp_path):
    later = NANO.replace("POM_5V_IN 1000", "POM_5V_IN 3000")
    file = tmp_path / "t.log"
    file.write_bytes(f"Tue Jan 26\n{NANO}\n{later}\n".encode())
    return file


def test_log_is_summed_up_in_a_table(edge, nano_log):
    environment = {**os.environ, "COLUMNS": "80"}
    done = edge("power", "--log", nano_log.name, "--interval", 500, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.rstrip() for line in done.stdout.splitlines()] == TABLE.splitlines()


@pytest.mark.parametrize("columns", [80, 100])
@pytest.mark.parametrize("line", [ORIN, THOR])
def test_table_fits_a_terminal(edge, line, columns):
    environment = {**os.environ, "COLUMNS": str(columns)}
    done = edge("power", "--log", "-", input=f"{line}\n", env=environment)
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert "total is VDD_" in done.stdout
    assert "1 samples in 0.0 s by its time stamps" in done.stdout


def test_json_of_a_log_has_a_version_and_units(edge, nano_log):
    done = edge("power", "--log", "-", "--json", input=nano_log.read_text())
    summary = json.loads(done.stdout)
    assert (summary["version"], summary["samples"], summary["unreadable_lines"]) == (1, 2, 1)
    assert (summary["timed_by"], summary["interval_ms"]) == ("interval", 1000)
    assert summary["total"] == {
        "name": "POM_5V_IN (module)",
        "min_mw": 1000.0,
        "mean_mw": 2000.0,
        "max_mw": 3000.0,
        "energy_j": 2.0,
        "energy_error_j": 1.0,
        "readings": 2,
    }
    assert [rail["name"] for rail in summary["rails"]] == ["POM_5V_IN", "POM_5V_GPU"]
    assert summary["max_temperatures_c"] == {"PLL": 34.0, "CPU": 36.5}
    assert summary["gpu"] == {"mean_percent": 3.0, "max_percent": 3.0}


def test_log_without_rails_says_why_there_is_no_total(edge):
    done = edge("power", "--log", "-", input="RAM 1/2MB CPU [1%@9]\n")
    assert done.returncode == 0
    assert "total not available: tegrastats printed no power rail" in done.stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "edge: bad.log: no such file or folder."),
        (b"", "edge: bad.log: no line of tegrastats in it."),
        (b"\xff\0\xfe" * 999, "edge: bad.log: no line of tegrastats in it."),
    ],
)
def test_what_is_no_log_is_told_in_one_line(edge, tmp_path, content, said):
    if content is not None:
        (tmp_path / "bad.log").write_bytes(content)
    done = edge("power", "--log", "bad.log")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [("--watch",), ("--hz", "5")], ids=" ".join)
def test_what_reads_this_machine_does_not_go_with_a_log(edge, words):
    done = edge("power", *words, "--log", "-")
    assert done.returncode == 2
    assert "--watch and --hz read this machine" in done.stderr


AGX_ORIN = """\
   Rail             now W
+  VIN_SYS_5V0       4.71
+  VDD_GPU_SOC       2.41
+  VDD_CPU_CV        1.60
   VDDQ_VDD2_1V8AO   0.70
   total             8.72

total is VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0 (module); + is counted in it
not connected (NC): hwmon10/in1_label, hwmon9/in3_label
"""


def test_rails_of_a_board_are_shown_and_which_make_its_total(edge, tmp_path):
    make_board(tmp_path, "agx_orin")
    done = edge("power", "--root", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    shown = [line.rstrip() for line in done.stdout.splitlines()]
    assert shown == AGX_ORIN.splitlines()


def test_rail_that_cannot_be_read_says_why_below_the_others(edge, tmp_path):
    make_board(tmp_path, "orin_nano")
    current = tmp_path / HWMON / "hwmon1" / "curr2_input"
    current.write_text("n/a")
    shown = edge("power", "--root", tmp_path, env={**os.environ, "COLUMNS": "300"}).stdout
    assert "   VDD_CPU_GPU_CV      -\n" in shown
    assert f"VDD_CPU_GPU_CV gives no number: b'n/a' in {current}\n" in shown


def test_json_of_a_board_has_a_version_a_time_and_every_rail(edge, tmp_path):
    make_board(tmp_path, "tx2")
    before = datetime.now(timezone.utc)
    reading = json.loads(edge("power", "--json", "--root", tmp_path).stdout)
    assert (reading["version"], reading["kind"]) == (1, "power")
    assert reading["power"]["power_mw"] == 3056.0
    assert reading["time"].endswith("Z")
    at = datetime.fromisoformat(reading["time"].replace("Z", "+00:00"))
    assert before - timedelta(milliseconds=1) <= at <= datetime.now(timezone.utc)
    assert reading["power"]["rails_mw"]["VDD_4V0_WIFI"] == 0.0
    kinds = {rail["name"]: rail["kind"] for rail in reading["rails"]}
    assert kinds["VDD_IN"] == "counted"
    assert kinds["VDD_MUX"] == "other"
    assert kinds["VDD_IN (module)"] == "total"
    assert kinds["VDD_IN + VDD_MUX (board)"] == "other total"
    assert reading["rails"][0]["name"] == "VDD_IN"
    assert reading["rails"][0]["summary"]["mean_mw"] == 3056.0


@pytest.mark.parametrize("words", [[], ["--watch"]])
def test_machine_without_a_meter_says_why(edge, tmp_path, words):
    make_board(tmp_path, "bare")
    reason = "no power rail, no RAPL and no NVIDIA GPU on this machine"
    done = edge("power", *words, "--root", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"not available: {reason}\n"
    as_json = json.loads(edge("power", *words, "--json", "--root", tmp_path).stdout)
    assert as_json.pop("time")
    assert as_json == {
        "version": 1, "kind": "power", "power": {"unavailable": reason}, "rails": [],
    }  # fmt: skip


@contextmanager
def watching(root, *words, **options):
    """Start `edge power --watch`, in a program of its own."""
    command = [sys.executable, "-m", "edge", "power", "--watch", "--root", str(root), *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **{**pipes, **options}) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_prints_a_line_a_second_until_it_is_stopped(tmp_path, number):
    make_board(tmp_path, "orin_nano")
    with watching(tmp_path) as process:
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(number)
        rest, said = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, said) == (0, ""), rest
    assert lines[0] == "4.80 W now, 4.80 W mean, 0.0 J, VDD_IN (module)\n"
    assert re.fullmatch(r"4.80 W now, 4.80 W mean, \d+\.\d J, VDD_IN \(module\)\n", lines[1])


def test_energy_of_a_played_board_lies_within_what_watch_says_of_it(tmp_path):
    played = PlayedBoard(tmp_path, "agx_orin")
    with watching(tmp_path, "--json", "--hz", "50") as process:

        def wait_for(level_mw):
            for line in process.stdout:
                row = json.loads(line)
                if row["power"].get("power_mw") == level_mw:
                    return row
            raise AssertionError(process.stderr.read())

        wait_for(8720.0)
        for rail_mw in (9_000, 1_605):
            row = wait_for(played.set("VDD_CPU_CV", rail_mw))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)
    power = row["power"]
    true_j, doubt_j = played.energy_j(power["covered_s"])
    assert power["energy_error_j"] > 0
    rounding_j = 8.72 * 0.0005 + 1e-6
    assert abs(power["energy_j"] - true_j) <= power["energy_error_j"] + doubt_j + rounding_j
    peak = next(rail for rail in row["rails"] if rail["name"] == "VDD_CPU_CV")
    assert (peak["summary"]["min_mw"], peak["summary"]["max_mw"]) == (1605.0, 9000.0)


@pytest.mark.parametrize("columns", [60, 120])
def test_table_is_live_on_a_terminal(tmp_path, columns):
    make_board(tmp_path, "thor")
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns), "LINES": "30"}
    with watching(tmp_path, stdout=theirs, env=env) as process:
        os.close(theirs)
        shown = b""
        while shown.count(b"mean W") < 3:
            shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        with suppress(OSError):  # how Linux tells that the other side is closed
            while piece := os.read(ours, 65536):
                shown += piece
        assert (process.wait(DEADLINE_S), process.stderr.read()) == (0, "")
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert max(map(len, re.split("[\r\n]+", text))) <= columns
    assert "+  VIN  " in text
    assert re.search(r"total +20\.99 +20\.99 +20\.99 +20\.99 +\d+\.\d", text)
    assert re.search(r" J in \d+\.\d s; sampling takes \d+\.\d\d% of a core", text)


def test_death_of_tegrastats_ends_the_watch_with_its_reason(tmp_path, monkeypatch):
    program = tmp_path / "tegrastats"
    program.write_text(f"#!/bin/sh\necho '{ORIN}'\nread word < {tmp_path}/gate\nexit 4\n")
    program.chmod(0o755)
    os.mkfifo(tmp_path / "gate")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with watching(tmp_path, "--power", "tegrastats") as process:
        assert process.stdout.readline().startswith("8.70 W now, 8.70 W mean")
        (tmp_path / "gate").write_text("go\n")
        rest, said = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, said) == (0, "")
    assert rest.splitlines()[-1] == "not available: tegrastats ended with code 4"


def test_report_of_a_log_is_a_page_with_its_curves(edge, nano_log, tmp_path):
    pytest.importorskip("matplotlib", reason="the report wants matplotlib, an extra")
    done = edge("power", "--log", nano_log.name, "--report", "curves", "--json")
    assert (done.returncode, done.stderr) == (0, "report in curves/report.html\n")
    assert json.loads(done.stdout)["samples"] == 2
    page = (tmp_path / "curves" / "report.html").read_text()
    for words in ("Power over time", "t.log: 2 samples", "2.0 ± 1.0 J", "POM_5V_IN (module)",
                  "lines that could not", "prefers-color-scheme: dark",
                  "<td>total</td><td>1.00</td>"):  # fmt: skip
        assert words in page
    assert (tmp_path / "curves" / "rails.png").read_bytes().startswith(b"\x89PNG")


def test_report_without_rails_says_why_there_is_no_total(edge, tmp_path):
    done = edge("power", "--log", "-", "--report", "r", input="RAM 1/2MB CPU [1%@9]\n")
    assert done.returncode == 0
    page = (tmp_path / "r" / "report.html").read_text()
    assert "total not available: tegrastats printed no power rail" in page


@pytest.mark.parametrize("words", [("--report", "curves"), ("--interval", "5")], ids=" ".join)
def test_what_is_of_a_log_wants_one(edge, words):
    done = edge("power", *words)
    assert done.returncode == 2
    assert "--report and --interval are of a log" in done.stderr


def test_report_is_refused_where_a_file_is_in_its_way(edge, nano_log):
    done = edge("power", "--log", nano_log.name, "--report", nano_log.name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "edge: t.log: is a file, a folder is wanted. Give another path\n"
