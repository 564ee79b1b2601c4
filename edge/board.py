"""Which machine this is, read through an injectable root so that a folder can play any board."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MODULES = {
    "p3448": "Nano",
    "p3668": "Xavier NX",
    "p2888": "AGX Xavier",
    "p3701": "AGX Orin",
    "p3767-0000": "Orin NX 16GB",
    "p3767-0001": "Orin NX 8GB",
    "p3767-0003": "Orin Nano 8GB",
    "p3767-0004": "Orin Nano 4GB",
    "p3767-0005": "Orin Nano 8GB",
    "p3834": "AGX Thor",
}
_RELEASE = re.compile(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)")


@dataclass(frozen=True, slots=True)
class SysRoot:
    """The folder that holds /sys, /proc, /etc and /dev: `/` on a real machine."""

    path: Path

    def read_text(self, name: str | Path) -> str | None:
        """Give the text of a file below the root, stripped; None where it cannot be read.

        Never waits: a thermal zone without power answers EAGAIN, of which Python makes None here
        and a TypeError in its text files.
        """
        try:
            file = os.open(self.path / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(file, "rb", buffering=0) as raw:
                data: bytes | None = raw.read()
        except OSError:
            return None
        return None if data is None else data.decode(errors="replace").strip(" \n\0")

    def read_int(self, name: str | Path) -> int | None:
        """Give the whole number in a file below the root; None where there is none."""
        try:
            return int(self.read_text(name) or "")
        except ValueError:
            return None

    def glob(self, pattern: str) -> list[Path]:
        """Give the paths below the root that match, sorted."""
        return sorted(self.path.glob(pattern))


@dataclass(frozen=True, slots=True)
class Board:
    """A Jetson.

    Attributes:
        module: "Orin Nano 8GB", or the part number where it is not known.
        soc: "tegra234".
        l4t: "36.4.7", or None where the release file is missing.
    """

    module: str
    soc: str
    l4t: str | None


def parse_l4t_release(text: str) -> str | None:
    """Give "36.4.7" from the text of /etc/nv_tegra_release, None from any other text."""
    match = _RELEASE.search(text)
    return f"{match[1]}.{match[2]}" if match else None


def parse_compatible(text: str) -> tuple[str, str] | None:
    """Give (module, soc) from the NUL-separated `compatible` of a Jetson's device tree.

    The module is decided by its part number, because carrier vendors rewrite the model name.
    """
    names = text.replace("\0", " ")
    socs = re.findall(r"nvidia,(tegra\d+)", names)
    if not socs:
        return None
    parts = re.findall(r"p\d{4}(?:-\d{4})?", names)  # the carrier's number comes first
    known = (_MODULES.get(part) or _MODULES.get(part[:5]) for part in parts)
    module = next(filter(None, known), None) or (parts or socs)[-1]
    return module, socs[-1]


def detect_board(root: SysRoot) -> Board | None:
    """Tell which Jetson this is; None on any other machine."""
    found = parse_compatible(root.read_text("proc/device-tree/compatible") or "")
    release = parse_l4t_release(root.read_text("etc/nv_tegra_release") or "")
    if found is None and release is None:
        return None
    module, soc = found or ("unknown Jetson", "unknown")
    return Board(module, soc, release)
