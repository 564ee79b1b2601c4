"""The words and figures that the panel, the plain lines and the summary share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.record import PowerReading, Unavailable

if TYPE_CHECKING:
    from edge.record import FrameRecord, Snapshot, SourceStatus

STAGE_TITLES = {
    "capture": "capture",
    "decode": "decode",
    "wait": "wait",
    "preprocess": "preprocess",
    "infer": "infer",
    "post": "post",
    "sink": "sinks",
    "end_to_end": "end to end",
}


def power_text(power: PowerReading | Unavailable) -> str:
    """Say the power in one line, or why there is none."""
    if isinstance(power, Unavailable):
        return f"not available: {power.reason}"
    error = f" ± {power.energy_error_j:.1f}" if power.energy_error_j else ""
    return (
        f"{power.power_mw / 1000:.2f} W now, {power.mean_mw / 1000:.2f} W mean,"
        f" {power.energy_j:.1f}{error} J, {power.total}"
    )


def frame_energy_text(snapshot: Snapshot) -> str:
    """Say what a frame cost, in all and above idle; empty where that is not known."""
    energy_j, error_j = snapshot.energy_per_frame_j, snapshot.energy_per_frame_error_j
    if energy_j is None or isinstance(snapshot.power, Unavailable):
        return ""
    error = f" ± {_millijoules(error_j)}" if error_j else ""
    text = f"{_millijoules(energy_j)}{error} mJ a frame"
    net_j, idle_mw = snapshot.net_energy_per_frame_j, snapshot.power.idle_mw
    if net_j is None or idle_mw is None:
        return text
    return f"{text}, {_millijoules(net_j)} of them above {idle_mw / 1000:.2f} W idle"


def _millijoules(energy_j: float) -> str:
    return f"{energy_j * 1000:.1f}"


ODD = {
    "unreadable": ("unreadable", "unreadable"),
    "duplicates": ("duplicate", "duplicates"),
    "out_of_order": ("out of order", "out of order"),
    "stalls": ("stall", "stalls"),
    "reconnects": ("reconnect", "reconnects"),
}
"""What is told of a source only where it happened: field of `SourceCounts`, one and many."""


def counts_text(snapshot: Snapshot) -> str:
    """Say what befell the frames of all sources together."""
    totals = dict.fromkeys(ODD, 0)
    for source in snapshot.sources:
        for name in ODD:
            totals[name] += getattr(source.counts, name)
    totals["unreadable"] = snapshot.unreadable
    return _counts(snapshot.frames, snapshot.dropped, totals)


def source_counts_text(source: SourceStatus) -> str:
    """Say what befell the frames of one source."""
    return _counts(
        source.frames, source.counts.dropped, {name: getattr(source.counts, name) for name in ODD}
    )


def _counts(frames: int, dropped: int, odd: dict[str, int]) -> str:
    words = [f"{frames} frames", f"{dropped} dropped"]
    words += [f"{odd[name]} {one if odd[name] == 1 else many}" for name, (one, many) in ODD.items()
              if odd[name]]  # fmt: skip
    return ", ".join(words)


def state_text(source: SourceStatus) -> str:
    """Say where a source is and, where it is not live, why."""
    return f"{source.state}: {source.problem}" if source.problem else source.state


def top_text(latest: FrameRecord | None) -> str:
    """Say a frame's best guess."""
    if latest is None or not latest.result.top:
        return "no frame yet"
    best = latest.result.top[0]
    return f"{best.label} {best.p:.1%}"
