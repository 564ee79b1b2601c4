"""A network camera that speaks RTSP: decoded by hardware where GStreamer has it, else by FFmpeg."""

from __future__ import annotations

import time
from collections import deque
from threading import Event
from typing import TYPE_CHECKING

import av
import av.error

from edge.camera.base import SourceInfo
from edge.camera.ffmpeg import Decoder, find_video, silence_ffmpeg
from edge.camera.url import redact
from edge.errors import CameraLostError, EdgeError, InputError, UnavailableError
from edge.frame import Frame

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from edge.camera.base import Source
    from edge.camera.ffmpeg import Picture
    from edge.camera.url import SourceURL

LOOK_UP_S = 0.8
"""How often a read that waits looks up whether it is to stop; FFmpeg adds 0.1 s to it."""

LOGIN_HINT = (
    "Give them as in rtsp://user:password@host/path, with percent-encoding for"
    " what has a meaning there: %40 for @, %3A for :, %2F for /"
)


def open_rtsp(url: SourceURL) -> Source:
    """Open a network camera with the decoder that was asked for, or the best one here.

    Raises:
        InputError: wrong user or password, or the camera has no such path.
        UnavailableError: it does not answer, or the decoder is not here.
    """
    if url.options.decoder != "ffmpeg":
        from edge.camera.gstreamer import RTSPPipelineSource, has_hardware_decoder

        if url.options.decoder == "gstreamer" or has_hardware_decoder():
            return RTSPPipelineSource(url)
    return RTSPSource(url)


class RTSPSource:
    """Gives frames as the camera sends them; see `edge.camera.base.Source`.

    Pictures begin with the first key frame, as all before it would be grey. What FFmpeg hands
    over in one go after a hiccup is stamped with the time at which it came.

    Args:
        url: of a camera.

    Raises:
        InputError: wrong user or password, or the camera has no such path.
        UnavailableError: it does not answer, or sends no video.
    """

    def __init__(self, url: SourceURL) -> None:
        self._name = url.name
        self._timeout_s = url.options.timeout_s
        self._stopping = Event()
        self._container = _open_stream(url)
        stream = find_video(self._container)
        if stream is None:
            self._container.close()
            raise UnavailableError(
                f"{url.name}: sends no video that can be decoded",
                hint="Set the camera to H.264, or give another path",
            )
        self._stream = stream
        self._packets = self._container.demux(stream)
        self._decoder = Decoder(stream)
        self._ready: deque[Picture] = deque()
        self._came_ns = 0
        self._decode_ns = 0
        self._has_key = False
        self._given = 0
        rate = stream.guessed_rate or stream.average_rate
        size = stream.width, stream.height
        self.info = SourceInfo(
            name=url.name,
            live=True,
            size=size if all(size) else None,
            fps=float(rate) if rate else None,
        )

    @property
    def unreadable(self) -> int:
        """How many packets and frames were skipped because they are damaged."""
        return self._decoder.unreadable

    def read(self) -> Frame | None:
        """Wait for the next frame.

        Raises:
            CameraLostError: the camera hung up, or was silent for too long.
        """
        deadline = time.monotonic() + self._timeout_s
        while not self._ready:
            if self._stopping.is_set():
                return None
            packet = self._receive()
            if packet is not None:
                self._decode(packet)
            if not self._ready and time.monotonic() > deadline:
                what = "no picture" if self._has_key else "no key frame"
                raise CameraLostError(
                    f"{self._name}: sent {what} for {self._timeout_s:g} s",
                    hint="Check the camera and the network",
                )
        picture = self._ready.popleft()
        frame = Frame(
            picture.data,
            self._given,
            self._came_ns,
            0,
            self._name,
            stamp_ns=picture.stamp_ns,
            decode_ns=self._decode_ns,
        )
        self._given += 1
        return frame

    def _receive(self) -> Packet[VideoStream] | None:
        """Wait for a packet, None if none came until it was time to look up.

        Between two packets FFmpeg's reader goes on after a time-out as if nothing had been. In the
        middle of one it loses its place and says EPERM, of all things: the camera is lost then.
        """
        try:
            return next(self._packets)
        except av.error.ExitError:
            self._packets = self._container.demux(self._stream)
            return None
        except StopIteration:
            problem = "hung up"
        except av.error.FFmpegError as error:
            stalled = isinstance(error, PermissionError)
            problem = "stalled" if stalled else f"was lost ({redact(error.strerror or '?')})"
        # Outside of the handlers, as FFmpeg's error holds the URL with its password.
        raise CameraLostError(f"{self._name}: {problem}", hint="Check the camera and the network")

    def _decode(self, packet: Packet[VideoStream]) -> None:
        if not packet.size:  # the last one of a stream that has ended
            return
        self._has_key = self._has_key or packet.is_keyframe
        if self._has_key:
            self._came_ns, before_ns = time.monotonic_ns(), self._decoder.busy_ns
            self._ready.extend(self._decoder.decode(packet))
            self._decode_ns = self._decoder.busy_ns - before_ns

    def stop(self) -> None:
        """Let `read` give up when it looks up next, within a second."""
        self._stopping.set()

    def close(self) -> None:
        """Hang up."""
        self._packets = iter(())
        self._container.close()


def _open_stream(url: SourceURL) -> InputContainer:
    silence_ffmpeg()
    options = {
        "rtsp_transport": url.options.transport,
        "allowed_media_types": "video",
        "max_delay": str(1000 * url.options.latency_ms),
        # Else it collects more than a second of video, only to learn the frame rate. FFmpeg's
        # nobuffer would throw away the key frame that it learns the size from.
        "fpsprobesize": "0",
    }
    timeout_s = url.options.timeout_s
    started = time.monotonic()
    try:
        return av.open(
            url.target,
            mode="r",
            options=options,
            metadata_errors="replace",
            timeout=(timeout_s, LOOK_UP_S),
        )
    except av.error.FFmpegError as error:
        is_late = time.monotonic() - started >= timeout_s
        problem = _explain(url, error, is_late=is_late)
    # Outside of the handler, as FFmpeg's error holds the URL with its password.
    raise problem


def _explain(url: SourceURL, error: av.error.FFmpegError, *, is_late: bool) -> EdgeError:
    if isinstance(error, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
        return InputError(f"{url.name}: wrong user or password", hint=LOGIN_HINT)
    if isinstance(error, av.error.HTTPNotFoundError):
        return InputError(
            f"{url.name}: the camera has no such path", hint="Look it up in the camera's manual"
        )
    if isinstance(error, ConnectionRefusedError):
        return UnavailableError(
            f"{url.name}: connection refused", hint="Check the port, and that the camera is on"
        )
    if is_late:
        return UnavailableError(
            f"{url.name}: no answer within {url.options.timeout_s:g} s",
            hint="Check the address, and that the camera is on; timeout= gives it longer",
        )
    return UnavailableError(
        f"{url.name}: cannot be opened ({redact(error.strerror or '?')})",
        hint="Check the address, and that the camera speaks RTSP there",
    )
