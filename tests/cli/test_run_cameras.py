"""`edge run` on cameras: several at once, some of them dead, with passwords, and stopped."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import closing, suppress

import pytest
from doubles import DEADLINE_S
from samples import make_video
from servers.mjpeg import PASSWORD, USER, MJPEGServer
from servers.rtsp import RTSPServer, why_not

LOGIN = "admin:S3cret"


class TerminalReader:
    """Collects what a terminal shows, from its other end.

    Args:
        descriptor: closed at the end of the `with` block.
    """

    def __init__(self, descriptor):
        self.text = ""
        self._descriptor = descriptor

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with suppress(OSError):  # Linux tells the end by an error
            while piece := os.read(self._descriptor, 4096):
                self.text += piece.decode("utf-8", "replace")
        os.close(self._descriptor)

    def wait_for(self, words):
        """Read on until these words have come."""
        while words not in self.text:
            ready, _, _ = select.select([self._descriptor], [], [], DEADLINE_S)
            assert ready, self.text
            self.text += os.read(self._descriptor, 4096).decode("utf-8", "replace")


@pytest.fixture
def closed_port():
    """Give a port on which nobody listens, held so that nobody else takes it."""
    with closing(socket.socket()) as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def rows_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_two_files_a_camera_and_a_dead_source_run_at_once(edge, tmp_path, closed_port):
    make_video(tmp_path / "a.avi", frames=8)
    make_video(tmp_path / "b.avi", frames=5)
    dead = f"rtsp://{LOGIN}@127.0.0.1:{closed_port}/live"
    with RTSPServer() as camera:
        live = f"{camera.url}#decoder=ffmpeg"
        done = edge(
            "run", "a.avi", "b.avi", live, dead,
            "--seconds", 6, "--engine", "null", "--json", "rows.jsonl",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counts = {}
    for row in rows_of(tmp_path / "rows.jsonl"):
        counts[row["source"]] = counts.get(row["source"], 0) + 1
    assert (counts["a.avi"], counts["b.avi"]) == (8, 5)
    assert counts[camera.url] > 5
    told = dead.replace(f"{LOGIN}@", "")
    assert set(counts) == {"a.avi", "b.avi", camera.url}
    assert f"edge: {told}: connection refused. Trying again\n" in done.stderr
    assert done.stderr.count("connection refused") == 1
    assert re.search(
        rf"^  {told}: connecting: connection refused; 0 frames, 0 dropped$",
        done.stdout,
        re.MULTILINE,
    )
    assert re.search(r"^  a\.avi: ended; 8 frames, 0 dropped", done.stdout, re.MULTILINE)
    assert re.search(rf"^  {camera.url}: live; \d+ frames", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_source_that_never_came_is_told_at_the_end_without_its_password(
    edge, tmp_path, scheme, closed_port
):
    url = f"{scheme}://{LOGIN}@127.0.0.1:{closed_port}/live"
    done = edge("run", url, "--seconds", 3, "--engine", "null", "--json", "rows.jsonl")
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert last.startswith(f"edge: {scheme}://127.0.0.1:{closed_port}/live: connection refused. ")
    everything = done.stdout + done.stderr + (tmp_path / "rows.jsonl").read_text("utf-8")
    assert "S3cret" not in everything
    assert "admin" not in everything


def test_password_of_a_live_camera_is_nowhere_in_what_is_told(edge, tmp_path):
    quoted = "p%40ss%2Fw%C3%B6rd"
    with MJPEGServer(auth="digest") as camera:
        url = camera.url.replace("http://", f"http://{USER}:{quoted}@")
        done = edge("-vv", "run", url, "--seconds", 3, "--engine", "null", "--json", "rows.jsonl")
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "rows.jsonl").read_text("utf-8")
    assert rows.count("\n") > 5
    for secret in (PASSWORD, quoted, USER):
        assert secret not in done.stdout + done.stderr + rows


def test_wrong_password_is_refused_at_once(edge):
    with MJPEGServer(auth="basic") as camera:
        done = edge("run", camera.url, "--engine", "null")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"edge: {camera.url}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("is_stalled", [False, True])
def test_signal_ends_a_live_run_with_its_summary(tmp_path, number, is_stalled):
    with MJPEGServer(fps=0 if not is_stalled else 30) as camera:
        command = [sys.executable, "-m", "edge", "run", camera.url, "--engine", "null"]
        with subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert "fps" in process.stdout.readline()
            if is_stalled:
                camera.stall()
            process.send_signal(number)
            out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, err) == (0, "")
    assert f"{camera.url} · squeezenet8" in out


@pytest.mark.skipif(shutil.which("gst-launch-1.0") is None, reason="no gst-launch-1.0 here")
def test_ctrl_c_ends_the_wait_for_the_first_picture(tmp_path):
    os.mkfifo(tmp_path / "silent")
    pipeline = "gst:filesrc location=silent ! decodebin"
    command = [sys.executable, "-m", "edge", "run", pipeline, "--engine", "null"]
    with (
        subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
        (tmp_path / "silent").open("wb"),
    ):  # which waits until the pipeline reads
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (130, "")
    assert err.lstrip() == "edge: interrupted\n"  # Click begins a new line behind ^C


def test_same_source_twice_is_told_apart(edge, tmp_path):
    make_video(tmp_path / "a.avi", frames=4)
    done = edge("run", "a.avi", "a.avi", "--engine", "null", "--json", "rows.jsonl")
    assert done.returncode == 0, done.stderr
    names = [row["source"] for row in rows_of(tmp_path / "rows.jsonl")]
    assert sorted(names) == ["a.avi"] * 4 + ["a.avi (2)"] * 4


def test_file_in_realtime_drops_what_a_slow_engine_cannot_take(edge, tmp_path):
    make_video(tmp_path / "a.avi", frames=12)
    told = ["run", "a.avi", "--engine", "null:250"]
    every = edge(*told)
    some = edge(*told, "--realtime")
    assert "12 frames, 0 dropped" in every.stdout
    *_, (frames, dropped) = re.findall(r"(\d+) frames, (\d+) dropped", some.stdout)
    assert int(frames) + int(dropped) == 12
    assert int(dropped) > 0


def test_realtime_is_refused_where_nothing_could_be_played_so(edge, picture_folder):
    done = edge("run", picture_folder, "demo", "--realtime", "--engine", "null")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "edge: --realtime: no source is a video file."
        " Leave it away: cameras have their own speed, and pictures have none\n"
    )


def test_usb_camera_is_classified_and_comes_back_after_it_was_unplugged(cameras, tmp_path):
    cameras.add_pictures()
    cameras.plug()
    command = [sys.executable, "-m", "edge", "-v", "run", "/dev/video40", "--engine", "null"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=cameras.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert "fps" in process.stdout.readline()
        cameras.unplug()
        lost = ""
        while "Trying again" not in lost:
            lost = process.stderr.readline()
            assert lost
        cameras.plug()
        back = ""
        while "is back" not in back:
            back = process.stderr.readline()
            assert back
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert "1 reconnect" in out


def test_warning_stands_above_the_panel_and_does_not_tear_it(tmp_path):
    ours, theirs = pty.openpty()
    with MJPEGServer() as camera, TerminalReader(ours) as terminal:
        command = [sys.executable, "-m", "edge", "run", camera.url, "--engine", "null"]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
        with subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            terminal.wait_for("fps")
            camera.kill()
            terminal.wait_for("Trying again")
            process.send_signal(signal.SIGTERM)
    erased_line = "\x1b[2K"
    before, _ = terminal.text.split(f"edge: {camera.url}: ", 1)
    assert before.endswith(erased_line)
