"""Which machine this is, read through an injectable root so that a folder can play any board."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = (
    "numpy", "onnx", "onnxruntime", "openvino", "opencv-python", "pycuda", "scikit-image",
    "tensorrt", "tensorrt-rtx-cu13",
)  # fmt: skip
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
JETPACKS = {
    "39.2.0": "7.2", "39.0.0": "7.2EA", "38.4.0": "7.1", "38.2.x": "7.0", "36.5.0": "6.2.2",
    "36.4.7": "6.2.1", "36.4.4": "6.2.1", "36.4.3": "6.2", "36.4.2": "6.1r1", "36.4.0": "6.1",
    "36.3": "6.0", "36.2": "6.0DP", "35.6.4": "5.1.6", "35.6.3": "5.1.5", "35.6.2": "5.1.5",
    "35.6.1": "5.1.5", "35.6.0": "5.1.4", "35.5.0": "5.1.3", "35.4.1": "5.1.2", "35.3.1": "5.1.1",
    "35.2.1": "5.1", "35.1.0": "5.0.2", "34.1.1": "5.0.1DP", "32.7.6": "4.6.6", "32.7.1": "4.6.1",
    "32.6.1": "4.6", "32.5.1": "4.5.1", "32.5": "4.5", "32.4.4": "4.4.1", "32.4.3": "4.4",
    "32.3.1": "4.3", "32.1": "4.2", "28.4": "3.3.3", "28.2.1": "3.3", "28.2": "3.2", "28.1": "3.1",
    "27.1": "3.0", "24.2": "2.3",
}  # fmt: skip
"""Release of L4T to JetPack; "38.2.x" is every 38.2, and a release that is not here is unknown.

Source: NVIDIA's Jetson Linux archive, which names the JetPack of each release.
"""

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

    @property
    def jetpack(self) -> str | None:
        """Which JetPack the release belongs to, "6.2.1"; None where that is not known."""
        release = self.l4t or ""
        names = (release, release.removesuffix(".0"), f"{release.rpartition('.')[0]}.x")
        return next((JETPACKS[name] for name in names if name in JETPACKS), None)


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


@dataclass(frozen=True, slots=True)
class Machine:
    """What something was measured or tested on.

    Attributes:
        board: the Jetson; None elsewhere.
        cpu: its name, or the architecture where it tells none.
        architecture: "aarch64".
        system: the kernel's name and release.
        versions: package to version; None where it is not installed by pip or tells none.
    """

    board: Board | None
    cpu: str
    architecture: str
    system: str
    versions: dict[str, str | None]


def describe_machine(root: SysRoot) -> Machine:
    """Tell what this machine is, without importing anything heavy."""
    named = re.search(r"model name\s*:\s*(.+)", root.read_text("proc/cpuinfo") or "")
    return Machine(
        board=detect_board(root),
        cpu=named[1] if named else platform.machine(),
        architecture=platform.machine(),
        system=f"{platform.system()} {platform.release()}",
        versions={"python": platform.python_version(), **{n: _version(n) for n in PACKAGES}},
    )


def multiplies_int8_exactly(root: SysRoot) -> bool:
    """Tell whether this CPU multiplies uint8 by int8 without saturating: any ARM, or x86 with VNNI.

    Without VNNI, AVX2 and AVX-512 add two products in 16 bits, which is too few for two large ones.
    Source: Intel 64 and IA-32 Architectures Software Developer's Manual, VPMADDUBSW.
    """
    return platform.machine() != "x86_64" or "vnni" in (root.read_text("proc/cpuinfo") or "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
