"""A calibration set: the pictures of a folder, a list or the demo, sorted, each once, hashed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.errors import CalibrationError, InputError
from edge.files import explain_os_error
from edge.image import PICTURE_SUFFIXES, Fitter, find_pictures
from edge.model.class_names import match_names
from edge.quant.demo import list_demo_pictures
from edge.quant.manifest import read_manifest
from edge.quant.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from edge.model.contract import Contract

DEMO = "demo"
"""What names the set that comes with edge; a folder of that name is `./demo`."""


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """Pictures that all decode.

    Attributes:
        source: what opens it again from any folder: the whole path of a folder or list, or `DEMO`.
        pictures: sorted; of several with the same bytes the first.
        unreadable: how many files looked like pictures and were none.
        copies: how many were left out because another has the same bytes.
        sha256: over the pictures' hashes in sorted order: the same pictures, the same hash.
    """

    source: str
    pictures: tuple[Picture, ...]
    unreadable: int
    copies: int
    sha256: str

    @property
    def files(self) -> tuple[Path, ...]:
        """The file of each picture."""
        return tuple(picture.path for picture in self.pictures)

    def views(
        self, contract: Contract, numbers: Iterable[int] | None = None
    ) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield what the network sees of each picture, uint8 (H, W, 3) BGR, one buffer for all.

        Args:
            contract: of the network.
            numbers: of the pictures that are wanted, from 0; all where it is None.
        """
        fitter = Fitter(contract)
        view = np.empty((*contract.input_hw, 3), dtype=np.uint8)
        for number in range(len(self.pictures)) if numbers is None else numbers:
            fitter.fit(self.pictures[number].decode(), view)
            yield view

    def classes(self, contract: Contract) -> list[int] | None:
        """Give the class of each picture, from the folder that it lies in; None where one has none.

        All folders tell it in the same way; see `edge.model.class_names`.
        """
        names = [path.parent.name for path in self.files]
        matched = match_names(set(names), contract.labels)
        return None if matched.unknown else [matched.classes[name] for name in names]

    def count_shared(self, other: CalibrationSet) -> int:
        """Count the pictures that another set holds too, whatever their names are."""
        own = {picture.sha256() for picture in self.pictures}
        return sum(picture.sha256() in own for picture in other.pictures)

    def hold_out(self, every: int) -> tuple[CalibrationSet, CalibrationSet]:
        """Give all but each `every`-th picture, and those."""
        held = self.pictures[every - 1 :: every]
        rest = tuple(one for place, one in enumerate(self.pictures, 1) if place % every)
        return (
            replace(self, pictures=rest, sha256=_hash_all(rest)),
            replace(self, pictures=held, sha256=_hash_all(held), unreadable=0, copies=0),
        )


def open_calibration_set(source: str | Path) -> CalibrationSet:
    """Read a folder and all below it, the files of a list, or the set that comes with edge.

    Args:
        source: path of a folder or of a list, see `edge.quant.manifest`; or the word `DEMO`.

    Raises:
        CalibrationError: there is no such folder or list, the list does not fit its files, or no
            picture decodes.
        InputError: the path cannot be read.
        MissingExtraError: the demo's photographs are not installed.
    """
    if source == DEMO:
        return _count(DEMO, list_demo_pictures())
    path = Path(source)
    found = _find(path)
    if not found:
        raise _refuse(source, "holds no picture")
    counted = _count(str(path.absolute()), [Picture(file) for file in found])
    if not counted.pictures:
        raise _refuse(source, f"none of its {counted.unreadable} pictures can be decoded")
    return counted


def _find(path: Path) -> list[Path]:
    """Give the files below a folder or of a list, sorted."""
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError as error:  # a folder above is closed to this user, or the name is too long
        raise explain_os_error(path, error) from error
    if is_folder:
        return find_pictures(path)
    if path.suffix.lower() in PICTURE_SUFFIXES and is_file:
        raise _refuse(path, "is one picture")
    if not is_file:
        raise _refuse(path, "no such folder or list")
    return read_manifest(path)


def _count(source: str, found: list[Picture]) -> CalibrationSet:
    by_hash: dict[str, Picture] = {}
    unreadable = copies = 0
    for picture in found:
        try:
            digest = picture.sha256()
            if digest in by_hash:
                copies += 1
                continue
            picture.decode()
        except InputError:
            unreadable += 1
            continue
        by_hash[digest] = picture
    pictures = tuple(by_hash.values())
    return CalibrationSet(source, pictures, unreadable, copies, _hash_all(pictures))


def _hash_all(pictures: Iterable[Picture]) -> str:
    hashes = sorted(picture.sha256() for picture in pictures)
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _refuse(source: str | Path, wrong: str) -> CalibrationError:
    return CalibrationError(
        f"{source}: {wrong}",
        hint="Give a folder with about 200 JPEG or PNG pictures of what the camera will see,"
        " or a text file that lists them",
    )
