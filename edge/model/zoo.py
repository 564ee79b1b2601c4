"""Models by name: those that ship with edge, and those that it fetches from their public origin."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from edge.assets import bundled, user_path
from edge.errors import ModelError
from edge.files import explain_os_error, read_toml

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

    def is_here(self) -> bool:
        """Tell whether the ONNX lies there, as far as this user may look."""
        try:
            return self.path().exists()
        except OSError:
            return False

    def path(self) -> Path:
        """Where the ONNX lies, or will lie once it is fetched."""
        return bundled(self.file) if self.file else user_path("models") / f"{self.name}.onnx"


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
    if not entry.is_here():
        raise ModelError(f"{name}: not on this machine yet", hint=f"Run: edge models pull {name}")
    return entry.path()
