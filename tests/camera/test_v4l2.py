"""A USB camera, as far as a machine without one can tell: which device is meant and why not.

Reading frames, MJPEG at 1280 x 720 and pulling the plug want a real /dev/video*: the contract test
takes the first one that it finds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from edge.camera.base import open_source
from edge.camera.v4l2 import V4L2Source
from edge.errors import UnavailableError

ABSENT = 77


@pytest.mark.parametrize("name", [str(ABSENT), f"/dev/video{ABSENT}"])
def test_camera_is_refused_with_its_device_when_it_is_not_there(name):
    with (
        pytest.raises(UnavailableError, match=f"^/dev/video{ABSENT}: no such camera. Plug it in"),
        open_source(name),
    ):
        pass


def test_camera_is_refused_when_the_device_is_none(tmp_path):
    """A name below /dev that exists, and a number that OpenCV cannot open."""
    (tmp_path / f"video{ABSENT}").touch()
    with pytest.raises(UnavailableError, match="cannot be opened as a camera"):
        V4L2Source(f"/dev/..{tmp_path}/video{ABSENT}")


def test_camera_is_refused_with_the_group_to_join_when_it_is_closed_to_this_user():
    """A program of its own, because root must become somebody else first."""
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from edge.camera.v4l2 import _check_device\n"
        "from edge.errors import UnavailableError\n"
        "os.getuid() or os.setuid(65534)\n"
        "try: _check_device(Path(sys.argv[1]))\n"
        "except UnavailableError as error: print(error)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        device = Path(folder) / "video0"
        device.touch(mode=0o000)
        done = subprocess.run(
            [sys.executable, "-c", script, device], capture_output=True, text=True, check=True
        )
    assert done.stdout == (
        f"{device}: permission denied. Run: sudo usermod -aG video $USER, then log in again\n"
    )
