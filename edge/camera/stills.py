"""Pictures as a source: one file, or all pictures below a folder in sorted order."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from edge.camera.base import SourceInfo
from edge.errors import InputError
from edge.frame import Frame
from edge.image import decode, find_pictures

log = logging.getLogger(__name__)


class StillsSource:
    """Gives every picture once; see `edge.camera.base.Source`.

    Args:
        name: path of a picture or a folder. In a folder a picture that cannot be decoded is
            skipped and counted; a single one is an error.

    Raises:
        InputError: there is no picture, or the single one cannot be decoded.
    """

    def __init__(self, name: str) -> None:
        self._root = Path(name)
        self._is_folder = self._root.is_dir()
        self._paths = find_pictures(self._root) if self._is_folder else [self._root]
        if not self._paths:
            raise InputError(
                f"{self._root}: holds no picture",
                hint="Put JPEG or PNG files there, or name another folder",
            )
        self._next = 0
        self._given = 0
        self.unreadable = 0
        self.info = SourceInfo(name=name, live=False, size=None, fps=None)
        if not self._is_folder:
            decode(self._root)

    def read(self) -> Frame | None:
        """Decode the next picture."""
        while self._next < len(self._paths):
            path = self._paths[self._next]
            self._next += 1
            started_ns = time.monotonic_ns()
            try:
                pixels = decode(path)
            except InputError as error:
                if not self._is_folder:
                    raise
                log.info("%s", error)
                self.unreadable += 1
                continue
            done_ns = time.monotonic_ns()
            file = str(path.relative_to(self._root)) if self._is_folder else path.name
            frame = Frame(
                pixels, self._given, started_ns, done_ns - started_ns, self.info.name, file
            )
            self._given += 1
            return frame
        if not self._given:
            raise InputError(
                f"{self._root}: none of its {self.unreadable} pictures can be decoded",
                hint="Check that the files are whole JPEG or PNG pictures",
            )
        return None

    def close(self) -> None:
        """Hold nothing, release nothing."""
