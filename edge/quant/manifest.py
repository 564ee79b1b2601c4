"""A list of calibration pictures in a text file: one path a line, with its hash if it is known.

A path counts from the list's own folder. Behind it may stand the file's SHA-256 in hex, which is
then checked; `#` begins a comment line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edge.errors import CalibrationError
from edge.files import explain_os_error, read_bytes, sha256_file

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 2**24
"""Of a list: a hundred thousand long lines."""

LINE = re.compile(r"(?P<path>\S+(?:\s+\S+)*?)(?:\s+(?P<sha256>[0-9a-fA-F]{64}))?")


def read_manifest(manifest: Path) -> list[Path]:
    """Give the files of a list, sorted.

    Raises:
        CalibrationError: the list is no text, or a file of it is not there or is another one;
            names the line.
        InputError: the list or one of its files cannot be read.
    """
    try:
        lines = read_bytes(manifest, MOST_BYTES).decode().splitlines()
    except UnicodeDecodeError as error:
        raise _no_list(manifest) from error
    files = []
    for number, line in enumerate(lines, start=1):
        entry = LINE.fullmatch(line.strip())
        if entry is None or entry["path"].startswith("#"):
            continue
        if "\0" in line:
            raise _no_list(manifest)
        path = manifest.parent / entry["path"]
        _check(path, entry["sha256"], f"{manifest}, line {number}: {entry['path']}")
        files.append(path)
    return sorted(files)


def _check(path: Path, sha256: str | None, name: str) -> None:
    try:
        is_file = path.is_file()
    except OSError as error:  # a folder above is closed to this user, or the name is too long
        raise explain_os_error(name, error) from error
    if not is_file:
        raise CalibrationError(
            f"{name}: no such file", hint="Mend the line; a path counts from the list's own folder"
        )
    if sha256 is not None and sha256_file(path) != sha256.lower():
        raise CalibrationError(
            f"{name}: is another file than the one that was listed",
            hint="Get that file again, or take the hash out of the line",
        )


def _no_list(manifest: Path) -> CalibrationError:
    return CalibrationError(
        f"{manifest}: is no list of pictures",
        hint="Give a text file with one path a line, or a folder",
    )
