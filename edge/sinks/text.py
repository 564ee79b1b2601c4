"""The words and figures that the panel, the plain lines and the summary share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge.record import PowerReading, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge.record import BoardReading, FrameRecord, Snapshot, SourceStatus

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
    energy_j, power = snapshot.energy_per_frame_j, snapshot.power
    if energy_j is None or isinstance(power, Unavailable):
        return ""
    text = f"{_millijoules(energy_j, snapshot.energy_per_frame_error_j)} mJ a frame"
    net_j = snapshot.net_energy_per_frame_j
    if net_j is None or power.idle_mw is None:
        return text
    net = _millijoules(net_j, snapshot.net_energy_per_frame_error_j)
    return f"{text}, {net} of them above {power.idle_mw / 1000:.2f} W idle"


def _millijoules(energy_j: float, error_j: float | None) -> str:
    error = f" ± {error_j * 1000:.1f}" if error_j else ""
    return f"{round(energy_j * 1000, 1) + 0.0:.1f}{error}"  # + 0.0: none is not "-0.0"


def board_text(board: BoardReading | Unavailable) -> str:
    """Say heat, clocks, load and mode in one line, or why they are not known."""
    if isinstance(board, Unavailable):
        return f"board not available: {board.reason}"
    return ", ".join(_board_words(board)) or "board tells nothing now"


def _board_words(board: BoardReading) -> Iterator[str]:
    if board.temperatures_c:
        yield _hottest_text(board.temperatures_c)
    if board.mode is not None:
        yield board.mode
    clocks = {clock.name: clock.mhz for clock in board.clocks}
    if "gpu" in clocks:
        load = "" if board.gpu_load is None else f" {board.gpu_load:.0%}"
        yield f"gpu {clocks['gpu']:.0f} MHz{load}"
    cpus_mhz = [mhz for name, mhz in clocks.items() if name.startswith("cpu")]
    if cpus_mhz:
        yield f"cpu {max(cpus_mhz):.0f} MHz"
    if "emc" in clocks:
        yield f"emc {clocks['emc']:.0f} MHz"


def _hottest_text(temperatures_c: Mapping[str, float]) -> str:
    zone = max(temperatures_c, key=temperatures_c.__getitem__)
    return f"{zone} {temperatures_c[zone]:.1f} °C"


def throttling_text(board: BoardReading | Unavailable) -> str:
    """Say what holds the clocks down now; empty where nothing does."""
    if isinstance(board, Unavailable) or not board.throttling:
        return ""
    return f"throttled: {', '.join(board.throttling)}"


def board_summary_text(board: BoardReading, max_temperatures_c: Mapping[str, float]) -> str:
    """Say what of the machine a run's figures depend on: heat, mode, held clocks, throttling.

    Args:
        board: at the end of the run.
        max_temperatures_c: the most that each zone reached in it.
    """
    words = [f"{_hottest_text(max_temperatures_c)} at most"] if max_temperatures_c else []
    words += _board_words(replace(board, clocks=(), temperatures_c={}))
    if board.locked is not None:
        words.append("clocks locked" if board.locked else "clocks not locked")
    if board.throttles:
        words.append(f"throttled {board.throttles} time{'' if board.throttles == 1 else 's'}")
    return f"board {', '.join(words)}" if words else "board tells clocks alone"


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
