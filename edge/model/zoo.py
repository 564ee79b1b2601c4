"""Models by name: those that ship with edge, and those that it fetches from their public origin."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.assets import bundled, user_folder
from edge.errors import ModelError
from edge.files import explain_os_error, read_toml, sha256_file
from edge.model.download import download
from edge.model.importers import ContractFlags, import_model
from edge.model.onnx_file import save_model

if TYPE_CHECKING:
    from collections.abc import Callable


CATALOGUE = "engines/models.toml"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One model of `engines/models.toml`.

    Attributes:
        name: what `--model` takes.
        summary: one line for a person.
        licence: of the weights.
        size_bytes: of the file.
        sha256: of the file.
        file: path among the bundled data, for a model that ships with edge.
        url: public origin, for a model that is fetched.
    """

    name: str
    summary: str
    licence: str
    size_bytes: int
    sha256: str
    file: str | None = None
    url: str | None = None

    def path(self) -> Path:
        """Where the ONNX lies, or will lie once it is fetched."""
        return bundled(self.file) if self.file else user_folder("models") / f"{self.name}.onnx"


def list_models() -> list[CatalogueEntry]:
    """Give the catalogue in its own order."""
    tables = read_toml(bundled(CATALOGUE))
    return [CatalogueEntry(name=name, **fields) for name, fields in tables.items()]


def find_model(name: str) -> CatalogueEntry:
    """Give the entry of this name.

    Raises:
        ModelError: there is none; the hint names the nearest.
    """
    entries = {entry.name: entry for entry in list_models()}
    if name in entries:
        return entries[name]
    near = difflib.get_close_matches(name, entries, n=1)
    hint = f"Did you mean {near[0]}?" if near else "See: edge models list"
    raise ModelError(f"{name}: no such model file or name", hint=hint)


def resolve_model(name: str) -> Path:
    """Give the ONNX file behind a path or a catalogue name.

    Raises:
        InputError: the path cannot be looked at.
        ModelError: no such file or name, or a name that was not fetched yet.
    """
    path = Path(name)
    try:
        exists = path.exists()
    except OSError as error:  # a folder above is closed to this user, or the name is too long
        raise explain_os_error(name, error) from error
    if exists or path.suffix == ".onnx" or "/" in name:
        return path
    entry = find_model(name)
    if not entry.path().exists():
        raise ModelError(f"{name}: not on this machine yet", hint=f"Run: edge models pull {name}")
    return entry.path()


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
