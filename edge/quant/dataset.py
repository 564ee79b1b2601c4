"""A calibration set: a folder of pictures, sorted, without copies, hashed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.errors import CalibrationError, InputError
from edge.files import sha256_file
from edge.image import decode, find_pictures, fit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from edge.model.contract import Contract


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """Pictures that all decode.

    Attributes:
        folder: where they lie.
        files: sorted; of several files with the same bytes the first.
        unreadable: how many files looked like pictures and were none.
        copies: how many files were left out because another has the same bytes.
        sha256: over the files' hashes in sorted order: the same pictures, the same hash.
    """

    folder: Path
    files: tuple[Path, ...]
    unreadable: int
    copies: int
    sha256: str

    def views(self, contract: Contract) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield what the network sees of each picture, uint8 (H, W, 3) BGR, one buffer for all."""
        view = np.empty((*contract.input_hw, 3), dtype=np.uint8)
        for path in self.files:
            fit(decode(path), contract, view)
            yield view


def open_calibration_set(folder: Path) -> CalibrationSet:
    """Read a folder and all below it.

    Raises:
        CalibrationError: there is no such folder, or no picture in it decodes.
    """
    hint = "Give a folder with about 200 JPEG or PNG pictures of what the camera will see"
    if not folder.is_dir():
        wrong = "is no folder" if folder.exists() else "no such folder"
        raise CalibrationError(f"{folder}: {wrong}", hint=hint)
    found = find_pictures(folder)
    by_hash: dict[str, Path] = {}
    unreadable = copies = 0
    for path in found:
        try:
            digest = sha256_file(path)
            if digest in by_hash:
                copies += 1
                continue
            decode(path)
        except InputError:
            unreadable += 1
            continue
        by_hash[digest] = path
    if not by_hash:
        wrong = f"none of its {unreadable} pictures can be decoded" if found else "holds no picture"
        raise CalibrationError(f"{folder}: {wrong}", hint=hint)
    whole = hashlib.sha256("".join(sorted(by_hash)).encode()).hexdigest()
    return CalibrationSet(folder, tuple(by_hash.values()), unreadable, copies, whole)
