"""The words and figures that the panel, the plain lines and the summary share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.record import PowerReading, Unavailable

if TYPE_CHECKING:
    from edge.record import Snapshot

STAGE_TITLES = {
    "capture": "capture",
    "wait": "wait",
    "preprocess": "preprocess",
    "infer": "infer",
    "end_to_end": "end to end",
}


def power_text(power: PowerReading | Unavailable) -> str:
    """Say the power in one line, or why there is none."""
    if isinstance(power, Unavailable):
        return f"not available: {power.reason}"
    return (
        f"{power.power_mw / 1000:.2f} W now, {power.mean_mw / 1000:.2f} W mean,"
        f" {power.energy_j:.1f} J, {power.total}"
    )


def counts_text(snapshot: Snapshot) -> str:
    """Say how many frames were classified, dropped and unreadable."""
    text = f"{snapshot.frames} frames, {snapshot.dropped} dropped"
    return f"{text}, {snapshot.unreadable} unreadable" if snapshot.unreadable else text


def top_text(snapshot: Snapshot) -> str:
    """Say the newest frame's best guess."""
    if snapshot.latest is None or not snapshot.latest.result.top:
        return "no frame yet"
    best = snapshot.latest.result.top[0]
    return f"{best.label} {best.p:.1%}"
