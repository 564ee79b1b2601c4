"""Where data lies: what ships with edge, and the folders for what a user makes."""

from __future__ import annotations

import os
from pathlib import Path

from edge.errors import InputError

_PACKAGE = Path(__file__).resolve().parent


def bundled(name: str) -> Path:
    """Give the path of a file that ships with edge, for example "engines/models.toml".

    An installed package carries the data folders inside; in a checkout they lie beside it.
    """
    inside = _PACKAGE / "_data" / name
    return inside if inside.exists() else _PACKAGE.parent / name


def user_folder(kind: str) -> Path:
    """Give the folder for a user's "models" or "cache", made on first use.

    `EDGE_HOME` moves it; otherwise the XDG data folder holds it.

    Raises:
        InputError: it cannot be made, say in a home that is read-only.
    """
    home = os.environ.get("EDGE_HOME")
    if home:
        base = Path(home).expanduser()
    else:
        data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        base = Path(data).expanduser() / "edge"
    folder = base / kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: {str(error.strerror).lower()}", hint="Set EDGE_HOME to a folder of yours"
        ) from error
    return folder
