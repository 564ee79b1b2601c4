"""What edge tells other programs: one object a frame, a moment and a run, in one versioned form.

Every sink that writes for programs takes its fields from here, so that they are named the same
everywhere; `docs/schema` holds the JSON Schema of each kind.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeAlias

from edge.record import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.record import (
        BoardReading,
        FrameRecord,
        Percentiles,
        PowerReading,
        RailState,
        Seen,
        Snapshot,
        SourceStatus,
        Summary,
    )

SCHEMA_VERSION = 1
"""Goes up when a field is renamed, removed or means something else; new fields do not count."""

Row: TypeAlias = dict[str, Any]


def frame_row(record: FrameRecord) -> Row:
    """Give the object of one classified frame."""
    frame, times = record.frame, record.times
    row = _head("frame", record.told_ns) | {"seq": frame.seq, "source": frame.source}
    if frame.file is not None:
        row["file"] = frame.file
    row["top"] = [
        {"label": guess.label, "index": guess.index, "p": round(guess.p, 6)}
        for guess in record.result.top
    ]
    row["age_ms"] = _ms(times.age_ns)
    row["capture_ms"] = _ms(times.capture_ns)
    row["decode_ms"] = _ms(times.decode_ns)
    row["wait_ms"] = _ms(times.wait_ns)
    row["preprocess_ms"] = _ms(times.preprocess_ns)
    row["infer_ms"] = _ms(times.infer_ns)
    row["post_ms"] = _ms(times.post_ns)
    return row


def snapshot_row(snapshot: Snapshot) -> Row:
    """Give the object of a run's state at one moment."""
    return _head("snapshot", snapshot.told_ns) | _state(snapshot)


def summary_row(summary: Summary) -> Row:
    """Give the object of a whole run."""
    row = _head("summary", summary.final.told_ns) | _state(summary.final)
    row["seen"] = [_seen_row(seen) for seen in summary.seen]
    row["max_temperatures_c"] = dict(summary.max_temperatures_c)
    row["lost"] = None if summary.lost is None else str(summary.lost)
    return row


def power_row(power: PowerReading | Unavailable, rails: Sequence[RailState], told_ns: int) -> Row:
    """Give the object of this machine's power at one moment.

    Args:
        power: the total.
        rails: and the totals that they make.
        told_ns: since 1970 (Unix time).
    """
    return _head("power", told_ns) | {
        "power": _power_row(power),
        "rails": [_rail_row(state) for state in rails],
    }


def _head(kind: str, told_ns: int) -> Row:
    return {"version": SCHEMA_VERSION, "kind": kind, "time": format_time(told_ns)}


def format_time(told_ns: int) -> str:
    """Give a wall clock time as ISO 8601 in UTC, to the millisecond.

    Args:
        told_ns: since 1970 (Unix time).
    """
    moment = datetime.fromtimestamp(told_ns // 1_000_000 / 1000, timezone.utc)
    return f"{moment.isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"


def _state(snapshot: Snapshot) -> Row:
    return {
        "elapsed_s": round(snapshot.elapsed_s, 3),
        "frames": snapshot.frames,
        "dropped": snapshot.dropped,
        "unreadable": snapshot.unreadable,
        "fps": round(snapshot.fps, 3),
        "stages": {name: _percentiles(stage) for name, stage in snapshot.stages.items()},
        "power": _power_row(snapshot.power),
        "energy_per_frame_j": _rounded(snapshot.energy_per_frame_j),
        "net_energy_per_frame_j": _rounded(snapshot.net_energy_per_frame_j),
        "energy_per_frame_error_j": _rounded(snapshot.energy_per_frame_error_j),
        "net_energy_per_frame_error_j": _rounded(snapshot.net_energy_per_frame_error_j),
        "board": board_row(snapshot.board),
        "sources": [_source_row(source) for source in snapshot.sources],
    }


def _source_row(source: SourceStatus) -> Row:
    return {
        "name": source.name,
        "state": source.state,
        "problem": source.problem,
        "size": None if source.size is None else list(source.size),
        "frames": source.frames,
        "fps": round(source.fps, 3),
        **asdict(source.counts),
        "age": _percentiles(source.age),
        "latest": None if source.latest is None else frame_row(source.latest),
    }


def _power_row(power: PowerReading | Unavailable) -> Row:
    if isinstance(power, Unavailable):
        return {"unavailable": power.reason}
    return {
        "total": power.total,
        "power_mw": round(power.power_mw, 3),
        "mean_mw": round(power.mean_mw, 3),
        "idle_mw": _rounded(power.idle_mw, 3),
        "idle_error_mw": round(power.idle_error_mw, 3),
        "energy_j": round(power.energy_j, 6),
        "energy_error_j": round(power.energy_error_j, 6),
        "covered_s": round(power.covered_s, 3),
        "rails_mw": {name: _rounded(mw, 3) for name, mw in power.rails_mw.items()},
        "sampler_share": round(power.sampler_share, 6),
    }


def _rail_row(state: RailState) -> Row:
    row: Row = {"name": state.name, "kind": state.kind, "power_mw": None, "problem": ""}
    if isinstance(state.power_mw, Unavailable):
        row["problem"] = state.power_mw.reason
    else:
        row["power_mw"] = round(state.power_mw, 3)
    summary = state.summary
    row["summary"] = None if summary is None else {
        "readings": summary.readings,
        "min_mw": round(summary.min_mw, 3),
        "mean_mw": round(summary.mean_mw, 3),
        "max_mw": round(summary.max_mw, 3),
        "energy_j": round(summary.energy_j, 6),
        "energy_error_j": round(summary.energy_error_j, 6),
    }  # fmt: skip
    return row


def board_row(board: BoardReading | Unavailable) -> Row:
    """Give the object of heat, clocks, load and mode, or of why they are not known."""
    if isinstance(board, Unavailable):
        return {"unavailable": board.reason}
    return {
        "temperatures_c": dict(board.temperatures_c),
        "clocks": [asdict(clock) for clock in board.clocks],
        "gpu_load": _rounded(board.gpu_load),
        "mode": board.mode,
        "locked": board.locked,
        "throttling": list(board.throttling),
        "throttles": board.throttles,
    }


def _seen_row(seen: Seen) -> Row:
    return {
        "what": seen.what,
        "label": seen.label,
        "share": round(seen.share, 6),
        "frames": seen.frames,
    }


def _percentiles(stage: Percentiles) -> Row:
    return {name: round(ms, 4) for name, ms in asdict(stage).items()}


def _ms(duration_ns: int) -> float:
    return round(duration_ns / 1e6, 3)


def _rounded(value: float | None, digits: int = 6) -> float | None:
    return None if value is None else round(value, digits)
