"""One line of the doctor: what was looked at, how it is, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge.board import Board, SysRoot

Status = Literal["ok", "warning", "broken"]


@dataclass(frozen=True, slots=True)
class Check:
    """What one look found.

    Attributes:
        name: what was looked at.
        status: "warning" where edge goes on, but worse; "broken" where a part of it does not run.
        detail: what was found, in a few words.
        mend: what to do about it, a command where there is one; empty where nothing needs it.
        group: which part of the report it belongs to, for a person.
    """

    name: str
    status: Status
    detail: str
    mend: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What is looked at.

    Attributes:
        root: where /proc, /sys, /etc and /dev are.
        board: the Jetson; None elsewhere.
        environment: of this process.
        settings: names of the variables that edge obeys.
    """

    root: SysRoot
    board: Board | None
    environment: Mapping[str, str]
    settings: frozenset[str] = frozenset()

    @property
    def has_tensorrt_8_6(self) -> bool:
        """Whether this is a Jetson whose JetPack brings a TensorRT that edge can use."""
        if self.board is None:
            return False
        major = (self.board.l4t or "").partition(".")[0]
        return not major or int(major) >= FIRST_L4T


FIRST_L4T = 36
"""JetPack 6: TensorRT 8.6 and Python 3.10; JetPack 5 ends with TensorRT 8.5 and Python 3.8."""
