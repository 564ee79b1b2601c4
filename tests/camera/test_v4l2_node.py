"""What V4L2 devices answer, read from bytes that a driver may have got wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.board import SysRoot
from edge.camera.v4l2_node import Node, find_user, fourcc_text, parse_capability

CAPTURE, CAPTURE_PLANES, OUTPUT, METADATA, M2M = 0x1, 0x1000, 0x2, 0x800000, 0x8000
DEVICE_CAPS = 0x80000000


def capability(whole, own=0, card=b"Webcam", bus=b"usb-1"):
    return struct.pack("=16s32s32s3I12x", b"uvcvideo", card, bus, 0x60100, whole, own)


@pytest.mark.parametrize(
    ("whole", "own", "buffers"),
    [
        (CAPTURE, 0, 1),
        (CAPTURE_PLANES, 0, 9),
        (CAPTURE | METADATA | DEVICE_CAPS, CAPTURE, 1),
        (CAPTURE | METADATA | DEVICE_CAPS, METADATA, None),
        (OUTPUT | DEVICE_CAPS, OUTPUT, None),
        (M2M, 0, None),
    ],
)
def test_node_captures_when_its_own_abilities_say_so(whole, own, buffers):
    """A USB camera's metadata node repeats what the whole camera can, and lacks it."""
    found = parse_capability(capability(whole, own))
    assert found == Node("Webcam", "uvcvideo", "usb-1", buffers)


def test_names_end_at_their_nul_and_hold_nothing_that_steers_a_terminal():
    found = parse_capability(capability(CAPTURE, card=b"Cam\x1b[31m\xff\0old bytes", bus=b"a" * 32))
    assert found.card == "Cam?[31m\N{REPLACEMENT CHARACTER}"
    assert found.bus == "a" * 32


@given(st.binary(min_size=104, max_size=104))
def test_any_answer_is_read(answer):
    found = parse_capability(answer)
    assert all(text.isprintable() for text in (found.card, found.driver, found.bus))
    assert found.buffers in {None, 1, 9}


@pytest.mark.parametrize(
    ("letters", "text"),
    [(b"MJPG", "MJPG"), (b"Y16 ", "Y16"), (b"Y16\xa0", "Y16"), (b"\0\0\0\0", "????")],
)
def test_fourcc_is_told_in_its_letters(letters, text):
    """The top bit of the last one says that the samples are big-endian."""
    assert fourcc_text(int.from_bytes(letters, "little")) == text


@given(st.integers(0, 2**32 - 1))
def test_any_fourcc_is_printable(code):
    assert fourcc_text(code).isprintable()


def machine(folder, device, *, comm="recorder\n"):
    """Make a /proc in which process 7 has a device open and process 8 is closed to us."""
    for process in ("7", "8"):
        (folder / "proc" / process / "fd").mkdir(parents=True)
    (folder / "proc" / "7" / "comm").write_text(comm)
    (folder / "proc" / "7" / "fd" / "0").symlink_to("/dev/null")
    (folder / "proc" / "7" / "fd" / "3").symlink_to("gone")
    (folder / "proc" / "7" / "fd" / "5").symlink_to(device)
    return SysRoot(folder)


def test_user_of_a_device_is_named(tmp_path):
    device = tmp_path / "video0"
    device.touch()
    assert find_user(device, machine(tmp_path, device)) == "recorder (process 7)"


def test_nobody_is_named_when_the_device_is_another_or_gone(tmp_path):
    device, other = tmp_path / "video0", tmp_path / "video1"
    device.touch()
    other.touch()
    root = machine(tmp_path, device)
    assert find_user(other, root) is None
    assert find_user(Path("/dev/video77"), root) is None
