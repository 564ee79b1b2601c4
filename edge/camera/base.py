"""The source protocol, and the table of its implementations."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from edge.camera.url import parse_source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.camera.url import Kind, SourceURL
    from edge.frame import Frame


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What an open source is.

    Attributes:
        name: as records name it.
        live: frames come when they come and old ones are worthless; otherwise each one counts.
        size: width and height in pixels, None where pictures differ.
        fps: frames per second as the source states it, None where it has no rate.
    """

    name: str
    live: bool
    size: tuple[int, int] | None
    fps: float | None


class Source(Protocol):
    """A sequence of frames. Made from a `SourceURL`, read by one thread, closed once after it."""

    @property
    def info(self) -> SourceInfo:
        """What this source is."""

    @property
    def unreadable(self) -> int:
        """How many pictures were skipped so far because they could not be decoded."""

    def read(self) -> Frame | None:
        """Wait for the next frame; None at the end.

        A live source waits no longer than its `SourceOptions.timeout_s`.

        Raises:
            CameraLostError: the source worked and then failed.
        """

    def stop(self) -> None:
        """Let a `read` that waits in another thread give up within a second, with None."""

    def close(self) -> None:
        """Release the device; a second call does nothing."""


SOURCES: dict[Kind, str] = {
    "csi": "edge.camera.gstreamer:CSISource",
    "demo": "edge.camera.demo:DemoSource",
    "gst": "edge.camera.gstreamer:PipelineSource",
    "http": "edge.camera.mjpeg:MJPEGSource",
    "rtsp": "edge.camera.rtsp:open_rtsp",
    "stills": "edge.camera.stills:StillsSource",
    "v4l2": "edge.camera.v4l2:V4L2Source",
    "video": "edge.camera.video_file:VideoFileSource",
}
"""Kind to what makes a `Source` of a `SourceURL`, imported when it is asked for."""


def connect(url: SourceURL) -> Source:
    """Open a source; the caller closes it.

    Raises:
        InputError: it does not exist or cannot be read as what it is.
        UnavailableError: it, or what it needs, is not here now.
    """
    module, attribute = SOURCES[url.kind].split(":")
    source: Source = getattr(import_module(module), attribute)(url)
    return source


@contextmanager
def open_source(word: str) -> Iterator[Source]:
    """Open what a person typed for the length of a `with` block; see `connect`."""
    source = connect(parse_source(word))
    try:
        yield source
    finally:
        source.close()
