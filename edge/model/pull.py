"""Fetches a model of the catalogue from its origin and imports it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge.assets import user_folder
from edge.errors import ModelError
from edge.files import sha256_file
from edge.model.download import download
from edge.model.importers import ContractFlags, import_model
from edge.model.onnx_file import save_model
from edge.model.zoo import find_model

if TYPE_CHECKING:
    from collections.abc import Callable


def pull_model(name: str, *, url: str | None, progress: Callable[[int, int], None]) -> Path:
    """Fetch a model from its origin, check it against the pinned hash and import it.

    A download that was cut is kept and goes on where it stopped.

    Args:
        name: in the catalogue.
        url: a mirror in the place of the public origin; the hash stays pinned.
        progress: called with the bytes so far and the bytes in all.

    Returns:
        The ONNX in the user's model folder.

    Raises:
        ModelError: no such name, or the bytes have another hash.
        UnavailableError: the origin cannot be reached or stopped halfway.
    """
    entry = find_model(name)
    if entry.url is None:
        return entry.path()
    origin = url or entry.url
    suffix = "".join(Path(entry.url).suffixes[-1:])
    part = user_folder("models") / f"{name}{suffix}"
    download(origin, part, entry.size_bytes, progress)
    if sha256_file(part) != entry.sha256:
        part.unlink()
        raise ModelError(
            f"{name}: what {origin} sent has another sha256 than edge expects, and was deleted",
            hint="Try again; if it stays so, the origin has changed its file",
        )
    save_model(import_model(part, ContractFlags()), entry.path())
    part.unlink()
    return entry.path()
