"""FFmpeg's decoder through PyAV: packets become pictures, where possible without a copy."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av.error
import av.logging
import numpy as np
from av.video.stream import VideoStream

from edge.errors import InputError
from edge.frame import Planes
from edge.image import read_jpeg

if TYPE_CHECKING:
    from fractions import Fraction

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.plane import VideoPlane

    from edge.frame import Data, Jpeg, Matrix, Pixels

PLANAR = frozenset(
    f"yuv{letter}{sampling}p" for letter in ("", "j") for sampling in (411, 420, 422, 440, 444)
)
INTERLEAVED = {"nv12": (0, 1), "nv21": (1, 0)}
"""Formats whose second plane holds Cb and Cr by turns, and where each stands."""

MATRICES: dict[int, Matrix] = {1: "bt709", 5: "bt601", 6: "bt601"}
UNKNOWN_MATRIX = frozenset({0, 2, 3})
FULL_RANGE = 2
"""Source: FFmpeg's libavutil/pixfmt.h, AVColorSpace and AVColorRange, which follow ITU-T H.273."""

HD_HEIGHT_PX = 720


def silence_ffmpeg() -> None:
    """Keep FFmpeg's own log lines off stderr; what went wrong is told in ours."""
    av.logging.set_level(None)


def find_video(container: InputContainer) -> VideoStream | None:
    """Give the video stream that FFmpeg holds for the main one and has a decoder for."""
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        return None
    return stream


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One decoded picture.

    Attributes:
        data: owns its memory, or shares it with nobody who writes.
        stamp_ns: when it is shown, on the stream's own clock, None where the stream does not say.
    """

    data: Data
    stamp_ns: int | None


class Decoder:
    """Turns the packets of one stream into upright pictures, in the order they are shown in.

    A packet of MJPEG that is a whole JPEG stays one. For one thread.

    Args:
        stream: whose packets come; nothing of it was decoded yet.

    Attributes:
        unreadable: packets and frames so far that are damaged.
        busy_ns: what all decoding took so far.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._context = stream.codec_context
        self._time_base = stream.time_base
        self._is_mjpeg = self._context.name == "mjpeg"
        self._is_upright: bool | None = None
        # Threads over frames would be up to twice as fast where nothing else runs, for a fourth
        # more of the processors' time. But a packet that is damaged near the end takes whole
        # pictures with it then, uncounted, and each picture comes some packets late.
        self._context.thread_type = "SLICE"
        # What no other picture builds on keeps the edges of its blocks, a tenth of the work of a
        # recorded H.264: they are much finer than what the network looks at.
        self._context.options = {"skip_loop_filter": "noref"}
        self.unreadable = 0
        self.busy_ns = 0

    def decode(self, packet: Packet[VideoStream]) -> list[Picture]:
        """Give the pictures that this packet completes; what is damaged is counted, not raised.

        Args:
            packet: of the stream; an empty one, which FFmpeg gives last, completes all.
        """
        started_ns = time.monotonic_ns()
        pictures = self._decode(packet)
        self.busy_ns += time.monotonic_ns() - started_ns
        return pictures

    def _decode(self, packet: Packet[VideoStream]) -> list[Picture]:
        if self._is_mjpeg and packet.size:
            if packet.is_corrupt:  # cut short: the rest of the picture would be grey
                self.unreadable += 1
                return []
            jpeg = self._pass_on(packet)
            if jpeg is not None:
                return [Picture(jpeg, self._stamp_ns(packet.pts, packet.dts))]
        pictures = []
        for frame in self._run(packet):
            if frame.is_corrupt:
                self.unreadable += 1
            else:
                stamp_ns = self._stamp_ns(frame.pts, frame.dts)
                pictures.append(Picture(_turn(read_frame(frame), frame.rotation), stamp_ns))
        return pictures

    def _run(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            return self._context.decode(packet)
        except av.error.FFmpegError:
            self.unreadable += bool(packet.size)
            return []

    def _pass_on(self, packet: Packet[VideoStream]) -> Jpeg | None:
        """Give the packet itself if it is a picture that needs no FFmpeg."""
        coded = bytes(packet)
        if not is_whole_jpeg(coded):
            return None
        if self._is_upright is None:  # how it is to be turned is told on decoded frames alone
            self._is_upright = all(frame.rotation == 0 for frame in self._run(packet))
        try:
            jpeg = read_jpeg(coded)
        except InputError:
            return None
        # Interlaced video has two JPEGs in a packet, each of half the height.
        is_all = (jpeg.width, jpeg.height) == (self._context.width, self._context.height)
        return jpeg if self._is_upright and is_all else None

    def _stamp_ns(self, shown: int | None, decoded: int | None) -> int | None:
        """Give a time stamp in nanoseconds; AVI has but the order of decoding."""
        ticks = decoded if shown is None else shown
        tick: Fraction | None = self._time_base
        return None if ticks is None or tick is None else int(ticks * tick * 1_000_000_000)


def is_whole_jpeg(coded: bytes) -> bool:
    """Tell a JPEG that has its Huffman tables and its end.

    Many AVI files leave the tables away, as they are always the same; libjpeg wants them.
    Source: ITU-T T.81, annex B.1.1 (markers) and B.2.1 (order of segments).
    """
    if not coded.startswith(b"\xff\xd8") or not coded.rstrip(b"\0").endswith(b"\xff\xd9"):
        return False
    place, has_tables = 2, False
    while place + 4 <= len(coded) and coded[place] == 0xFF:
        marker = coded[place + 1]
        if marker == 0xDA:  # start of scan
            return has_tables
        if marker == 0xFF:  # a filling byte
            place += 1
            continue
        has_tables = has_tables or marker == 0xC4
        place += 2 + int.from_bytes(coded[place + 2 : place + 4], "big")
    return False


def read_frame(frame: VideoFrame) -> Data:
    """Give a decoded frame's planes as they lie in FFmpeg's memory, or BGR of rarer formats.

    The arrays keep the frame, and FFmpeg does not write to a frame that somebody keeps; it may
    still read it for the next pictures, so they cannot be written to.
    """
    name = frame.format.name
    matrix = _matrix(frame)
    is_plain = matrix is not None and all(plane.line_size > 0 for plane in frame.planes)
    if matrix is None or not is_plain or (name not in PLANAR and name not in INTERLEAVED):
        return _convert(frame, matrix)
    full_range = frame.color_range == FULL_RANGE or name.startswith("yuvj")
    luma = _view(frame.planes[0])
    if name in INTERLEAVED:
        pairs = _view(frame.planes[1], samples=2)
        blue, red = (np.ascontiguousarray(pairs[:, start::2]) for start in INTERLEAVED[name])
    else:
        blue, red = _view(frame.planes[1]), _view(frame.planes[2])
    return Planes(luma, blue, red, matrix, full_range)


def _view(plane: VideoPlane, *, samples: int = 1) -> Pixels:
    """See a plane as (H, W * samples) without the bytes that fill its lines."""
    lines = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(plane.height, plane.line_size)
    lines.flags.writeable = False
    return lines[:, : plane.width * samples]


def _matrix(frame: VideoFrame) -> Matrix | None:
    """Tell which of our matrices made the frame, None for another one.

    Where the stream does not say, high definition is BT.709 and the rest BT.601.
    Source: CTA-861, default colorimetry of high and standard definition.
    """
    if frame.colorspace in UNKNOWN_MATRIX:
        return "bt709" if frame.height >= HD_HEIGHT_PX else "bt601"
    return MATRICES.get(frame.colorspace)


def _convert(frame: VideoFrame, matrix: Matrix | None) -> Pixels:
    """Make BGR with FFmpeg's own converter.

    It is asked for RGB, a format that no reader's path may take for the frame's own and leave
    alone: lines that run upwards (bottom-up AVI) are only read rightly by the converter.
    """
    spaces = {"bt709": "ITU709", "bt601": "ITU601", None: None}
    wanted = "bgr24" if frame.format.name == "rgb24" else "rgb24"
    # A frame that is RGB already has no matrix, and one that FFmpeg knows speaks for itself.
    source = None if frame.format.is_rgb else spaces[matrix]
    pixels = frame.reformat(format=wanted, src_colorspace=source).to_ndarray()
    bgr = pixels if wanted == "bgr24" else pixels[:, :, ::-1]
    return np.ascontiguousarray(bgr, dtype=np.uint8)


def _turn(data: Data, degrees: int) -> Data:
    """Turn a picture counterclockwise; an angle that is not right stays as it is."""
    if degrees % 360 == 0 or degrees % 90:
        return data
    quarters = degrees // 90
    if isinstance(data, Planes):
        luma, blue, red = (
            np.ascontiguousarray(np.rot90(part, quarters))
            for part in (data.luma, data.blue, data.red)
        )
        return Planes(luma, blue, red, data.matrix, data.full_range)
    if isinstance(data, np.ndarray):
        return np.ascontiguousarray(np.rot90(data, quarters))
    return data
