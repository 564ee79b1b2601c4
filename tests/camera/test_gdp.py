"""GStreamer's packets are read whole from any pieces, and nothing else is taken for one."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packets import BUFFER, CAPS, CAPS_TEXT, EVENT, NO_TIME, make_header, make_packet

from edge.camera.gdp import (
    HEADER_BYTES,
    MOST_BUFFER_BYTES,
    MOST_TEXT_BYTES,
    PacketReader,
)
from edge.camera.rawvideo import MOST_SIDE_PX, parse_caps
from edge.errors import InputError


def feed(reader, data, pieces=()):
    """Write `data` where the reader wants it, in pieces of the given sizes, then of any."""
    packets, rest, pieces = [], memoryview(data), list(pieces)
    while rest:
        space = reader.space()
        assert len(space) > 0
        count = min(len(space), len(rest), pieces.pop(0) if pieces else len(rest))
        space[:count] = rest[:count]
        rest = rest[count:]
        if (packet := reader.advance(count)) is not None:
            packets.append(packet)
    return packets


packets = st.lists(
    st.tuples(
        st.sampled_from([(BUFFER, "buffer"), (CAPS, "caps"), (EVENT, "event")]),
        st.binary(max_size=300),
        st.integers(0, NO_TIME),
        st.booleans(),
    ),
    max_size=6,
)


@given(packets, st.lists(st.integers(1, 80), max_size=60))
def test_reader_gives_every_packet_whole_from_any_pieces(sent, pieces):
    data = b"".join(
        make_packet(code, payload, pts_ns=pts_ns, buffer_flags=64 if gap else 0)
        for (code, _), payload, pts_ns, gap in sent
    )
    reader = PacketReader()
    came = feed(reader, data, pieces)
    assert [(packet.kind, packet.payload.tobytes()) for packet in came] == [
        (kind, payload) for (_, kind), payload, _, _ in sent
    ]
    for packet, ((_, kind), _, pts_ns, gap) in zip(came, sent, strict=True):
        is_timed = kind == "buffer" and pts_ns != NO_TIME
        assert packet.pts_ns == (pts_ns if is_timed else None)
        assert packet.is_after_gap == (gap and kind == "buffer")
    assert reader.is_between


@given(st.binary(min_size=HEADER_BYTES, max_size=400), st.lists(st.integers(1, 80)))
def test_reader_refuses_what_is_no_packet(data, pieces):
    with pytest.raises(InputError, match="not a stream of gdppay"):
        feed(PacketReader(), data, pieces)


@given(st.integers(0, HEADER_BYTES * 8 - 33))
def test_reader_refuses_a_header_with_one_wrong_bit(bit):
    header = bytearray(make_header(length=10))
    header[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InputError, match="not a stream of gdppay"):
        feed(PacketReader(), header)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (make_header(BUFFER, MOST_BUFFER_BYTES + 1), f"{MOST_BUFFER_BYTES + 1} bytes"),
        (make_header(CAPS, MOST_TEXT_BYTES + 1), f"{MOST_TEXT_BYTES + 1} bytes"),
        (make_header(EVENT, (1 << 32) - 1), f"{(1 << 32) - 1} bytes"),
        (make_header(3), "unknown kind 3"),
        (make_header(start=b"\x00\x02\x01\x00"), "GDP 1.0"),
        (make_header(start=b"\x01\x00\x00\x00"), "checksum"),
    ],
)
def test_reader_refuses_a_true_header_that_it_cannot_serve(header, named):
    with pytest.raises(InputError, match=named):
        feed(PacketReader(), header)


def test_reader_writes_a_payload_once_and_gives_each_packet_memory_of_its_own():
    reader = PacketReader()
    first, second = feed(reader, make_packet(BUFFER, b"abc") + make_packet(BUFFER, b"xyz"))
    assert not np.shares_memory(first.payload, second.payload)
    assert first.payload.tobytes() == b"abc"
    feed(reader, make_header(BUFFER, 3))
    reader.space()[:] = b"new"
    assert reader.advance(3).payload.tobytes() == b"new"


def test_reader_knows_whether_a_packet_has_begun():
    reader = PacketReader()
    assert reader.is_between
    feed(reader, make_header(BUFFER, 2)[:1])
    assert not reader.is_between
    feed(reader, make_header(BUFFER, 2)[1:])
    assert not reader.is_between
    feed(reader, b"ab")
    assert reader.is_between


@pytest.mark.parametrize(
    ("more", "matrix", "full_range"),
    [
        ("", "bt601", False),
        (", height=(int)720", "bt709", False),
        (", height=(int)576", "bt601", False),
        (", colorimetry=(string)bt709", "bt709", False),
        (", height=(int)1080, colorimetry=(string)bt601", "bt601", False),
        (", colorimetry=(string)1:4:0:0", "bt601", True),
        (", colorimetry=(string)2:3:5:1", "bt709", False),
        (", colorimetry=(string)1:0:0:0", "bt601", True),
        (", height=(int)720, colorimetry=(string)1:0:0:0", "bt709", True),
        (", colorimetry=(string)2:6:13:7", "bt709", False),
        (", colorimetry=(string)odd", "bt601", False),
    ],
)
def test_caps_say_which_colours_are_meant(more, matrix, full_range):
    caps = parse_caps(CAPS_TEXT + more)
    assert (caps.matrix, caps.full_range) == (matrix, full_range)


@pytest.mark.parametrize(
    ("rate", "fps"), [("30/1", 30.0), ("30000/1001", 30000 / 1001), ("0/1", None), ("1/0", None)]
)
def test_caps_say_the_rate_where_there_is_one(rate, fps):
    assert parse_caps(f"{CAPS_TEXT}, framerate=(fraction){rate}").fps == fps


@pytest.mark.parametrize(
    "text",
    [
        "",
        "audio/x-raw, format=(string)S16LE",
        CAPS_TEXT.replace("I420", "NV12"),
        CAPS_TEXT.replace("video/x-raw", "video/x-raw(memory:NVMM)"),
        CAPS_TEXT.replace("320", "0"),
        CAPS_TEXT.replace("320", str(MOST_SIDE_PX + 1)),
        CAPS_TEXT.replace("320", "9" * 5000),
        CAPS_TEXT.replace("width", "w"),
    ],
)
def test_caps_of_anything_else_are_refused(text):
    with pytest.raises(InputError, match="no raw I420 video"):
        parse_caps(text)


@given(st.text() | st.text().map(lambda text: CAPS_TEXT + text))
def test_caps_never_raise_anything_else(text):
    with suppress(InputError):
        assert parse_caps(text).size_bytes > 0


@pytest.mark.parametrize("change", [-1, 1])
def test_planes_want_exactly_one_picture(change):
    caps = parse_caps(CAPS_TEXT)
    memory = np.zeros(caps.size_bytes + change, dtype=np.uint8)
    with pytest.raises(InputError, match=f"{caps.size_bytes + change} bytes came"):
        caps.planes(memory)


@given(st.integers(1, 70), st.integers(1, 70), st.booleans())
def test_planes_share_the_memory_and_do_not_overlap(width, height, is_interlaced):
    mode = "interleaved" if is_interlaced else "progressive"
    caps = parse_caps(
        f"video/x-raw, format=I420, width={width}, height={height}, interlace-mode={mode}"
    )
    memory = np.zeros(caps.size_bytes, dtype=np.uint8)
    planes = caps.planes(memory)
    assert planes.luma.shape == (height, width)
    assert planes.blue.shape == planes.red.shape == ((height + 1) // 2, (width + 1) // 2)
    for part in (planes.luma, planes.blue, planes.red):
        np.add(part, 1, out=part)
    assert memory.max() == 1
    assert memory.sum() == planes.luma.size + 2 * planes.blue.size
