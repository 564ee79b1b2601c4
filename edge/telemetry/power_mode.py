"""Which power mode a Jetson is in: nvpmodel's own files, or what `nvpmodel -q` prints.

Source: NVIDIA Jetson Linux Developer Guide, "Supported Modes and Power Efficiency".
"""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.board import SysRoot

STATUS, MODES = "var/lib/nvpmodel/status", "etc/nvpmodel.conf"
QUERY_S = 5.0
"""What `nvpmodel -q` may take; it answers in a tenth of a second."""

_STATUS = re.compile(r"pmode:\s*(\d+)")
_MODEL = re.compile(r"^[ \t]*<[ \t]*POWER_MODEL\b([^>\n]*)>", re.MULTILINE)
_QUERY = re.compile(r"NV Power Mode:[ \t]*(\S+)[^\n]*\n(?:[^\n]*\n)*?[ \t]*(\d+)[ \t]*\r?(?:\n|$)")


def parse_mode_status(text: str) -> int | None:
    """Give 2 from "pmode:0002"; None from any other text."""
    match = _STATUS.search(text)
    return int(match[1]) if match else None


def parse_mode_names(text: str) -> dict[int, str]:
    """Give the names of the modes by number, from the text of nvpmodel.conf.

    The attributes come in either order.
    """
    names = {}
    for attributes in _MODEL.findall(text):
        number = re.search(r"\bID=(\d+)", attributes)
        name = re.search(r"\bNAME=(\S+)", attributes)
        if number and name:
            names[int(number[1])] = name[1]
    return names


def parse_mode_query(text: str) -> str | None:
    """Give "15W (0)" from what `nvpmodel -q` prints, errors between its lines or not."""
    match = _QUERY.search(text)
    return mode_text(match[1], int(match[2])) if match else None


def mode_text(name: str | None, number: int) -> str:
    """Name a mode with its number, since neither alone means the same on two boards."""
    return f"{name} ({number})" if name else f"mode {number}"


def read_power_mode(root: SysRoot) -> str | None:
    """Give the mode as nvpmodel's files tell it, which needs no rights; None where they do not."""
    number = parse_mode_status(root.read_text(STATUS) or "")
    if number is None:
        return None
    return mode_text(parse_mode_names(root.read_text(MODES) or "").get(number), number)


def query_power_mode(root: SysRoot) -> str | None:
    """Ask the program `nvpmodel`; None where it is not here or does not say."""
    program = shutil.which("nvpmodel", path=f"{root.path / 'usr/sbin'}:{root.path / 'usr/bin'}")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 # a fixed program
            [program, "-q"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=QUERY_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_mode_query(done.stdout.decode(errors="replace"))
