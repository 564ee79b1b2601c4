"""What this machine is: board, processor, system and the versions of what edge stands on."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from edge.board import Board, detect_board

if TYPE_CHECKING:
    from edge.board import SysRoot

PACKAGES = (
    "numpy", "onnx", "onnxruntime", "openvino", "opencv-python", "pycuda", "scikit-image",
    "tensorrt", "tensorrt-rtx-cu13",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine.

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


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
