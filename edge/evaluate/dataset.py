"""The pictures that a model is judged on, and the class of each: a folder of folders, or a CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import InputError
from edge.files import explain_os_error, read_bytes
from edge.image import find_pictures
from edge.model.class_names import match_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge.model.class_names import MatchedNames, NamedBy
    from edge.model.contract import Contract

NAMED = 5
"""Unknown names that an error's line holds at most."""

HOW = (
    "Name folders by label, number or ImageNet's WordNet id, or give a CSV of path,label;"
    " edge models show lists the labels"
)


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures to judge by. Of each one only its path and class is held.

    Attributes:
        source: the folder or CSV, as it was given.
        root: from which `names` count.
        names: of the files, sorted for a folder, in its order for a CSV.
        classes: of each picture; None where nobody knows them.
        named_by: what told the class; None where nothing did.
    """

    source: str
    root: Path
    names: tuple[str, ...]
    classes: tuple[int, ...] | None = None
    named_by: NamedBy | None = None

    def __iter__(self) -> Iterator[tuple[str, int | None]]:
        """Give name and class of each picture."""
        classes: Sequence[int | None] = self.classes or [None] * len(self.names)
        return zip(self.names, classes, strict=True)


def open_pictures(
    source: Path, contract: Contract, *, root: Path | None = None, wants_classes: bool = True
) -> Pictures:
    """Look for the pictures and their classes.

    In a folder the folders right below it name the classes, as torchvision's ImageFolder has it;
    else the folders that the pictures lie in. Each line of a CSV is a path and a class; a first
    line that names no picture is its heading.

    Args:
        source: the folder or CSV.
        contract: of the model.
        root: from which the paths of a CSV count; its own folder where it is None.
        wants_classes: refuse a folder in which no class is named.

    Raises:
        InputError: there is no picture, or a name is no class of the model; says which.
    """
    try:
        is_folder, is_file = source.is_dir(), source.is_file()
    except OSError as error:
        raise explain_os_error(source, error) from error
    if is_folder:
        if root is not None:
            raise InputError(
                f"{root}: only the paths of a CSV count from another folder",
                hint="Leave --pictures away",
            )
        return _open_folder(source, contract, wants_classes=wants_classes)
    if is_file:
        return _open_csv(source, root or source.parent, contract)
    raise InputError(
        f"{source}: no such folder or CSV", hint="Give a folder of pictures, or a CSV of path,label"
    )


def _open_folder(folder: Path, contract: Contract, *, wants_classes: bool) -> Pictures:
    files = [path.relative_to(folder) for path in find_pictures(folder)]
    if not files:
        raise InputError(f"{folder}: holds no picture", hint="Give a folder with JPEG or PNG files")
    names = tuple(map(str, files))
    tops = [file.parts[0] for file in files if len(file.parts) > 1]
    parents = [file.parent.name for file in files if len(file.parts) > 1]
    matches = {level: match_names(set(words), contract.labels)
               for level, words in (("top", tops), ("parent", parents))}  # fmt: skip
    level = min(matches, key=lambda level: len(matches[level].unknown))
    matched = matches[level]
    if not matched.classes and not wants_classes:
        return Pictures(str(folder), folder, names)
    if len(tops) < len(files):
        alone = next(name for name, file in zip(names, files, strict=True) if len(file.parts) == 1)
        raise InputError(
            f"{folder}: {len(files) - len(tops)} of {len(files)} pictures lie in no folder that"
            f" names their class, {alone} is the first",
            hint=HOW,
        )
    _refuse_unknown(str(folder), matched, contract)
    words = tops if level == "top" else parents
    classes = tuple(matched.classes[word] for word in words)
    return Pictures(str(folder), folder, names, classes, matched.named_by)


def _open_csv(file: Path, root: Path, contract: Contract) -> Pictures:
    rows = _read_rows(file)
    if rows and not Path(rows[0][1][0]).suffix and not _is_file(root / rows[0][1][0].strip()):
        del rows[0]  # the heading
    for line, row in rows:
        if len(row) < 2 or not row[0].strip() or not row[1].strip():
            raise InputError(
                f"{file}, line {line}: is no path and class with a comma between", hint="Mend it"
            )
        _check_picture(root / row[0].strip(), f"{file}, line {line}: {row[0].strip()}")
    if not rows:
        raise InputError(f"{file}: names no picture", hint="Give a line of path,label a picture")
    words = [row[1].strip() for _, row in rows]
    matched = match_names(set(words), contract.labels)
    _refuse_unknown(str(file), matched, contract)
    names = tuple(row[0].strip() for _, row in rows)
    classes = tuple(matched.classes[word] for word in words)
    return Pictures(str(file), root, names, classes, matched.named_by)


def _read_rows(file: Path) -> list[tuple[int, list[str]]]:
    """Give the lines that hold something, with their numbers."""
    try:
        reader = csv.reader(io.StringIO(read_bytes(file).decode("utf-8-sig")), strict=True)
        return [(reader.line_num, row) for row in reader if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: is no CSV", hint="Give lines of path,label") from error


def _check_picture(path: Path, name: str) -> None:
    if not _is_file(path):
        raise InputError(
            f"{name}: no such file",
            hint="Mend the line, or say with --pictures from which folder its paths count",
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # the name is too long, or holds a zero byte
        return False


def _refuse_unknown(source: str, matched: MatchedNames, contract: Contract) -> None:
    if not matched.unknown:
        return
    shown = ", ".join(matched.unknown[:NAMED])
    more = len(matched.unknown) - NAMED
    every = len(matched.unknown) + len(matched.classes)
    raise InputError(
        f"{source}: {len(matched.unknown)} of {every} names are no class of {contract.name}:"
        f" {shown}{f' and {more} more' if more > 0 else ''}",
        hint=HOW,
    )
