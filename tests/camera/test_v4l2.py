"""A USB camera, played by a stand-in of the kernel's V4L2 under the real OpenCV (rig/v4l2.c).

OpenCV throws the first picture away, so that picture 1 is the first that comes.
"""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from rig.cameras import CSI, METADATA

from edge.camera.base import open_source
from edge.camera.url import SourceURL
from edge.camera.v4l2 import V4L2Source
from edge.errors import UnavailableError

ABSENT = 77
YUYV_STEP = 20 * 255 / 219
"""How much brighter each picture of the stand-in is than the one before, in full range."""


def numbers(told):
    """Tell which of the pictures of `Cameras.add_pictures` came."""
    return [int(frame["level"] // 20) for frame in told["frames"]]


def each(told, name):
    return [frame[name] for frame in told["frames"]]


def stamp_steps_us(told):
    stamps = each(told, "stamp_ns")
    return [(b - a) / 1000 for a, b in pairwise(stamps)]


@pytest.fixture
def webcam(cameras):
    cameras.add_pictures()
    cameras.plug()
    return cameras


def test_pictures_stay_coded_and_lose_their_padding(webcam):
    webcam.plug(pad=4000)
    told = webcam.watch(count=8)
    assert told["error"] is None
    assert set(each(told, "kind")) == {"Jpeg"}
    assert set(each(told, "ends")) == {"ffd8ffd9"}
    assert each(told, "seq") == list(range(8))
    assert numbers(told) == list(range(1, 9))
    assert told["unreadable"] == 0


def test_mjpeg_at_1280_x_720_is_asked_for_and_nothing_is_said_when_it_comes(webcam):
    told = webcam.watch(count=1)
    assert (told["name"], told["size"], told["fps"]) == ("/dev/video40", [1280, 720], 30)
    assert told["log"] == []


def test_frames_carry_the_stamps_of_the_driver_to_the_microsecond(webcam):
    """The stand-in takes a picture each 33,333.333 microseconds."""
    told = webcam.watch(count=9)
    assert each(told, "captured_ns") == each(told, "stamp_ns")
    assert set(stamp_steps_us(told)) <= {33333, 33334}
    assert abs(sum(stamp_steps_us(told)) - 8 * 33333.333) <= 1
    assert all(f["stamp_ns"] < f["came_ns"] - f["capture_ns"] for f in told["frames"])
    assert told["frames"][0]["stamp_ns"] > told["began_ns"]


def test_frames_are_stamped_here_when_the_driver_uses_another_clock(webcam):
    webcam.plug(clock="realtime")
    told = webcam.watch()
    assert all(stamp > 10**18 for stamp in each(told, "stamp_ns"))
    assert all(told["began_ns"] < f["captured_ns"] < f["came_ns"] for f in told["frames"])


@pytest.mark.parametrize("fault", ["corrupt", "error"])
def test_half_a_picture_is_counted_and_skipped(webcam, fault):
    webcam.plug(**{fault: 2})
    told = webcam.watch(count=5)
    assert numbers(told) == [1, 3, 4, 5, 6]
    assert each(told, "seq") == [0, 1, 2, 3, 4]
    assert told["unreadable"] == 1


@pytest.mark.parametrize("rubbish", [b"\xff\xd8 no picture \xff\xd9", b"\xff\xd9", b"\0" * 99])
def test_what_is_no_picture_is_counted_and_skipped(webcam, rubbish):
    (webcam.pictures / "02.jpg").write_bytes(rubbish)
    told = webcam.watch(count=3)
    assert (numbers(told), told["unreadable"]) == ([1, 3, 4], 1)


def without_huffman_tables(coded):
    kept, at = coded[:2], 2
    while coded[at + 1] != 0xDA:  # start of scan
        end = at + 2 + int.from_bytes(coded[at + 2 : at + 4], "big")
        kept += coded[at:end] if coded[at + 1] != 0xC4 else b""
        at = end
    return kept + coded[at:]


def test_pictures_without_huffman_tables_are_decoded(webcam):
    """Many USB cameras leave the tables of ITU-T T.81 Annex K.3 away; libjpeg-turbo knows them."""
    whole = webcam.watch()
    for picture in webcam.pictures.iterdir():
        coded = picture.read_bytes()
        picture.write_bytes(without_huffman_tables(coded))
        assert picture.stat().st_size < len(coded) - 400
    bare = webcam.watch()
    assert each(bare, "level") == each(whole, "level")
    assert numbers(bare) == [1, 2, 3]


def test_duplicate_keeps_the_stamp_of_the_frame_before(webcam):
    webcam.plug(duplicate=3)
    told = webcam.watch(count=4)
    assert numbers(told) == [1, 2, 2, 4]
    assert stamp_steps_us(told)[1] == 0


def test_frames_that_the_camera_lost_show_in_the_stamps_alone(webcam):
    """OpenCV does not tell the driver's count."""
    webcam.plug(gap=3)
    told = webcam.watch(count=4)
    assert each(told, "seq") == [0, 1, 2, 3]
    assert stamp_steps_us(told)[1] == pytest.approx(6 * 33333.333, abs=2)


def test_camera_is_lost_when_it_is_unplugged_and_opens_again_when_it_is_back(webcam):
    script = (
        "import json, sys\n"
        "from rig.watch import watch\n"
        "for turn in range(3):\n"
        "    print(json.dumps(watch('/dev/video40', 3)), flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    webcam.plug(unplug=3)
    with webcam.start("-c", script) as process:
        first = json.loads(process.stdout.readline())
        print(file=process.stdin, flush=True)
        absent = json.loads(process.stdout.readline())
        webcam.plug()
        print(file=process.stdin, flush=True)
        again = json.loads(process.stdout.readline())
        process.communicate("\n", timeout=60)
    assert numbers(first) == [1, 2]
    assert first["error"] == ["CameraLostError", "/dev/video40: unplugged. Check its plug"]
    assert absent["error"][0] == "UnavailableError"
    assert absent["error"][1].startswith("/dev/video40: no such camera. Plug it in")
    assert (numbers(again), each(again, "seq"), again["error"]) == ([1, 2, 3], [0, 1, 2], None)


def test_camera_is_lost_when_it_falls_silent_and_the_hint_is_about_usb(webcam):
    webcam.plug(stall=3)
    told = webcam.watch("v4l2:///dev/video40?timeout=3", 5)
    assert numbers(told) == [1, 2]
    kind, text = told["error"]
    assert kind == "CameraLostError"
    assert text == (
        "/dev/video40: no picture for 3 s. Plug it in again; if it stops once more, keep USB"
        " awake: echo on | sudo tee /sys/bus/usb/devices/*/power/control"
    )


def test_camera_that_takes_its_time_to_start_is_waited_for(webcam):
    """Longer than OpenCV waits at once; then it throws no picture away."""
    webcam.plug(late=1500)
    told = webcam.watch()
    assert (numbers(told), told["error"]) == ([0, 1, 2], None)


def test_camera_is_lost_when_its_driver_fails_with_the_device_still_there(webcam):
    """The file that plays the device is another one, which the open camera is no part of."""
    script = (
        "from edge.camera.base import open_source\n"
        "from edge.errors import CameraLostError\n"
        "with open_source('/dev/video40') as source:\n"
        "    source.read()\n"
        "    print('reading', flush=True)\n"
        "    input()\n"
        "    try:\n"
        "        while True: source.read()\n"
        "    except CameraLostError as error: print(error)\n"
    )
    webcam.plug()
    with webcam.start("-c", script) as process:
        assert process.stdout.readline() == "reading\n"
        webcam.plug()
        said, _ = process.communicate("\n", timeout=60)
    assert said == (
        "/dev/video40: its driver reports an error. Plug it in again; sudo dmesg says more\n"
    )


def test_camera_is_lost_when_only_rubbish_comes(webcam):
    for picture in webcam.pictures.iterdir():
        picture.write_bytes(b"rubbish")
    told = webcam.watch("v4l2:///dev/video40?timeout=3", 1)
    assert told["error"][1].startswith("/dev/video40: no picture for 3 s")
    assert told["unreadable"] > 2


def test_stop_ends_a_read_that_waits(webcam):
    webcam.plug(stall=2)
    script = (
        "import json, threading\n"
        "from edge.camera.base import open_source\n"
        "with open_source('v4l2:///dev/video40?timeout=300') as source:\n"
        "    first, rest = source.read(), []\n"
        "    reader = threading.Thread(target=lambda: rest.append(source.read()))\n"
        "    reader.start()\n"
        "    source.stop()\n"
        "    reader.join(30)\n"
        "    print(json.dumps([first.seq, rest, source.read()]))\n"
    )
    assert webcam.run("-c", script) == [0, [None], None]


def test_camera_that_another_program_uses_is_refused_with_its_name(webcam):
    script = (
        "from edge.camera.base import open_source\n"
        "with open_source('/dev/video40') as source:\n"
        "    source.read()\n"
        "    print('streaming', flush=True)\n"
        "    input()\n"
    )
    with webcam.start("-c", script) as user:
        assert user.stdout.readline() == "streaming\n"
        told = webcam.watch()
        user.communicate("\n", timeout=60)
    kind, text = told["error"]
    assert kind == "UnavailableError"
    assert text.startswith("/dev/video40: used by python")
    assert text.endswith(f" (process {user.pid}). Close that program")
    assert webcam.watch()["error"] is None


def test_options_choose_format_size_and_rate_and_raw_pictures_are_decoded(webcam):
    told = webcam.watch("v4l2:///dev/video40?format=YUYV&size=640x480&fps=60", 6)
    assert (told["size"], told["fps"], told["log"]) == ([640, 480], 60, [])
    assert each(told, "size") == [[640, 480]] * 6
    assert set(each(told, "kind")) == {"ndarray"}
    assert each(told, "level") == pytest.approx([YUYV_STEP * n for n in range(1, 7)], abs=2)


def test_what_the_camera_chose_otherwise_is_said_once(webcam):
    told = webcam.watch("v4l2:///dev/video40?size=1920x1080&fps=90")
    assert told["log"] == [
        "WARNING /dev/video40: gives MJPG 1280x720 at 30 fps, asked for MJPG 1920x1080 at 90 fps"
    ]
    assert told["size"] == [1280, 720]


def test_camera_without_mjpeg_gives_what_it_has(webcam):
    webcam.plug(format="YUYV 320x240@30")
    told = webcam.watch()
    assert told["log"] == [
        "INFO /dev/video40: gives YUYV 320x240 at 30 fps, asked for MJPG 1280x720 at 30 fps"
    ]
    assert each(told, "kind") == ["ndarray"] * 3


def test_frame_is_left_alone_when_the_source_reads_on(webcam):
    script = (
        "import json\n"
        "from edge.camera.base import open_source\n"
        "with open_source('v4l2:///dev/video40?format=YUYV') as source:\n"
        "    frames = [source.read() for _ in range(9)]\n"
        "print(json.dumps([int(frame.data.mean()) for frame in frames]))\n"
    )
    levels = webcam.run("-c", script)
    assert levels == pytest.approx([YUYV_STEP * n for n in range(1, 10)], abs=2)


def test_metadata_node_is_refused_with_the_node_that_gives_pictures(webcam):
    webcam.plug(41, **METADATA)
    webcam.plug(42, bus="usb-0000:00:14.0-2")
    kind, text = webcam.watch("41")["error"]
    assert kind == "InputError"
    assert text == (
        "/dev/video41: gives no pictures (HD Pro Webcam)."
        " Give /dev/video40, which is the same camera"
    )
    webcam.unplug(40)
    assert webcam.watch("41")["error"][1].endswith("(HD Pro Webcam). Try edge cameras")


def test_sensor_that_argus_must_read_is_refused_with_its_address(cameras):
    cameras.plug(0, **CSI)
    kind, text = cameras.watch("0")["error"]
    assert kind == "InputError"
    assert text.startswith("/dev/video0: a CSI sensor,")
    assert "csi://0" in text


def test_camera_whose_formats_opencv_cannot_read_is_refused(cameras):
    cameras.plug(format="H264 1920x1080@30")
    assert cameras.watch()["error"] == [
        "UnavailableError",
        "/dev/video40: OpenCV reads none of its formats. edge cameras lists them",
    ]


def test_camera_is_refused_with_the_group_to_join_when_it_is_closed_to_this_user(cameras):
    cameras.plug(deny="")
    assert cameras.watch()["error"] == [
        "UnavailableError",
        "/dev/video40: permission denied. Run: sudo usermod -aG video $USER, then log in again",
    ]


@pytest.mark.parametrize("name", [str(ABSENT), f"/dev/video{ABSENT}"])
def test_camera_is_refused_with_its_device_when_it_is_not_there(name):
    with (
        pytest.raises(UnavailableError, match=f"^/dev/video{ABSENT}: no such camera. Plug it in"),
        open_source(name),
    ):
        pass


def test_camera_is_refused_when_the_device_is_none(tmp_path):
    file = tmp_path / f"video{ABSENT}"
    file.touch()
    with pytest.raises(UnavailableError, match="cannot be opened as a camera"):
        V4L2Source(SourceURL("v4l2", str(file), str(file)))
