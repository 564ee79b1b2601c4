"""A video file as a source: every frame, as fast as they are taken."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import av.error

from edge.camera.base import SourceInfo
from edge.camera.ffmpeg import Decoder, find_video, silence_ffmpeg
from edge.errors import CameraLostError, InputError
from edge.files import explain_os_error
from edge.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Generator

    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

    from edge.camera.ffmpeg import Picture
    from edge.camera.url import SourceURL

WHOLE_SHARE = 0.9
"""How much of the duration must be there where frames are not counted: many formats do not tell how
long the last packet lasts."""

STAMPS_MAY_JUMP = 0x200
"""Source: FFmpeg's libavformat/avformat.h, AVFMT_TS_DISCONT."""


class VideoFileSource:
    """Gives each frame of a file once; see `edge.camera.base.Source`.

    Args:
        url: of a video that FFmpeg reads.

    Raises:
        InputError: the file cannot be read or is no video.
    """

    def __init__(self, url: SourceURL) -> None:
        path = Path(url.target)
        self._container = _open_file(path)
        stream = find_video(self._container)
        if stream is None:
            self._container.close()
            raise InputError(
                f"{path}: holds no video that can be decoded", hint="Give another file"
            )
        self._stream = stream
        self._decoder = Decoder(stream)
        self._announced = _count_frames(self._container, stream)
        self._least_ns = 0 if self._announced else _least_reach_ns(self._container)
        self._seen = 0
        self._reached_ns = 0
        self._is_avi = self._container.format.name == "avi"
        self._is_damaged = False
        self._given = 0
        self._pictures = self._decode()
        self._name = url.name
        # Only a decoded picture tells how large it is when it is turned upright.
        self._first = self._next()
        if not self._seen:
            self._container.close()
            raise InputError(
                f"{path}: holds no picture", hint="Play it elsewhere, or copy it again"
            )
        rate = stream.guessed_rate or stream.average_rate
        self.info = SourceInfo(
            name=url.name,
            live=False,
            size=self._first.size if self._first else (stream.width, stream.height),
            fps=float(rate) if rate else None,
        )

    @property
    def unreadable(self) -> int:
        """How many packets and frames were skipped because they are damaged."""
        return self._decoder.unreadable

    def read(self) -> Frame | None:
        """Decode the next frame.

        Raises:
            CameraLostError: the file ends before the frames that its header announces.
        """
        if self._first is not None:
            frame, self._first = replace(self._first, captured_ns=time.monotonic_ns()), None
            return frame
        following = self._next()
        if following is None:
            self._check_whole()
        return following

    def _next(self) -> Frame | None:
        started_ns, decoded_ns = time.monotonic_ns(), self._decoder.busy_ns
        picture = next(self._pictures, None)
        if picture is None:
            return None
        decode_ns = self._decoder.busy_ns - decoded_ns
        frame = Frame(
            picture.data,
            self._given,
            started_ns,
            time.monotonic_ns() - started_ns - decode_ns,
            self._name,
            stamp_ns=picture.stamp_ns,
            decode_ns=decode_ns,
        )
        self._given += 1
        return frame

    def _decode(self) -> Generator[Picture, None, None]:
        try:
            # Of all streams, for sound may go on after the last picture of a whole file.
            for packet in self._container.demux():
                self._note_reach(packet)
                if packet.stream.index != self._stream.index:
                    continue
                if packet.size:
                    self._seen = self._place_of(packet)
                yield from self._decoder.decode(cast("Packet[VideoStream]", packet))
        except av.error.FFmpegError:  # of the container, behind which nothing is found any more
            self._is_damaged = True

    def _note_reach(self, packet: Packet[Stream]) -> None:
        if packet.pts is not None and packet.time_base is not None:
            end_ns = int((packet.pts + (packet.duration or 0)) * packet.time_base * 1_000_000_000)
            self._reached_ns = max(self._reached_ns, end_ns)

    def _place_of(self, packet: Packet[Stream]) -> int:
        """Count packets; AVI also announces those that its recorder dropped, and numbers them."""
        return packet.dts + 1 if self._is_avi and packet.dts is not None else self._seen + 1

    def _check_whole(self) -> None:
        """Compare packets, not frames: a damaged one is there, and counted."""
        is_short = self._seen < self._announced or self._reached_ns < self._least_ns
        if self._is_damaged or is_short:
            of_all = f" of {self._announced}" if self._announced else ""
            raise CameraLostError(
                f"{self._name}: ends after {self._given}{of_all} frames,"
                " it is truncated or damaged",
                hint="Copy it again",
            )

    def stop(self) -> None:
        """Let `read` end by itself, which takes no longer than one frame."""

    def close(self) -> None:
        """Release the file; frames that were given stay whole."""
        self._pictures.close()
        self._container.close()


def _open_file(path: Path) -> InputContainer:
    silence_ffmpeg()
    refused = InputError(
        f"{path}: not a video, or a truncated one", hint="Play it elsewhere, or copy it again"
    )
    try:
        # Without a protocol, a name such as a:b.mp4 would be one.
        container = av.open(f"file:{path}", mode="r", metadata_errors="replace")
    except av.error.FFmpegError as error:
        if isinstance(error, OSError):
            raise explain_os_error(path, error) from error
        raise refused from error
    if container.format.name == "tty":  # FFmpeg draws any text file as a terminal would
        container.close()
        raise refused
    return container


def _count_frames(container: InputContainer, stream: VideoStream) -> int:
    """Give how many frames the file announces, 0 where it does not say.

    A QuickTime file may hold frames that its edit list hides: a film that was trimmed on a phone.
    FFmpeg's index is without them.
    """
    if "mov" in container.format.name:
        return min(stream.frames, len(stream.index_entries) or stream.frames)
    return stream.frames


def _least_reach_ns(container: InputContainer) -> int:
    """Give how far the stamps of a whole file reach at least, 0 where it announces no duration.

    From zero, as Matroska counts its duration so, also in a file that begins later. Formats whose
    stamps may jump announce none: FFmpeg takes it from the last stamp that is there. The rate says
    nothing, as screens and phones are recorded with one that varies.
    """
    if container.duration is None or container.format.flags & STAMPS_MAY_JUMP:
        return 0
    return int(container.duration * WHOLE_SHARE * 1_000_000_000 / av.time_base)
