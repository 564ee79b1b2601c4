"""What edge tells the world: one record a frame, a snapshot a moment, a summary a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge.frame import Frame
    from edge.result import Result

STAGES = (
    "capture", "decode", "wait", "preprocess", "infer", "post", "sink", "end_to_end",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class StageTimes:
    """What each stage of one frame took.

    Attributes:
        capture_ns: reading, without waiting for the camera.
        decode_ns: from what the camera coded to pixels; 0 where it gives pixels.
        wait_ns: between the source and the loop.
        preprocess_ns: crop and resize into the engine's memory, without decoding.
        infer_ns: from submission to scores.
        post_ns: from scores to the label.
        age_ns: from the picture's arrival to its label (end to end).
    """

    capture_ns: int
    decode_ns: int
    wait_ns: int
    preprocess_ns: int
    infer_ns: int
    post_ns: int
    age_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class FrameRecord:
    """One frame with its result and what it cost.

    Attributes:
        frame: the picture.
        result: what the network says of it.
        times: what it cost.
        told_ns: wall clock when the label was there, since 1970 (Unix time).
    """

    frame: Frame
    result: Result
    times: StageTimes
    told_ns: int


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Latency of one stage in milliseconds."""

    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class PowerReading:
    """Power now and since the start.

    Attributes:
        power_mw: the latest reading of the total.
        mean_mw: mean over the run so far.
        energy_j: energy of the run so far.
        total: which rail or sum the figures are, for example "VDD_IN (module)".
        covered_s: the time that `mean_mw` and `energy_j` are of.
        energy_error_j: how far `energy_j` may be off because power was sampled, not followed.
        idle_mw: mean before the run began, None where it was not measured.
        idle_error_mw: how far `idle_mw` may be off because power was sampled.
        rails_mw: each rail now, those outside the total too; None where it cannot be read.
        sampler_share: of one core that the sampling itself takes, 0 to 1.
    """

    power_mw: float
    mean_mw: float
    energy_j: float
    total: str
    covered_s: float = 0.0
    energy_error_j: float = 0.0
    idle_mw: float | None = None
    idle_error_mw: float = 0.0
    rails_mw: Mapping[str, float | None] = field(default_factory=dict)
    sampler_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock and the limits it moves between, None where the machine does not tell.

    Attributes:
        name: "gpu", "emc", or "cpu0" and so on.
        mhz: now.
        min_mhz: not below this.
        max_mhz: not above this.
    """

    name: str
    mhz: float
    min_mhz: float | None = None
    max_mhz: float | None = None


@dataclass(frozen=True, slots=True)
class BoardReading:
    """Heat, clocks, load and mode of the machine at one moment.

    Attributes:
        temperatures_c: by the zone's name; a zone that sleeps is missing.
        clocks: those that the machine tells.
        gpu_load: 0 to 1, None where it is not told.
        mode: name and number of the power mode, "MAXN_SUPER (2)"; None where there is none.
        locked: whether all clocks are held at one frequency, as jetson_clocks does; None where
            that cannot be told.
        throttling: what holds the clocks down at this moment, in a few words each.
        throttles: times that anything began to do so since the run began.
    """

    temperatures_c: Mapping[str, float]
    clocks: tuple[Clock, ...] = ()
    gpu_load: float | None = None
    mode: str | None = None
    locked: bool | None = None
    throttling: tuple[str, ...] = ()
    throttles: int = 0


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A reading that this machine cannot give, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class RailSummary:
    """One rail, or a total, over some time.

    Attributes:
        name: the rail, or which rails make the total.
        min_mw: the least reading.
        mean_mw: over time: energy divided by duration.
        max_mw: the largest reading.
        energy_j: trapezoids between the readings.
        energy_error_j: how far that may be off, for power was sampled.
        readings: how many there were.
    """

    name: str
    min_mw: float
    mean_mw: float
    max_mw: float
    energy_j: float
    energy_error_j: float
    readings: int


RailKind: TypeAlias = Literal["counted", "other", "total", "other total"]


@dataclass(frozen=True, slots=True)
class RailState:
    """One rail, or one total, of this machine so far.

    Attributes:
        name: of the rail, or which rails make the total.
        power_mw: now, or why it cannot be read.
        summary: None before the first reading.
        kind: "counted" in the total, "other" rail, "total" itself, or "other total" of these rails.
    """

    name: str
    power_mw: float | Unavailable
    summary: RailSummary | None
    kind: RailKind


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What runs.

    Attributes:
        source: its name, or how many there are; without passwords.
        model: its name.
        engine: its name.
        top_k: guesses a frame.
        version: of edge.
    """

    source: str
    model: str
    engine: str
    top_k: int
    version: str


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
        told_ns: wall clock now, since 1970 (Unix time).
        elapsed_s: since the start of the run.
        frames: classified so far.
        dropped: frames that a newer one replaced before they were classified.
        unreadable: pictures of the source that could not be decoded.
        fps: classified frames per second over the last second or so.
        stages: name (see `STAGES`) to percentiles of the whole run.
        power: the total, or why there is none.
        latest: the newest record of any source, None before the first frame.
        sources: each of them, in the order in which they were given.
        board: heat, clocks, load and mode, or why they are not known.
    """

    told_ns: int
    elapsed_s: float
    frames: int
    dropped: int
    unreadable: int
    fps: float
    stages: Mapping[str, Percentiles]
    power: PowerReading | Unavailable
    latest: FrameRecord | None
    sources: tuple[SourceStatus, ...]
    board: BoardReading | Unavailable = Unavailable("not asked for")

    @property
    def energy_per_frame_j(self) -> float | None:
        """Mean power times the time of a frame, idle included; None without power or frames.

        Not `energy_j` per frame, for the samples do not cover the very ends of a run.
        """
        if isinstance(self.power, Unavailable):
            return None
        return self._per_frame(self.power.mean_mw / 1000)

    @property
    def net_energy_per_frame_j(self) -> float | None:
        """The same above idle; None where idle was not measured."""
        power = self.power
        if isinstance(power, Unavailable) or power.idle_mw is None:
            return None
        return self._per_frame((power.mean_mw - power.idle_mw) / 1000)

    @property
    def energy_per_frame_error_j(self) -> float | None:
        """How far `energy_per_frame_j` may be off because power was sampled."""
        return self._error_per_frame(0.0)

    @property
    def net_energy_per_frame_error_j(self) -> float | None:
        """The same of `net_energy_per_frame_j`: what was taken off may be off too."""
        power = self.power
        if isinstance(power, Unavailable) or power.idle_mw is None:
            return None
        return self._error_per_frame(power.idle_error_mw)

    def _error_per_frame(self, idle_error_mw: float) -> float | None:
        power = self.power
        if isinstance(power, Unavailable) or not power.covered_s:
            return None
        return self._per_frame(power.energy_error_j / power.covered_s + idle_error_mw / 1000)

    def _per_frame(self, watts: float) -> float | None:
        return watts * self.elapsed_s / self.frames if self.frames else None


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """A whole run.

    Attributes:
        final: the last snapshot; its `fps` is the mean of the run.
        seen: what each picture or source was named, in order of appearance.
        lost: how the first source that failed did so; None when all ended or were stopped.
        max_temperatures_c: the most that each zone reached in the run.
    """

    final: Snapshot
    seen: tuple[Seen, ...]
    lost: Exception | None = None
    max_temperatures_c: Mapping[str, float] = field(default_factory=dict)
