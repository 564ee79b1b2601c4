"""The splitter of MJPEG streams: every server's dialect, any bytes, in pieces of any size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.mjpeg import Style
from strategies import QUICK

from edge.camera.multipart import HEAD_LIMIT_BYTES, SOI, Splitter, read_boundary

PICTURES = [
    cv2.imencode(".jpg", np.full((8 + number, 16, 3), 40 * number, np.uint8))[1].tobytes()
    for number in range(3)
]
PNG = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()

LIMIT_BYTES = 2000
"""Larger than any of `PICTURES`."""


def split(*pieces: bytes, boundary: str = "frame", limit_bytes: int = LIMIT_BYTES):
    """Give the pictures, and how many parts were passed over."""
    splitter = Splitter(boundary, limit_bytes)
    bodies = [
        part.body for number, piece in enumerate(pieces) for part in splitter.feed(piece, number)
    ]
    return bodies, splitter.skipped


def stream(style: Style) -> bytes:
    return b"".join(style.part(jpeg, 1.5) for jpeg in PICTURES)


STYLES = {
    "plain": Style(),
    "no length": Style(length="none"),
    "wrong length": Style(length="wrong"),
    "line feeds only": Style(line_end="\n"),
    "dashes in the name too": Style(content_type="multipart/x-mixed-replace;boundary=--frame"),
    "no dashes at all": Style(
        boundary="frame-of-mine", content_type='m/x; boundary="frame-of-mine"'
    ),
    "four dashes": Style(boundary="----frame", content_type="m/x; boundary=--frame"),
    "another boundary than named": Style(content_type="m/x; boundary=other"),
    "no boundary named": Style(content_type="multipart/x-mixed-replace"),
    "short boundary": Style(content_type="m/x; boundary=f", boundary="--f"),
    "blanks behind it": Style(boundary="--frame  "),
}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_splitter_reads_each_dialect(style):
    assert split(stream(style), boundary=read_boundary(style.content_type)) == (PICTURES, 0)


def test_splitter_gives_a_picture_before_the_next_part_begins():
    """Else each picture of a server without Content-Length came one picture late."""
    assert split(Style(length="none").part(PICTURES[0], 0).rstrip(b"\r\n")) == (PICTURES[:1], 0)


def test_splitter_gives_header_lines_and_when_the_picture_began():
    splitter = Splitter("frame")
    whole = Style().part(PICTURES[0], 1.5)
    middle = whole.index(SOI)
    assert splitter.feed(whole[:middle], 1) == []
    assert splitter.feed(whole[middle : middle + 50], 2) == []
    (part,) = splitter.feed(whole[middle + 50 :], 3)
    assert part.came_ns == 2
    assert part.head["x-timestamp"] == "1.500000"


def test_header_lines_are_not_taken_for_the_next_picture():
    splitter = Splitter("frame")
    parts = splitter.feed(Style().part(PICTURES[0], 1.5) + b"--other\r\n\r\n" + PICTURES[1], 0)
    assert [part.head.get("x-timestamp") for part in parts] == ["1.500000", None]


@pytest.mark.parametrize(
    "garbage",
    [
        b"preamble",
        b"\r\n\r\n",
        b"--frame\r\n",
        b"--frame\r\n--frame\r\n\r\n",
        b"\xff\xd8",
        b"\xff" * 100,
        b"--frame--\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
    ],
)
def test_garbage_between_parts_costs_nothing(garbage):
    parts = [Style().part(jpeg, 0) for jpeg in PICTURES]
    assert split(garbage, parts[0], garbage, parts[1], garbage, parts[2]) == (PICTURES, 0)


@pytest.mark.parametrize("body", [PNG, b"<html>busy</html>", b"", b"x" * 3 * LIMIT_BYTES])
def test_part_without_a_jpeg_is_counted(body):
    first, last = (Style().part(jpeg, 0) for jpeg in PICTURES[:2])
    assert split(first + Style().part(body, 0) + last) == (PICTURES[:2], 1)


def test_picture_without_blank_line_before_it_is_found():
    data = b"--frame\r\nContent-Type: image/jpeg\r\n" + PICTURES[0]
    assert split(data) == (PICTURES[:1], 0)


@pytest.mark.parametrize("style", [Style(), Style(line_end="\n"), Style(length="wrong")])
def test_picture_that_is_cut_off_ends_at_the_boundary_also_byte_by_byte(style):
    short = PICTURES[0][:-50]
    data = style.part(short, 0) + style.part(PICTURES[1], 0)
    wanted = [short + style.line_end.encode()[:-1], PICTURES[1]], 0
    assert split(data) == wanted
    assert split(*(data[at : at + 1] for at in range(len(data)))) == wanted


def test_picture_that_is_cut_off_without_a_boundary_ends_at_the_next_one():
    short = PICTURES[0][:-4]
    assert split(short + PICTURES[1], boundary="") == ([short, PICTURES[1]], 0)


def test_thumbnail_does_not_end_its_picture():
    thumbnail = b"\xff\xe1" + (2 + len(PICTURES[1])).to_bytes(2, "big") + PICTURES[1]
    picture = PICTURES[0][:2] + thumbnail + PICTURES[0][2:]
    assert split(Style().part(picture, 0), limit_bytes=10_000) == ([picture], 0)


@pytest.mark.parametrize("limit_bytes", [len(PICTURES[0]) - 1, len(PICTURES[0])])
def test_picture_beyond_the_limit_is_passed_over(limit_bytes):
    fits = limit_bytes == len(PICTURES[0])
    data = Style().part(PICTURES[0], 0)
    assert split(data, limit_bytes=limit_bytes) == ([PICTURES[0]] if fits else [], 0 if fits else 1)


def test_stream_goes_on_behind_a_picture_without_end():
    endless = PICTURES[0][:-2] + b"\x00" * 10 * LIMIT_BYTES
    assert split(endless + b"\r\n" + stream(Style())) == (PICTURES, 1)


def test_stream_goes_on_behind_header_lines_without_end():
    endless = b"--frame\r\n" + b"a: b\r\n" * HEAD_LIMIT_BYTES
    assert split(endless + b"\r\n" + stream(Style())) == (PICTURES, 1)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/x-mixed-replace; boundary=frame", "frame"),
        ('multipart/x-mixed-replace;boundary="--my frame"', "--my frame"),
        ("multipart/x-mixed-replace; charset=x; Boundary = --frame;x=y", "--frame"),
        ('multipart/x-mixed-replace; boundary="frame', "frame"),
        ("multipart/x-mixed-replace; boundary=", ""),
        ("multipart/x-mixed-replace", ""),
        ("", ""),
    ],
)
def test_boundary_is_read_of_the_content_type(content_type, boundary):
    assert read_boundary(content_type) == boundary


TEXT = [b"\r\n", b"\n", b"\r", b"--", b"frame", b"--frame\r\n", b"\n--frame\n", b": ", b"a: 1\r\n"]
CODED = [SOI, b"\xff", b"\xd8", b"\xff\xd9", b"\xff\xda\x00\x04", b"\xff\xe0\x00\x20", *PICTURES]
LONG = [b"\x00" * 300, b"x" * 1500, b"y" * HEAD_LIMIT_BYTES]
WORDS = st.sampled_from([*TEXT, *CODED, *LONG])
NOISE = st.lists(WORDS | st.binary(max_size=30), max_size=30).map(b"".join)


@st.composite
def pieces(draw: st.DrawFn, data: st.SearchStrategy[bytes]) -> tuple[bytes, list[bytes]]:
    """Draw some data, and the same data in pieces."""
    whole = draw(data)
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    return whole, [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


@QUICK
@given(pieces(NOISE), st.sampled_from(["frame", "frames", "f", ""]), st.integers(1, LIMIT_BYTES))
def test_any_bytes_in_any_pieces_give_the_same(drawn, boundary, limit_bytes):
    whole, parts = drawn
    wanted = split(whole, boundary=boundary, limit_bytes=limit_bytes)
    assert split(*parts, boundary=boundary, limit_bytes=limit_bytes) == wanted


@QUICK
@given(NOISE, st.sampled_from(list(STYLES.values())))
def test_good_part_is_found_behind_any_bytes(noise, style):
    """An announced boundary is wanted: without one a picture that never ends may swallow more."""
    boundary = style.boundary.strip()
    good = style.line_end.encode() + style.part(PICTURES[0], 0)
    bodies, _ = split(noise, good, boundary=boundary)
    assert bodies[-1] == PICTURES[0]


@QUICK
@given(NOISE, st.integers(1, LIMIT_BYTES))
def test_memory_stays_bounded(noise, limit_bytes):
    splitter = Splitter("frame", limit_bytes)
    for start in range(0, len(noise), 100):
        splitter.feed(noise[start : start + 100], 0)
        assert len(splitter._held) <= max(limit_bytes + 200, HEAD_LIMIT_BYTES)
