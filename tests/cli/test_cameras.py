"""`edge cameras`: the table, the JSON, and what is said where there is nothing."""

from __future__ import annotations

import json

import pytest
from rig.cameras import CSI, METADATA


@pytest.fixture
def list_cameras(edge, cameras):
    """Give a function that runs `edge cameras` on the machine of the stand-in."""

    def run(*words, columns=80):
        environment = {**cameras.environment, "COLUMNS": str(columns)}
        done = edge("cameras", *words, "--root", cameras.root, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


TABLE = """\
Device        Camera                       Format  Size       Frames a second
/dev/video0   vi-output, imx219 9-0010     RG10    3280x2464  21
              tegra-video                          1920x1080  30
              platform:tegra-capture-vi:1

/dev/video2   HD Pro Webcam                MJPG    1280x720   30 15
              uvcvideo                             640x480    60 30
              usb-0000:00:14.0-1                   160x120    120
                                           YUYV    640x480    60 30
                                                   320x240    30

/dev/video10  cannot be asked

/dev/video10: permission denied. Run: sudo usermod -aG video $USER, then log in again

Run one with:
  edge run csi://0
  edge run /dev/video2
  edge run 'v4l2:///dev/video2?format=MJPG&size=640x480&fps=60'
"""


def test_table_shows_modes_and_how_to_run_each(cameras, list_cameras):
    cameras.plug(0, **CSI)
    cameras.plug(2)
    cameras.plug(3, **METADATA)
    cameras.plug(10, deny="")
    assert list_cameras() == TABLE


@pytest.mark.parametrize("columns", [80, 100])
def test_table_fits_a_terminal_when_a_camera_has_many_modes(cameras, list_cameras, columns):
    sizes = [f"{width}x{width * 9 // 16}" for width in range(320, 1920, 100)]
    modes = " ".join(f"{size}@60,50,30,25,20,15,10,5" for size in sizes)
    cameras.plug(0, card="Camera with the longest name it c", format=f"MJPG {modes}")
    lines = list_cameras(columns=columns).splitlines()
    assert max(map(len, lines)) <= columns
    assert sum("60 50 30 25 20 ..." in line for line in lines) == 4
    assert any(line.split() == ["12", "more"] for line in lines)


def test_json_has_every_mode_and_a_version(cameras, list_cameras):
    cameras.plug(0, **CSI)
    cameras.plug(1, deny="")
    found = json.loads(list_cameras("--json"))
    assert found["version"] == 1
    sensor, closed = found["cameras"]
    assert sensor == {
        "device": "/dev/video0",
        "card": "vi-output, imx219 9-0010",
        "driver": "tegra-video",
        "bus": "platform:tegra-capture-vi:1",
        "source": "csi://0",
        "fastest": None,
        "problem": None,
        "modes": [
            {"format": "RG10", "width_px": 3280, "height_px": 2464, "fps": [21.0]},
            {"format": "RG10", "width_px": 1920, "height_px": 1080, "fps": [30.0]},
        ],
    }
    assert closed["problem"].startswith("permission denied")


def test_nothing_found_is_told_with_what_else_can_be_given(list_cameras):
    assert list_cameras() == (
        "No camera here."
        " edge run also takes rtsp://, http://, csi://0, a video, pictures or demo.\n"
    )
    assert json.loads(list_cameras("--json")) == {"version": 1, "cameras": []}


def test_cameras_are_looked_for_in_dev_without_a_root(edge, cameras):
    cameras.plug(40)
    done = edge("cameras", "--json", env=cameras.environment)
    assert [row["device"] for row in json.loads(done.stdout)["cameras"]] == ["/dev/video40"]
