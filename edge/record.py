"""What edge tells the world: one record a frame, a snapshot a moment, a summary a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge.frame import Frame
    from edge.result import Result

STAGES = ("capture", "wait", "preprocess", "infer", "end_to_end")


@dataclass(frozen=True, slots=True)
class StageTimes:
    """What each stage of one frame took.

    Attributes:
        capture_ns: reading and decoding, without waiting for the camera.
        wait_ns: between capture and preprocessing.
        preprocess_ns: crop and resize into the engine's memory.
        infer_ns: from submission to scores.
        age_ns: from the picture's arrival to its label (end to end).
    """

    capture_ns: int
    wait_ns: int
    preprocess_ns: int
    infer_ns: int
    age_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class FrameRecord:
    """One frame with its result and what it cost."""

    frame: Frame
    result: Result
    times: StageTimes

    def to_json(self) -> dict[str, Any]:
        """Give the object that `--json` writes, times in milliseconds."""
        row: dict[str, Any] = {"seq": self.frame.seq, "source": self.frame.source}
        if self.frame.file is not None:
            row["file"] = self.frame.file
        row["top"] = [
            {"label": guess.label, "index": guess.index, "p": round(guess.p, 6)}
            for guess in self.result.top
        ]
        times = self.times
        row["age_ms"] = round(times.age_ns / 1e6, 3)
        row["capture_ms"] = round(times.capture_ns / 1e6, 3)
        row["wait_ms"] = round(times.wait_ns / 1e6, 3)
        row["preprocess_ms"] = round(times.preprocess_ns / 1e6, 3)
        row["infer_ms"] = round(times.infer_ns / 1e6, 3)
        return row


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Latency of one stage in milliseconds."""

    p50_ms: float
    p90_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class PowerReading:
    """Power now and since the start.

    Attributes:
        power_mw: the latest reading of the total.
        mean_mw: mean over the run so far.
        energy_j: energy of the run so far.
        total: which rail or sum the figures are, for example "VDD_IN (module)".
    """

    power_mw: float
    mean_mw: float
    energy_j: float
    total: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A reading that this machine cannot give, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What one picture, or one source, was named most often.

    Attributes:
        what: the picture's file name, or the source.
        label: the most frequent top-1 label.
        share: of its frames that got this label, 0 to 1.
        frames: how many frames of it were classified.
    """

    what: str
    label: str
    share: float
    frames: int


SourceState: TypeAlias = Literal["connecting", "live", "stalled", "reconnecting", "ended", "lost"]
"""Where a source is: first frame awaited, frames come, none for too long, opened again after a
loss, over, or given up."""


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What befell the frames of one source so far.

    Attributes:
        dropped: replaced by a newer one before they were classified, or missing in the source's
            own count.
        duplicates: the same picture or time stamp as the frame before.
        out_of_order: with an earlier time stamp than the frame before.
        unreadable: could not be decoded.
        stalls: times in which no frame came for too long.
        reconnects: times that it was lost and found again.
    """

    dropped: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    unreadable: int = 0
    stalls: int = 0
    reconnects: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SourceStatus:
    """One source at one moment.

    Attributes:
        name: without passwords.
        state: see `SourceState`.
        problem: why it is not live, in a few words; empty when it is.
        size: width and height of its newest frame in pixels.
        frames: classified so far.
        fps: classified frames per second over the last second or so.
        counts: see there.
        age: from a picture's arrival to its label.
        latest: the newest record, None before the first frame.
    """

    name: str
    state: SourceState
    problem: str
    size: tuple[int, int] | None
    frames: int
    fps: float
    counts: SourceCounts
    age: Percentiles
    latest: FrameRecord | None


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The state of a run at one moment, for people and dashboards.

    Attributes:
        elapsed_s: since the start of the run.
        frames: classified so far.
        dropped: frames that a newer one replaced before they were classified.
        unreadable: pictures of the source that could not be decoded.
        fps: classified frames per second over the last second or so.
        stages: name (see `STAGES`) to percentiles of the whole run.
        power: the total, or why there is none.
        latest: the newest record of any source, None before the first frame.
        sources: each of them, in the order in which they were given.
    """

    elapsed_s: float
    frames: int
    dropped: int
    unreadable: int
    fps: float
    stages: Mapping[str, Percentiles]
    power: PowerReading | Unavailable
    latest: FrameRecord | None
    sources: tuple[SourceStatus, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """A whole run.

    Attributes:
        final: the last snapshot; its `fps` is the mean of the run.
        seen: what each picture or source was named, in order of appearance.
        lost: how the first source that failed did so; None when all ended or were stopped.
    """

    final: Snapshot
    seen: tuple[Seen, ...]
    lost: Exception | None = None
