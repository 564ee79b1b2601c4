"""The source protocol, and which source a word on the command line means."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge.errors import InputError
from edge.files import explain_os_error
from edge.image import PICTURE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """A sequence of frames. Read by one thread; closed once, after the last read."""

    @property
    def info(self) -> SourceInfo:
        """What this source is."""

    @property
    def unreadable(self) -> int:
        """How many pictures were skipped so far because they could not be decoded."""

    def read(self) -> Frame | None:
        """Wait for the next frame; None at the end.

        Raises:
            CameraLostError: the source worked and then failed.
        """

    def close(self) -> None:
        """Release the device; a second call does nothing."""


SOURCES = {
    "demo": "edge.camera.demo:DemoSource",
    "v4l2": "edge.camera.v4l2:V4L2Source",
    "stills": "edge.camera.stills:StillsSource",
    "video": "edge.camera.video_file:VideoFileSource",
}
"""Kind to implementation, imported when it is asked for."""

_CAMERA = re.compile(r"(?:/dev/video)?(\d{1,3})")


def source_kind(name: str) -> str:
    """Tell which key of `SOURCES` a name on the command line means.

    Raises:
        InputError: it is neither a camera nor an existing file.
    """
    if name == "demo":
        return "demo"
    if _CAMERA.fullmatch(name):
        return "v4l2"
    path = Path(name)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as error:  # a folder above is closed to this user, or the name is too long
        raise explain_os_error(name, error) from error
    if is_folder or path.suffix.lower() in PICTURE_SUFFIXES:
        return "stills"
    if not exists:
        raise InputError(
            f"{name}: no such source",
            hint="Give demo, a camera (0 or /dev/video0), a video, a picture or a folder",
        )
    return "video"


@contextmanager
def open_source(name: str) -> Iterator[Source]:
    """Open a source for the length of a `with` block.

    Args:
        name: `demo`, a camera's number or device, or the path of a video, picture or folder.

    Raises:
        InputError: it does not exist or cannot be read as what it is.
        UnavailableError: this machine lacks what it needs.
    """
    module, attribute = SOURCES[source_kind(name)].split(":")
    source: Source = getattr(import_module(module), attribute)(name)
    try:
        yield source
    finally:
        source.close()
