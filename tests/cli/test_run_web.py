"""`edge run --web`: what it says, what it refuses, and how it ends while somebody watches."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest
from doubles import DEADLINE_S

RUN = ("run", "demo", "--engine", "null")


def test_address_is_said_on_stderr_and_the_run_goes_its_way(edge):
    done = edge(*RUN, "--seconds", 0.5, "--json", "-", "--web", ":0")
    assert done.returncode == 0
    assert done.stderr.splitlines()[0].startswith("edge: live view at http://127.0.0.1:")
    assert done.stdout.startswith('{"version"')


def test_network_gets_a_token_unless_a_person_has_one(edge):
    done = edge(*RUN, "--seconds", 0.3, "--web", "0.0.0.0:0")
    assert "/?token=" in done.stderr
    own = {**os.environ, "EDGE_WEB_TOKEN": "correct horse battery"}
    done = edge(*RUN, "--seconds", 0.3, "--web", "0.0.0.0:0", env=own)
    assert "token" not in done.stderr
    assert "horse" not in done.stderr + done.stdout


def test_address_that_is_none_is_refused_before_anything_is_opened(edge):
    done = edge(*RUN, "--web", "8080", "--model", "not-there")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "edge: --web 8080: is no address to listen on. Give :PORT for this machine alone,"
        " 0.0.0.0:PORT for its network\n"
    )


@pytest.mark.parametrize("option", ["--web", "--metrics"])
def test_taken_port_is_refused_before_anything_is_opened(edge, option):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = edge(*RUN, option, f":{port}", "--model", "not-there")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"edge: {option} 127.0.0.1:{port}: the port is taken. ")


def test_refused_token_does_not_cost_the_rows_of_an_earlier_run(edge, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("earlier\n")
    short = {**os.environ, "EDGE_WEB_TOKEN": "short"}
    done = edge(*RUN, "--web", ":0", "--json", rows, env=short)
    assert (done.returncode, "EDGE_WEB_TOKEN: shorter than" in done.stderr) == (1, True)
    assert rows.read_text() == "earlier\n"


def test_ctrl_c_ends_a_run_whose_viewer_does_not_listen(tmp_path):
    command = [sys.executable, "-m", "edge", *RUN, "--web", ":0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        port = int(process.stderr.readline().rstrip("/\n").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as deaf:
            deaf.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert deaf.recv(12) == b"HTTP/1.1 200"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, err) == (0, "")
    assert "demo · squeezenet8-int8 · null" in out
