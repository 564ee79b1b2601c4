"""Which cameras a machine has, asked of a stand-in of the kernel's V4L2 (rig/v4l2.c)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.cameras import CSI, METADATA

from edge.board import SysRoot
from edge.camera.listing import fastest_mode, list_cameras
from edge.camera.url import parse_source
from edge.camera.v4l2_node import Mode

LIST = (
    "import json, sys\n"
    "from dataclasses import asdict\n"
    "from pathlib import Path\n"
    "from edge.board import SysRoot\n"
    "from edge.camera.listing import list_cameras\n"
    "found = list_cameras(SysRoot(Path(sys.argv[1])))\n"
    "print(json.dumps([asdict(camera) for camera in found]))\n"
)


@pytest.fixture
def listed(cameras):
    """Give a function that lists the cameras that are plugged in then, by device."""

    def run():
        return {found["device"]: found for found in cameras.run("-c", LIST, cameras.root)}

    return run


def test_webcam_is_listed_with_its_modes_best_first(cameras, listed):
    cameras.plug(0)
    assert listed()["/dev/video0"] == {
        "device": "/dev/video0",
        "card": "HD Pro Webcam",
        "driver": "uvcvideo",
        "bus": "usb-0000:00:14.0-1",
        "modes": [
            {"format": "MJPG", "size": [1280, 720], "fps": [30, 15]},
            {"format": "MJPG", "size": [640, 480], "fps": [60, 30]},
            {"format": "MJPG", "size": [160, 120], "fps": [120]},
            {"format": "YUYV", "size": [640, 480], "fps": [60, 30]},
            {"format": "YUYV", "size": [320, 240], "fps": [30]},
        ],
        "source": "/dev/video0",
        "fastest": "v4l2:///dev/video0?format=MJPG&size=640x480&fps=60",
        "problem": "",
    }


def test_url_of_the_fastest_mode_is_one_that_the_camera_obeys(cameras, listed):
    cameras.add_pictures()
    cameras.plug(0)
    told = cameras.watch(listed()["/dev/video0"]["fastest"], 1)
    assert (told["size"], told["fps"], told["log"]) == ([640, 480], 60, [])


def test_cameras_stand_in_the_order_of_their_numbers(cameras, listed):
    for number in (10, 9, 0):
        cameras.plug(number)
    assert list(listed()) == ["/dev/video0", "/dev/video9", "/dev/video10"]


def test_nodes_that_give_no_pictures_are_left_out(cameras, listed):
    cameras.plug(0)
    cameras.plug(1, **METADATA)
    cameras.plug(2, node="output")
    assert list(listed()) == ["/dev/video0"]


def test_sensors_of_a_jetson_are_counted_as_argus_counts_them(cameras, listed):
    cameras.plug(0, **CSI)
    cameras.plug(1)
    cameras.plug(2, **CSI)
    found = listed()
    assert [camera["source"] for camera in found.values()] == ["csi://0", "/dev/video1", "csi://1"]
    assert found["/dev/video2"]["fastest"] is None
    assert found["/dev/video2"]["modes"][0] == {
        "format": "RG10", "size": [3280, 2464], "fps": [21]
    }  # fmt: skip


def test_camera_that_is_closed_to_this_user_is_listed_with_what_mends_it(cameras, listed):
    cameras.plug(0, deny="")
    name = cameras.root / "sys/class/video4linux/video0/name"
    name.parent.mkdir(parents=True)
    name.write_text("HD Pro Webcam\n")
    found = listed()["/dev/video0"]
    assert found["card"] == "HD Pro Webcam"
    assert found["problem"] == (
        "permission denied. Run: sudo usermod -aG video $USER, then log in again"
    )


def test_range_of_sizes_is_told_by_its_largest(cameras, listed):
    cameras.plug(0, format="YUYV ~1920x1080@30,7.5")
    (mode,) = listed()["/dev/video0"]["modes"]
    assert mode == {"format": "YUYV", "size": [1920, 1080], "fps": [30, 7.5]}


def test_camera_can_be_listed_while_it_streams(cameras, listed):
    cameras.add_pictures()
    cameras.plug(0)
    script = (
        "from edge.camera.base import open_source\n"
        "with open_source('0') as source:\n"
        "    source.read()\n"
        "    print('streaming', flush=True)\n"
        "    input()\n"
        "    print(source.read().seq)\n"
    )
    with cameras.start("-c", script) as user:
        assert user.stdout.readline() == "streaming\n"
        assert listed()["/dev/video0"]["problem"] == ""
        assert user.communicate("\n", timeout=60) == ("1\n", "")


def test_files_that_are_no_cameras_are_left_out(tmp_path):
    (tmp_path / "dev").mkdir()
    for name in ("video0", "videodev", "video1x"):
        (tmp_path / "dev" / name).touch()
    assert list_cameras(SysRoot(tmp_path)) == []


modes = st.lists(
    st.builds(
        Mode,
        st.sampled_from(["MJPG", "YUYV"]),
        st.tuples(st.integers(16, 4096), st.integers(16, 2160)),
        st.lists(st.sampled_from([120.0, 60.0, 30.0, 7.5]), max_size=3).map(tuple),
    )
)


@given(modes)
def test_fastest_mode_is_mjpeg_and_none_that_is_fit_is_faster(offered):
    chosen = fastest_mode(offered)
    fit = [mode for mode in offered if mode.format == "MJPG" and min(mode.size) >= 240]
    assert (chosen is None) == (not fit)
    if chosen is not None:
        assert chosen in fit
        assert all(max(mode.fps, default=0) <= max(chosen.fps, default=0) for mode in fit)


def test_fastest_mode_has_about_720_lines_when_rates_tie():
    offered = [Mode("MJPG", size, (30.0,)) for size in ((3840, 2160), (1280, 800), (640, 480))]
    assert fastest_mode(offered).size == (1280, 800)


def test_url_of_a_mode_is_read_as_it_is_written(cameras, listed):
    cameras.plug(0, format="MJPG 1280x960@7.5")
    options = parse_source(listed()["/dev/video0"]["fastest"]).options
    assert (options.format, options.size, options.fps) == ("MJPG", (1280, 960), 7.5)
