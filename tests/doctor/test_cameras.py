"""Whether GStreamer is found, whole, with programs of ours in its place."""

from __future__ import annotations

import pytest
from board_states import make_whole_board

from edge.board import SysRoot, detect_board
from edge.doctor.cameras import JETSON_ELEMENTS, check_cameras, check_gstreamer
from edge.doctor.check import Place

INSPECT = "#!/bin/sh\ncase ' {missing} ' in *\" $2 \"*) exit 1;; esac\n"


@pytest.fixture
def gstreamer(tmp_path, monkeypatch):
    """Give a function that puts a GStreamer without some elements on the path."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))

    def install(*missing):
        for name in ("gst-launch-1.0", "gst-inspect-1.0"):
            (programs / name).write_text(INSPECT.format(missing=" ".join(missing)))
            (programs / name).chmod(0o755)

    return install


def look(root):
    (check,) = check_gstreamer(Place(root, detect_board(root), {}))
    return check.status, check.detail, check.mend


@pytest.mark.usefixtures("gstreamer")
def test_gstreamer_that_is_missing_is_a_warning(tmp_path):
    status, detail, mend = look(SysRoot(tmp_path))
    assert status == "warning"
    assert detail.startswith("not installed; csi://, gst: and rtsp://")
    assert mend.startswith("Run: sudo apt install gstreamer1.0-tools")


def test_missing_elements_name_their_packages_once(gstreamer, tmp_path):
    gstreamer("gdppay", "h264parse", "rtspsrc", "nvvidconv")
    assert look(SysRoot(tmp_path)) == (
        "warning",
        "lacks rtspsrc, gdppay, h264parse",
        "Run: sudo apt install gstreamer1.0-plugins-good gstreamer1.0-plugins-bad",
    )


def test_jetson_wants_its_own_elements(gstreamer, tmp_path):
    root = make_whole_board(tmp_path / "board", "orin_nano")
    gstreamer("avdec_h264")
    assert look(root)[0] == "ok"
    gstreamer(*JETSON_ELEMENTS)
    assert look(root)[2] == "Run: sudo apt install nvidia-l4t-camera nvidia-l4t-gstreamer"


def test_machine_without_cameras_is_well(tmp_path):
    (check,) = check_cameras(Place(SysRoot(tmp_path), None, {}))
    assert check.status == "ok"
