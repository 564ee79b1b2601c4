"""Files of lines: each line is in its file whole or not at all, also when the disk is full."""

from __future__ import annotations

import os
import re
import select
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge.errors import InputError
from edge.files import explain_os_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

STDOUT = "-"

_ROTATION = re.compile(r"(\d{1,9})(k|M|G)B(?::(\d{1,4}))?", re.ASCII)
_UNIT_BYTES = {"k": 10**3, "M": 10**6, "G": 10**9}
KEEP = 5
"""Old files beside the current one where the person names no number."""

LONGEST_BYTES = 1 << 20
"""No line is longer; the end of an earlier file is looked for in so many bytes."""


class Lines(Protocol):
    """Where lines go."""

    def write(self, lines: bytes) -> None:
        """Take one line or several, each with its line feed.

        Raises:
            EdgeError: it cannot be kept.
            BrokenPipeError: its reader went away.
        """

    def close(self) -> None:
        """Let go; a second call does nothing."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """When a file is put aside, and how many of those are kept.

    Attributes:
        most_bytes: no file gets longer, but for one with a single line that is longer itself.
        keep: old files beside the current one, at least 1.
    """

    most_bytes: int
    keep: int


def parse_rotation(text: str) -> Rotation:
    """Read SIZE or SIZE:KEEP, such as 100MB:5; kB, MB and GB are powers of ten.

    Raises:
        InputError: it is neither, or one of them is 0.
    """
    found = _ROTATION.fullmatch(text)
    rotation = found and Rotation(
        int(found[1]) * _UNIT_BYTES[found[2]], KEEP if found[3] is None else int(found[3])
    )
    if not rotation or not rotation.most_bytes or not rotation.keep:
        raise InputError(
            f"--rotate {text}: is no size and number of old files",
            hint="Give it like 100MB:5, with kB, MB or GB",
        )
    return rotation


class LineFile:
    """A file, or stdout, that is written in whole lines without a buffer.

    With a rotation, FILE becomes FILE.1 when it is full, FILE.1 becomes FILE.2, and so on; the file
    of an earlier run is continued. Without one, an earlier file is replaced.

    Args:
        target: a path, or "-" for stdout, which stays open.
        head: the first line of each file, empty for none.
        rotation: None for one file that grows; stdout has none.

    Raises:
        InputError: the file cannot be made.
    """

    def __init__(self, target: str, head: bytes = b"", rotation: Rotation | None = None) -> None:
        self._path = None if target == STDOUT else Path(target)
        self._head = head
        self._rotation = rotation if self._path else None
        self._whole_bytes = 0
        with self._explained():
            if self._path and rotation and self._path.exists():
                self._whole_bytes = _find_end(self._path, head)
            self._file = self._open()

    def write(self, lines: bytes) -> None:
        """Write one line or several.

        Raises:
            InputError: the disk is full, or a full file cannot be put aside; the file ends with the
                last whole line.
            BrokenPipeError: the reader of stdout went away.
        """
        while lines:
            fitting = self._fitting_bytes(lines)
            if fitting:
                self._put(self._file, lines[:fitting])
                lines = lines[fitting:]
            else:
                self._file.close()
                self._whole_bytes = 0
                with self._explained():
                    self._file = self._open()

    def close(self) -> None:
        """Close the file; stdout stays open."""
        self._file.close()

    def _fitting_bytes(self, lines: bytes) -> int:
        """Give how much of them, in whole lines, goes into the file as it is."""
        if self._rotation is None:
            return len(lines)
        room_bytes = max(0, self._rotation.most_bytes - self._whole_bytes)
        if len(lines) <= room_bytes:
            return len(lines)
        fitting = lines.rfind(b"\n", 0, room_bytes) + 1
        has_lines = self._whole_bytes > len(self._head)
        return fitting if fitting or has_lines else lines.index(b"\n") + 1

    def _open(self) -> FileIO:
        """Open the file behind its last whole line; where there is none, make it with its head."""
        if self._path is None:
            file = open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)  # noqa: SIM115 - no path; kept open
        elif self._whole_bytes:
            file = self._path.open("ab", buffering=0)
            file.truncate(self._whole_bytes)  # a power cut may have left a part of a line
            return file
        else:
            if self._rotation:
                _put_aside(self._path, self._rotation.keep)
            file = self._path.open("wb", buffering=0)
        try:
            self._put(file, self._head)
        except BaseException:
            file.close()
            raise
        return file

    def _put(self, file: FileIO, lines: bytes) -> None:
        written = 0
        try:
            with self._explained():
                while written < len(lines):
                    written += _write_some(file, lines[written:])
        except InputError:
            if self._path is not None:
                whole = lines.rfind(b"\n", 0, written) + 1
                with suppress(OSError):  # a device
                    file.truncate(self._whole_bytes + whole)
            raise
        self._whole_bytes += len(lines)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise  # `| head` has seen enough, which is no fault
        except OSError as error:
            raise explain_os_error(self._path or "stdout", error) from error


def _write_some(file: FileIO, data: bytes) -> int:
    """Write what goes in at once; gives how many bytes."""
    count: int | None = file.write(data)
    if count is None:  # stdout was made non-blocking by a program that shares it
        select.select([], [file], [])
    return count or 0


def _find_end(path: Path, head: bytes) -> int:
    """Give where the last whole line of an earlier run ends; 0 where it is no file of this kind.

    Raises:
        InputError: it is a device or a folder.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: is no regular file and cannot be rotated",
            hint="Leave --rotate away, or name another file",
        )
    with path.open("rb") as file:
        if file.read(len(head)) != head:
            return 0
        start = max(0, file.seek(0, os.SEEK_END) - LONGEST_BYTES)
        file.seek(start)
        found = file.read().rfind(b"\n")
    return start + found + 1 if found >= 0 else 0


def _put_aside(path: Path, keep: int) -> None:
    """Rename the file, and each older one, to the next number; the oldest is replaced."""
    if not path.exists() or not path.stat().st_size:
        return
    for number in range(keep - 1, 0, -1):
        with suppress(FileNotFoundError):
            _numbered(path, number).replace(_numbered(path, number + 1))
    path.replace(_numbered(path, 1))


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
