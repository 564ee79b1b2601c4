"""Pictures as a source: one file, all pictures below a folder, or those that a pattern names."""

from __future__ import annotations

import glob
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge.camera.base import SourceInfo
from edge.camera.jpeg_head import read_plain_jpeg
from edge.camera.url import GLOB
from edge.errors import InputError
from edge.files import read_bytes
from edge.frame import Frame
from edge.image import PICTURE_SUFFIXES, decode_bytes, find_pictures, no_picture, to_pixels

if TYPE_CHECKING:
    from edge.camera.url import SourceURL
    from edge.frame import Data, Pixels

log = logging.getLogger(__name__)


class StillsSource:
    """Gives every picture once; see `edge.camera.base.Source`.

    JPEG files of several are given as they are, where a smaller decode gives the same picture;
    whether such a one is damaged shows only when it is decoded.

    Args:
        url: of a picture, a folder or a glob pattern. Of several pictures one that cannot be
            decoded is skipped and counted; a single one is an error.

    Raises:
        InputError: there is no picture, or the single one cannot be decoded.
    """

    def __init__(self, url: SourceURL) -> None:
        root, paths = _find(url.target)
        self._single: Pixels | None = None
        self._decode_ns = 0
        if paths is None:
            paths = [root]
            started_ns = time.monotonic_ns()
            self._single = _decode_whole(root)
            self._decode_ns = time.monotonic_ns() - started_ns
        self._root = root
        self._paths = paths
        self._next = 0
        self._given = 0
        self.unreadable = 0
        self.info = SourceInfo(name=url.name, live=False, size=None, fps=None)

    def read(self) -> Frame | None:
        """Give the next picture."""
        while self._next < len(self._paths):
            path = self._paths[self._next]
            self._next += 1
            if self._single is not None:
                return self._give_single(path, self._single)
            started_ns = time.monotonic_ns()
            try:
                data = _read_listed(path)
            except InputError as error:
                log.info("%s", error)
                self.unreadable += 1
                continue
            took_ns = time.monotonic_ns() - started_ns
            file = str(path.relative_to(self._root))
            frame = Frame(data, self._given, started_ns, took_ns, self.info.name, file)
            self._given += 1
            return frame
        return None

    def _give_single(self, path: Path, data: Pixels) -> Frame:
        """Give what was decoded at the opening, as if it were now: the time between is not its."""
        self._single = None
        decode_ns = self._decode_ns
        captured_ns = time.monotonic_ns() - decode_ns
        return Frame(data, 0, captured_ns, 0, self.info.name, path.name, decode_ns=decode_ns)

    def stop(self) -> None:
        """Let `read` end by itself, which takes no longer than one picture."""

    def close(self) -> None:
        """Hold nothing, release nothing."""


def read_still(path: Path) -> Data:
    """Give a file's picture, coded where that will do.

    Raises:
        InputError: the file cannot be read or is no picture.
    """
    coded = read_bytes(path)
    jpeg = read_plain_jpeg(coded)
    return decode_bytes(coded, path) if jpeg is None else jpeg


def _read_listed(path: Path) -> Data:
    """Give one of several pictures; a named pipe, to which nobody may ever write, is none."""
    if path.is_fifo():
        raise no_picture(path)
    return read_still(path)


def _decode_whole(path: Path) -> Pixels:
    """Decode a picture, and refuse a damaged JPEG as a folder does: OpenCV would show what is left.

    Raises:
        InputError: the file cannot be read, or is damaged, or no picture.
    """
    data = read_still(path)
    try:
        return to_pixels(data)
    except InputError as error:
        raise no_picture(path) from error


def _find(target: str) -> tuple[Path, list[Path] | None]:
    """Give the folder that file names count from, and the pictures, sorted.

    A single picture is its own folder, without a list.

    Raises:
        InputError: there is none.
    """
    root = Path(target)
    if root.is_dir():
        paths = find_pictures(root)
        if not paths:
            raise InputError(
                f"{root}: holds no picture",
                hint="Put JPEG or PNG files there, or name another folder",
            )
        return root, paths
    if root.exists() or GLOB.search(target) is None:
        return root, None
    names = glob.glob(target, recursive=True)  # noqa: PTH207 # Path.glob shows hidden files too
    found = (Path(name) for name in names)
    paths = sorted(path for path in found if path.suffix.lower() in PICTURE_SUFFIXES)
    if not paths:
        raise InputError(
            f"{target}: matches no picture",
            hint='Give a pattern in quotes, for example "photos/*.jpg"',
        )
    while GLOB.search(str(root)):
        root = root.parent
    return root, paths
