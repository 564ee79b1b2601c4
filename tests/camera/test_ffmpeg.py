"""What FFmpeg decodes arrives as it is: in the right colours, upright, and left alone."""

from __future__ import annotations

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.camera.base import open_source
from edge.camera.ffmpeg import is_whole_jpeg
from edge.errors import CameraLostError
from edge.frame import Jpeg, Planes
from edge.image import to_pixels

COLOURS = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
BT709, BT601 = 1, 5
SIZE = (320, 240)


def picture(size, shift=0):
    """Give smooth random colours that move, uint8 (H, W, 3) BGR."""
    width, height = size
    wide = cv2.resize(COLOURS, (width + 64, height), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(wide[:, shift % 64 :][:, :width])


def encode(
    path, codec, pixel_format, *, size=SIZE, frames=4, numbers=None, colorspace=None, **options
):
    """Write a moving clip with PyAV, as near to lossless as the codec can."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            codec, rate=10, options={k: str(v) for k, v in options.items()}
        )
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        for number in numbers or range(frames):
            frame = av.VideoFrame.from_ndarray(picture(size, number), format="bgr24")
            coded = frame.reformat(
                format=pixel_format, dst_colorspace="ITU709" if colorspace == BT709 else None
            )
            coded.pts, coded.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(coded))
        container.mux(stream.encode())
    return path


def read_all(path):
    with open_source(str(path)) as source:
        return list(iter(source.read, None)), source


def opencv_frames(path):
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = []
    while True:
        ok, pixels = capture.read()
        if not ok:
            capture.release()
            return frames
        frames.append(pixels)


def difference(ours, theirs):
    return np.abs(ours.astype(int) - theirs).mean()


PLANAR = [
    ("a.mp4", "libx264", "yuv420p"),
    ("a.mp4", "libx264", "yuvj420p"),
    ("a.mp4", "libx264", "yuv422p"),
    ("a.mp4", "libx264", "yuv444p"),
    ("a.mkv", "rawvideo", "yuv420p"),
    ("a.mkv", "rawvideo", "nv12"),
]
RARE = [
    ("a.mp4", "libx264", "yuv420p10le"),
    ("a.avi", "rawvideo", "yuyv422"),
    ("a.mkv", "ffv1", "bgr0"),
    ("a.mkv", "ffv1", "gray"),
]


@pytest.mark.parametrize(("name", "codec", "pixel_format"), [*PLANAR, *RARE])
@pytest.mark.parametrize("size", [SIZE, (326, 242)])  # the second fills its lines up
def test_video_has_the_colours_that_opencv_sees(tmp_path, name, codec, pixel_format, size):
    """Within 1.5 of 255 on average: the two enlarge chroma in different ways."""
    options = {"qp": 2} if codec == "libx264" else {}
    path = encode(tmp_path / name, codec, pixel_format, size=size, **options)
    frames, _ = read_all(path)
    theirs = opencv_frames(path)
    assert len(frames) == len(theirs) == 4
    for frame, pixels in zip(frames, theirs, strict=True):
        assert isinstance(frame.data, Planes) == ((name, codec, pixel_format) in PLANAR)
        assert difference(to_pixels(frame.data), pixels) < 1.5
    if pixel_format.startswith("yuvj"):
        assert frames[0].data.full_range


@pytest.mark.parametrize(
    ("size", "colorspace", "matrix"),
    [
        (SIZE, BT709, "bt709"),
        ((1280, 720), BT601, "bt601"),
        ((1280, 720), BT709, "bt709"),
        (SIZE, None, "bt601"),
        ((320, 720), None, "bt709"),
    ],
)
def test_video_takes_the_matrix_of_the_stream_or_of_its_height(tmp_path, size, colorspace, matrix):
    path = encode(
        tmp_path / "a.mp4", "libx264", "yuv420p", size=size, frames=1, colorspace=colorspace, qp=2
    )
    frames, _ = read_all(path)
    assert frames[0].data.matrix == matrix
    if colorspace is not None:
        assert difference(to_pixels(frames[0].data), picture(size)) < 1.5


@pytest.mark.parametrize("colorspace", [BT601, BT709])
def test_rare_format_has_the_colours_of_its_matrix(tmp_path, colorspace):
    path = encode(tmp_path / "a.mp4", "libx264", "yuv444p10le", colorspace=colorspace, qp=2)
    frames, _ = read_all(path)
    assert difference(to_pixels(frames[0].data), picture(SIZE)) < 1.5


def turn_mp4(path, a, b, c, d):
    """Write a turn into the head of a track (ISO/IEC 14496-12, section 8.3.2)."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 44
    data[place : place + 20] = struct.pack(">5i", a << 16, b << 16, 0, c << 16, d << 16)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("turn", [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mov", "mjpeg")])
@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv444p10le"])
def test_video_of_a_turned_phone_is_upright_as_opencv_has_it(
    tmp_path, turn, name, codec, pixel_format
):
    if codec == "mjpeg":
        pixel_format = "yuvj422p"
    path = turn_mp4(encode(tmp_path / name, codec, pixel_format, **{"q:v": 2}), *turn)
    frames, source = read_all(path)
    theirs = opencv_frames(path)
    assert source.info.size == frames[0].size == theirs[0].shape[1::-1]
    assert len(frames) == 4
    for frame, pixels in zip(frames, theirs, strict=True):
        assert difference(to_pixels(frame.data), pixels) < 3


def test_video_reads_lines_that_run_upwards(tmp_path):
    """A bottom-up AVI, whose lines FFmpeg hands over with a negative step."""
    path = encode(tmp_path / "a.avi", "rawvideo", "bgr24")
    down, up = struct.pack("<ii", 320, -240), struct.pack("<ii", 320, 240)
    assert path.read_bytes().count(down) == 1
    path.write_bytes(path.read_bytes().replace(down, up))
    frames, _ = read_all(path)
    assert np.array_equal(to_pixels(frames[0].data), picture(SIZE)[::-1])


def test_video_frames_stay_whole_while_the_decoder_goes_on(tmp_path):
    """Predicted pictures are made from kept ones: none may be written over, by it or by us."""
    path = encode(tmp_path / "a.mp4", "libx264", "yuv420p", frames=60)
    kept, copies = [], []
    with open_source(str(path)) as source:
        for frame in iter(source.read, None):
            kept.append(frame)
            copies.append(frame.data.luma.copy())
    assert len(kept) == 60
    assert all(np.array_equal(a.data.luma, b) for a, b in zip(kept, copies, strict=True))
    with pytest.raises(ValueError, match="read-only"):
        kept[0].data.luma[0, 0] = 0


def test_video_stamps_are_those_of_the_file(tmp_path):
    path = encode(tmp_path / "a.mp4", "libx264", "yuv420p", frames=5, bf=2)
    frames, _ = read_all(path)
    assert [frame.stamp_ns for frame in frames] == [number * 100_000_000 for number in range(5)]


def test_mjpeg_is_passed_on_undecoded(tmp_path):
    path = encode(tmp_path / "a.avi", "mjpeg", "yuvj420p", **{"q:v": 2})
    frames, _ = read_all(path)
    for frame, pixels in zip(frames, opencv_frames(path), strict=True):
        assert isinstance(frame.data, Jpeg)
        assert frame.size == SIZE
        assert difference(to_pixels(frame.data), pixels) < 1.5


def without_tables(coded):
    """Take the Huffman tables out of a JPEG."""
    place, kept = 2, coded[:2]
    while coded[place + 1] != 0xDA:
        after = place + 2 + int.from_bytes(coded[place + 2 : place + 4], "big")
        kept += b"" if coded[place + 1] == 0xC4 else coded[place:after]
        place = after
    return kept + coded[place:]


def remux(source, target, change):
    """Copy a video, each packet as `change(number, coded)` gives it."""
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        template = before.streams.video[0]
        stream = after.add_stream_from_template(template)
        stream.time_base = 1 / template.average_rate
        for number, packet in enumerate(before.demux(video=0)):
            if packet.size:
                changed = av.Packet(change(number, bytes(packet)))
                changed.pts, changed.dts = packet.dts, packet.dts
                changed.duration = packet.duration
                changed.time_base = packet.time_base
                changed.is_keyframe = packet.is_keyframe
                changed.stream = stream
                after.mux(changed)
    return target


def test_mjpeg_without_its_huffman_tables_is_decoded(tmp_path):
    """As old cameras wrote AVI; whole JPEGs between them keep their place."""
    path = encode(tmp_path / "a.avi", "mjpeg", "yuvj420p", huffman="default", **{"q:v": 2})
    bare = remux(
        path,
        tmp_path / "b.avi",
        lambda number, coded: coded if number == 2 else without_tables(coded),
    )
    frames, source = read_all(bare)
    assert [type(frame.data) for frame in frames] == [Planes, Planes, Jpeg, Planes]
    for frame, pixels in zip(frames, opencv_frames(path), strict=True):
        assert difference(to_pixels(frame.data), pixels) < 1.5
    assert source.unreadable == 0


@pytest.mark.parametrize("damaged", [{5, 11}, {18}])
def test_damaged_packets_are_counted_and_skipped(tmp_path, damaged):
    """Near the end too, where threads over frames would take sound pictures with it."""
    path = encode(tmp_path / "a.mp4", "libx264", "yuv420p", frames=20, g=1)
    other = remux(
        path,
        tmp_path / "b.mp4",
        lambda number, coded: bytes(len(coded)) if number in damaged else coded,
    )
    frames, source = read_all(other)
    assert (len(frames), source.unreadable) == (20 - len(damaged), len(damaged))
    assert [frame.seq for frame in frames] == list(range(len(frames)))


def test_avi_whose_recorder_dropped_frames_is_whole(tmp_path):
    """Its header counts the dropped ones too."""
    path = encode(tmp_path / "a.avi", "mjpeg", "yuvj420p", numbers=[0, 1, 5, 6])
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 7
    frames, _ = read_all(path)
    assert [frame.stamp_ns for frame in frames] == [n * 100_000_000 for n in (0, 1, 5, 6)]


def test_video_that_was_trimmed_by_an_edit_list_is_whole(tmp_path):
    """Phones trim so: the frames are still there, and hidden (ISO/IEC 14496-12, section 8.6.6)."""
    path = encode(tmp_path / "a.mp4", "libx264", "yuv420p", frames=20, bf=0, g=1)
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") + 12
    (duration,) = struct.unpack_from(">I", data, place)
    struct.pack_into(">I", data, place, duration // 2)
    path.write_bytes(data)
    frames, _ = read_all(path)
    assert len(frames) in {10, 11}


def test_video_with_a_name_like_a_protocol_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "http:x.mkv", "ffv1", "yuv420p")
    frames, _ = read_all("http:x.mkv")
    assert len(frames) == 4


def test_video_cut_behind_its_index_says_how_much_is_there(tmp_path):
    path = encode(tmp_path / "a.mp4", "libx264", "yuv420p", frames=20, g=1, movflags="")
    with (
        av.open(str(path)) as whole,
        av.open(str(tmp_path / "b.mp4"), "w", options={"movflags": "faststart"}) as fast,
    ):
        stream = fast.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.size:
                packet.stream = stream
                fast.mux(packet)
    data = (tmp_path / "b.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(data[: len(data) * 3 // 4])
    given_frames = []
    with (
        open_source(str(tmp_path / "b.mp4")) as source,
        pytest.raises(CameraLostError) as lost,
    ):
        given_frames.extend(iter(source.read, None))
    assert "of 20 frames, it is truncated or damaged" in str(lost.value)


@given(st.binary(max_size=300))
def test_is_whole_jpeg_answers_whatever_comes(noise):
    assert not is_whole_jpeg(noise)
    is_whole_jpeg(b"\xff\xd8" + noise + b"\xff\xd9")


@given(st.data())
def test_is_whole_jpeg_takes_whole_ones_alone(data):
    coded = cv2.imencode(".jpg", picture((32, 24)))[1].tobytes()
    assert is_whole_jpeg(coded)
    assert is_whole_jpeg(coded + bytes(data.draw(st.integers(0, 20))))
    assert not is_whole_jpeg(coded[: data.draw(st.integers(0, len(coded) - 1))])
    assert not is_whole_jpeg(without_tables(coded))


def test_only_pictures_that_no_other_builds_on_keep_the_edges_of_their_blocks(tmp_path):
    path = encode(
        tmp_path / "coarse.mp4", "libx264", "yuv420p",
        frames=12, bf=2, crf=40, **{"b-pyramid": "none"},
    )  # fmt: skip
    ours, _ = read_all(path)
    with av.open(str(path)) as container:
        whole = [(frame.pict_type, frame.to_ndarray()) for frame in container.decode(video=0)]
    kinds = {kind for kind, _ in whole}
    assert len(kinds) == 3  # I, P and B
    b_kind = av.video.frame.PictureType.B
    apart = {True: [], False: []}
    for frame, (kind, planes) in zip(ours, whole, strict=True):
        luma = planes[: SIZE[1]].astype(int)
        apart[kind == b_kind].append(np.abs(frame.data.luma - luma).mean())
    assert max(apart[False]) == 0
    assert 0 < max(apart[True]) < 2
