"""The window: what is drawn over the picture, and what happens without a screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from doubles import DEADLINE_S
from samples import make_record
from servers.mjpeg import MJPEGServer

from edge.frame import Frame
from edge.record import FrameRecord
from edge.sinks.window import draw_overlay

NEEDS_XVFB = pytest.mark.skipif(
    shutil.which("Xvfb") is None, reason="no Xvfb here: a window wants a screen"
)


def record_of(height, width):
    small = make_record(("apple", 0.75), ("bird", 0.2))
    pixels = np.full((height, width, 3), 90, np.uint8)
    return FrameRecord(Frame(pixels, 0, 0, 0, "test"), small.result, small.times, 0)


@pytest.mark.parametrize("size", [(48, 64), (480, 640), (1080, 1920)])
def test_overlay_writes_over_a_copy_of_the_picture(size):
    record = record_of(*size)
    drawn = draw_overlay(record)
    assert drawn.shape == (*size, 3)
    assert drawn.dtype == np.uint8
    assert (drawn == 255).any()
    assert (record.frame.data == 90).all()


def test_overlay_leaves_most_of_the_picture_free():
    drawn = draw_overlay(record_of(720, 1280))
    assert 0.001 < (drawn != 90).mean() < 0.2


def show(edge, display, **environment):
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DISPLAY", "WAYLAND_DISPLAY"}
    }
    screen = {} if display is None else {"DISPLAY": display}
    return edge(
        "run", "demo", "--engine", "null", "--seconds", 1.5, "--show",
        env={**kept, **screen, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("display", "said"),
    [
        (None, "there is no screen (DISPLAY is not set)"),
        ("", "there is no screen (DISPLAY is not set)"),
        (":4077", "no window can be opened on this screen"),
        ("no-such-host.invalid:0", "no window can be opened on this screen"),
    ],
)
def test_show_is_refused_in_one_line_when_there_is_no_screen(edge, display, said):
    """Qt would end the whole process when the screen does not answer."""
    done = show(edge, display)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"edge: --show: {said}. Leave --show away, or use a machine with a screen\n"
    )


@pytest.fixture
def screen():
    """Give the name of a screen in memory."""
    reader, writer = os.pipe()
    with subprocess.Popen(
        [
            *("Xvfb", "-displayfd", str(writer), "-screen", "0", "800x600x24", "-nolisten", "tcp"),
            "-noreset",  # or it starts anew when the first client leaves, and loses the second
        ],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    ) as server:
        os.close(writer)
        with os.fdopen(reader) as answer:
            number = answer.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
        server.terminate()


@NEEDS_XVFB
def test_show_opens_a_window_and_ends_with_the_summary(edge, screen):
    done = show(edge, screen)
    assert (done.returncode, done.stderr) == (0, "")
    assert "chelsea.png: " in done.stdout


def find_windows(environment, count):
    """Wait for so many windows of ours, and give their numbers."""
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        words = ["xdotool", "search", "--onlyvisible", "--name", "^edge "]
        found = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        if len(found.stdout.split()) == count:
            return found.stdout.split()
    raise AssertionError(f"there are no {count} windows")


@NEEDS_XVFB
@pytest.mark.skipif(shutil.which("xdotool") is None, reason="no xdotool here: who presses a key?")
@pytest.mark.parametrize("key", ["q", "Escape"])
def test_key_ends_the_run_while_no_camera_sends(screen, key):
    environment = {**os.environ, "DISPLAY": screen}
    with MJPEGServer() as left, MJPEGServer() as right:
        words = ["run", f"{left.url}#timeout=1000", f"{right.url}#timeout=1000"]
        with subprocess.Popen(
            [sys.executable, "-m", "edge", *words, "--engine", "null", "--show"],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            first, _ = find_windows(environment, 2)
            left.stall()
            right.stall()
            for line in process.stdout:
                if f"{right.url}  stalled" in line:
                    break
            subprocess.run(["xdotool", "windowfocus", first], env=environment, check=True)
            subprocess.run(["xdotool", "key", key], env=environment, check=True)
            said, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert said.count(" stalled: no frame for ") >= 2
