"""What the GPUs of Jetsons can do at most, with where each figure is from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

UNVERIFIED = "published, unverified"
AGX_SHEET = "NVIDIA, Jetson AGX Orin data sheet DS-10662-001"
NX_SHEET = "NVIDIA, Jetson Orin NX data sheet DS-10712-001"


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a board does in a second; INT8 and FP16 are dense, as SqueezeNet is.

    Sparse figures, which brochures print, are halved. Where a figure counts the DLA too it is
    kept: a bound that is too kind is still a bound. Some are rounded down, by 3 % at most: the 64
    tensor cores of AGX Xavier come to 22.6 TOPS at 1.377 GHz.

    Attributes:
        board: as `edge.board` names it.
        int8_tops: 10^12 operations, a multiplication and an addition being two; None where the
            GPU has no fast INT8.
        fp16_tflops: the same of FP16.
        bandwidth_gb_s: 10^9 bytes of the memory.
        source: where the figures are from.
    """

    board: str
    int8_tops: float | None
    fp16_tflops: float
    bandwidth_gb_s: float
    source: str


LIMITS: Mapping[str, Limits] = {
    "nano": Limits("Nano", None, 0.472, 25.6, UNVERIFIED),
    "tx2": Limits("TX2", None, 1.33, 59.7, UNVERIFIED),
    "xavier-nx": Limits("Xavier NX", 21, 10.5, 59.7, UNVERIFIED),
    "agx-xavier": Limits("AGX Xavier", 22, 11, 136.5, UNVERIFIED),
    "orin-nano-4gb": Limits("Orin Nano 4GB", 17, 8.5, 51.2, UNVERIFIED),
    "orin-nano": Limits("Orin Nano 8GB", 33.5, 16.75, 102.4, UNVERIFIED),
    "orin-nx-8gb": Limits(
        "Orin NX 8GB", 58.5, 29.25, 102.4, f"{NX_SHEET} (memory); arithmetic {UNVERIFIED}"
    ),
    "orin-nx": Limits(
        "Orin NX 16GB", 78.5, 39.25, 102.4, f"{NX_SHEET} (memory); arithmetic {UNVERIFIED}"
    ),
    "agx-orin": Limits("AGX Orin", 85, 42.5, 204.8, f"{AGX_SHEET} (64 GB, its GPU alone)"),
    "thor": Limits("AGX Thor", 517.5, 258.75, 273, UNVERIFIED),
}
"""By the name that `--predict` takes. Each board in its fastest mode: a slower one takes longer."""


def find_limits(name: str) -> Limits:
    """Give the limits of the board with this name.

    Raises:
        InputError: there is none.
    """
    if name not in LIMITS:
        raise InputError(f"{name}: no such board", hint=f"Use one of: {', '.join(LIMITS)}")
    return LIMITS[name]


def limits_of_board(module: str) -> Limits | None:
    """Give the limits of the board that `edge.board` found; None where they are not known."""
    return next((limits for limits in LIMITS.values() if limits.board == module), None)
