"""Where data lies: what ships with edge, and the folders for what a user makes."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import InputError

SET_HOME = "Set EDGE_HOME to a folder of yours"

_PACKAGE = Path(__file__).resolve().parent


def bundled(name: str) -> Path:
    """Give the path of a file that ships with edge, for example "engines/models.toml".

    An installed package carries the data folders inside; in a checkout they lie beside it.
    """
    inside = _PACKAGE / "_data" / name
    return inside if inside.exists() else _PACKAGE.parent / name


def user_path(kind: str) -> Path:
    """Give where a user's "models" or "cache" lie, without a look at the disk.

    `EDGE_HOME` moves it; otherwise the XDG data folder holds it.

    Raises:
        InputError: the user has no home.
    """
    home = os.environ.get("EDGE_HOME")
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    base = Path(home) if home else Path(data) / "edge"
    try:
        return base.expanduser() / kind
    except RuntimeError as error:
        raise InputError(f"{base}: this user has no home", hint=SET_HOME) from error


def user_folder(kind: str) -> Path:
    """Give the folder of `user_path`, made on first use.

    Raises:
        InputError: it cannot be made.
    """
    folder = user_path(kind)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made ({error.strerror or error})", hint=SET_HOME
        ) from error
    return folder
