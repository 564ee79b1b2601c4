"""`edge power`: this machine's reading, a log's table and JSON, and what cannot be read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from boards import make_board
from tegrastats_lines import NANO, ORIN, THOR

TABLE = """\
t.log: 2 samples, 0.5 s if they are 500 ms apart (--interval; the log does not
tell the time)
lines that could not be read: 1

Rail        min W  mean W  max W  energy J
POM_5V_IN    1.00    2.00   3.00       1.0
POM_5V_GPU   0.00    0.00   0.00       0.0
total        1.00    2.00   3.00       1.0
total is POM_5V_IN (module)

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


def test_watch_does_not_go_with_a_log(edge):
    done = edge("power", "--watch", "--log", "-")
    assert done.returncode == 2
    assert "--watch reads this machine" in done.stderr


def test_reading_of_a_board_names_its_total(edge, tmp_path):
    make_board(tmp_path, "orin_nano")
    assert edge("power", "--root", tmp_path).stdout.startswith("4.80 W now, 4.80 W mean, ")
    reading = json.loads(edge("power", "--json", "--root", tmp_path).stdout)
    assert (reading["version"], reading["power_mw"]) == (1, 4800.0)
    assert reading["total"] == "VDD_IN (module)"


@pytest.mark.parametrize("words", [[], ["--watch"]])
def test_machine_without_a_meter_says_why(edge, tmp_path, words):
    make_board(tmp_path, "bare")
    done = edge("power", *words, "--root", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "not available: no power rail and no RAPL on this machine\n"
    as_json = json.loads(edge("power", *words, "--json", "--root", tmp_path).stdout)
    assert as_json == {"version": 1, "reason": "no power rail and no RAPL on this machine"}


def test_watch_goes_on_until_it_is_interrupted(tmp_path):
    make_board(tmp_path, "orin_nano")
    command = [sys.executable, "-m", "edge", "power", "--watch", "--json", "--root", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        rows = [json.loads(run.stdout.readline()) for _ in range(2)]
        run.send_signal(signal.SIGINT)
        rest, said = run.communicate(timeout=30)
    assert (run.returncode, said) == (0, ""), rest
    assert rows[1]["energy_j"] > rows[0]["energy_j"] >= 0
