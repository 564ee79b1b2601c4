"""Files written whole or not at all, and their hashes."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 2**31 - 1
"""What an ONNX file can hold, the largest one that is read whole."""


def explain_os_error(path: Path | str, error: OSError) -> InputError:
    """Turn what the system said of a file into one line for a person."""
    reasons = {
        errno.ENOENT: ("no such file or folder", "Check the path"),
        errno.EACCES: ("permission denied", "Check the owner and mode of the path"),
        errno.EPERM: ("permission denied", "Check the owner and mode of the path"),
        errno.EISDIR: ("is a folder, a file is wanted", "Give the path of a file"),
        errno.ENOTDIR: ("a part of the path is a file", "Check the path"),
        errno.ENOSPC: ("no space left on the disk", "Free some space, then run it again"),
        errno.EDQUOT: ("the disk quota is used up", "Free some space, then run it again"),
        errno.EROFS: ("the file system is read-only", "Write to another folder"),
        errno.EFBIG: ("the file would be too large", "Write to another file system"),
    }
    wrong, mend = reasons.get(
        error.errno or 0, (error.strerror or "cannot be used", "Check the path")
    )
    return InputError(f"{path}: {wrong}", hint=mend)


def sha256_bytes(data: bytes) -> str:
    """Give the SHA-256 of some bytes in hex."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Give the SHA-256 of a file in hex, read in pieces.

    Raises:
        InputError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise explain_os_error(path, error) from error
    return digest.hexdigest()


def read_bytes(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Read a whole file.

    Args:
        path: the file.
        most_bytes: a larger one, say a video given by mistake, is not what is wanted.

    Raises:
        InputError: the file cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes <= most_bytes:
                return file.read()
    except OSError as error:
        raise explain_os_error(path, error) from error
    raise InputError(
        f"{path}: has {size_bytes:,} bytes, at most {most_bytes:,} are read", hint="Check the path"
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InputError: the file cannot be read or is no TOML.
    """
    try:
        tables: dict[str, Any] = tomllib.loads(read_bytes(path).decode())
    except ValueError as error:
        raise InputError(f"{path}: is no TOML ({error})", hint="Mend the line it names") from error
    return tables


def check_target(path: Path) -> None:
    """Refuse a path that could not be written, before long work is done for it.

    Raises:
        InputError: its folder is missing or closed, or it is a folder itself.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder")
        if path.is_file() or not path.exists():  # a device is written as it is
            _make_partial(path).unlink()
    except OSError as error:
        raise explain_os_error(path, error) from error


def check_target_folder(path: Path) -> None:
    """Refuse a folder that could not be made or written into, before long work is done for it.

    Raises:
        InputError: it is a file, or it or the folder above it is missing or closed.
    """
    try:
        exists, is_folder = path.exists(), path.is_dir()
    except OSError as error:  # a folder above is closed to this user, or the name is too long
        raise explain_os_error(path, error) from error
    if exists and not is_folder:
        raise InputError(f"{path}: is a file, a folder is wanted", hint="Give another path")
    check_target(path / ".probe" if exists else path)


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file so that a reader sees the old bytes or the new ones, never a part.

    Args:
        path: the file.
        data: all of it.
        mode: who may read and write it; nobody else may at any moment.

    Raises:
        InputError: the folder cannot be written or the disk is full; the old file is untouched.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(data)  # a device or a pipe: /dev/null must stay what it is
            return
        with _replacement(path, mode) as partial:
            partial.write_bytes(data)
            with partial.open("rb") as file:
                os.fsync(file.fileno())
    except OSError as error:
        raise explain_os_error(path, error) from error


@contextmanager
def _replacement(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Give a temporary file beside `path` that takes its place on success and goes on failure."""
    partial = _make_partial(path)
    try:
        yield partial
        partial.chmod(mode)
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def _make_partial(path: Path) -> Path:
    """Make an empty file beside `path`, whose name is cut so that it fits where `path` fits."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:32]}.")
    os.close(handle)
    return Path(name)
