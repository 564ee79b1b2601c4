"""What Prometheus gets: a snapshot and the latency histograms as metrics in base units."""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import TYPE_CHECKING, get_args

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)

from edge.record import SourceState, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.core import Metric

    from edge.record import (
        BoardReading,
        FrameRecord,
        PowerReading,
        Snapshot,
        SourceStatus,
        StageTimes,
    )

BOUNDS_MS = (
    0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75,
    100, 150, 200, 300, 500, 750, 1000, 2000, 5000,
)  # fmt: skip
"""Six a decade, so that a quantile read from them is off by a fifth at most."""

_BOUNDS_NS = tuple(round(bound * 1e6) for bound in BOUNDS_MS)
_LE = (*(str(bound / 1000) for bound in BOUNDS_MS), "+Inf")

TOGETHER = 64
"""Records that are counted at once; fewer where a snapshot comes first."""

STAGE_NS = {
    "capture": attrgetter("capture_ns"),
    "decode": attrgetter("decode_ns"),
    "wait": attrgetter("wait_ns"),
    "preprocess": attrgetter("preprocess_ns"),
    "infer": attrgetter("infer_ns"),
    "post": attrgetter("post_ns"),
}
"""What a record says of the stages; the time of the sinks is known after they have it."""

SOURCE_COUNTERS = {
    "edge_frames_total": ("Frames classified.", attrgetter("frames")),
    "edge_frames_dropped_total": (
        "Frames lost: replaced by a newer one, or missing in the source's own count.",
        attrgetter("counts.dropped"),
    ),
    "edge_frames_unreadable_total": (
        "Pictures that could not be decoded.", attrgetter("counts.unreadable"),
    ),
    "edge_frames_duplicate_total": (
        "Frames that repeat the one before.", attrgetter("counts.duplicates"),
    ),
    "edge_frames_out_of_order_total": (
        "Frames with an earlier time stamp than the one before.",
        attrgetter("counts.out_of_order"),
    ),
    "edge_source_stalls_total": (
        "Times in which no frame came for too long.", attrgetter("counts.stalls"),
    ),
    "edge_source_reconnects_total": (
        "Times that the source was lost and found again.", attrgetter("counts.reconnects"),
    ),
}  # fmt: skip


class LatencyBuckets:
    """Counts durations for a histogram of Prometheus; written by one thread, read by any."""

    def __init__(self) -> None:
        self._counts = [0] * len(_LE)
        self._sum_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration; a negative one, of a clock that was set, counts as none."""
        self._counts[bisect_left(_BOUNDS_NS, duration_ns)] += 1
        self._sum_ns += max(0, duration_ns)  # a sum that goes down would look like a new run

    def add_to(self, family: HistogramMetricFamily, label: str) -> None:
        """Write them as they are now, the sum perhaps one duration older than the counts."""
        sum_s, counts = self._sum_ns / 1e9, self._counts.copy()
        so_far, buckets = 0, []
        for bound, count in zip(_LE, counts, strict=True):
            so_far += count
            buckets.append((bound, so_far))
        family.add_metric(_labels(label), buckets, sum_s)


class RunMetrics:
    """The metrics of a run, for `prometheus_client` to collect; a scrape takes no frame's time."""

    def __init__(self) -> None:
        self._stages = {stage: LatencyBuckets() for stage in STAGE_NS}
        self._ages: dict[str, LatencyBuckets] = {}
        self._fresh: list[tuple[str, StageTimes]] = []
        self._snapshot: Snapshot | None = None
        self._about: Mapping[str, str] = {}
        self._dropped_rows: Mapping[str, int] = {}

    def add(self, record: FrameRecord) -> None:
        """Take the times of one record; many together are counted in less time than one by one."""
        self._fresh.append((record.frame.source, record.times))
        if len(self._fresh) == TOGETHER:
            self._count()

    def update(
        self, snapshot: Snapshot | None, about: Mapping[str, str], dropped_rows: Mapping[str, int]
    ) -> None:
        """Take what the next scrapes are told; called by the thread that calls `add`.

        Args:
            snapshot: None before the first one.
            about: the labels of `edge_info`.
            dropped_rows: by file.
        """
        self._count()
        self._snapshot, self._about, self._dropped_rows = snapshot, about, dropped_rows

    def _count(self) -> None:
        stages = [(STAGE_NS[name], buckets.add) for name, buckets in self._stages.items()]
        for source, times in self._fresh:
            for read_ns, add in stages:
                add(read_ns(times))
            age = self._ages.get(source) or self._ages.setdefault(source, LatencyBuckets())
            age.add(times.age_ns)
        self._fresh.clear()

    def collect(self) -> Iterator[Metric]:
        """Give each metric; what is not known is absent, never 0."""
        yield _info("edge", "The program, its model and its engine.", self._about)
        yield _latencies(
            "edge_stage_seconds", "What each stage of a frame took.", "stage", self._stages
        )
        yield _latencies(
            "edge_end_to_end_seconds", "From a picture's arrival to its label.", "source",
            self._ages.copy(),
        )  # fmt: skip
        snapshot = self._snapshot
        if snapshot is None:
            return
        yield _gauge("edge_run_seconds", "Since the start of the run.", snapshot.elapsed_s)
        yield from _source_metrics(snapshot.sources)
        if self._dropped_rows:
            yield _dropped(self._dropped_rows)
        if not isinstance(snapshot.power, Unavailable):
            yield from _power_metrics(snapshot.power)
        if not isinstance(snapshot.board, Unavailable):
            yield from _board_metrics(snapshot.board)


def _latencies(
    name: str, text: str, label: str, all_buckets: Mapping[str, LatencyBuckets]
) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[label])
    for value, buckets in all_buckets.items():
        buckets.add_to(family, value)
    return family


def _source_metrics(sources: Iterable[SourceStatus]) -> Iterator[Metric]:
    for name, (text, read) in SOURCE_COUNTERS.items():
        counter = CounterMetricFamily(name, text, labels=["source"])
        for source in sources:
            counter.add_metric(_labels(source.name), read(source))
        yield counter
    is_up = {source.name: float(source.state == "live") for source in sources}
    yield _gauges("edge_source_up", "Whether the source is live.", "source", is_up)
    states = GaugeMetricFamily(
        "edge_source_state", "1 for the state that the source is in.", labels=["source", "state"]
    )
    for source in sources:
        for state in get_args(SourceState):
            states.add_metric(_labels(source.name, state), float(source.state == state))
    yield states


def _dropped(rows: Mapping[str, int]) -> Metric:
    text = "Rows of frames that a file was too slow for."
    counter = CounterMetricFamily("edge_rows_dropped_total", text, labels=["file"])
    for file, dropped in rows.items():
        counter.add_metric(_labels(file), dropped)
    return counter


def _power_metrics(power: PowerReading) -> Iterator[Metric]:
    watts = {name: mw / 1000 for name, mw in power.rails_mw.items() if mw is not None}
    total = {power.total: power.power_mw / 1000}
    yield _gauges("edge_power_watts", "Power now; the label says of what.", "total", total)
    if watts:
        yield _gauges("edge_rail_power_watts", "Power of each rail now.", "rail", watts)
    if power.idle_mw is not None:
        text = "Mean power before the run."
        yield _gauge("edge_power_idle_watts", text, power.idle_mw / 1000)
    energy = CounterMetricFamily(
        "edge_energy_joules_total", "Energy of the run, idle included.", labels=["total"]
    )
    energy.add_metric(_labels(power.total), power.energy_j)
    yield energy
    yield _gauge(
        "edge_energy_error_joules",
        "How far the energy may be off because power was sampled.",
        power.energy_error_j,
    )
    yield _gauge(
        "edge_power_sampler_ratio", "Share of one core that the sampling takes.",
        power.sampler_share,
    )  # fmt: skip


def _board_metrics(board: BoardReading) -> Iterator[Metric]:
    yield _gauges(
        "edge_temperature_celsius", "Temperature of a zone.", "zone", board.temperatures_c
    )
    for name, text, read in (
        ("edge_clock_hertz", "A clock now.", attrgetter("mhz")),
        ("edge_clock_min_hertz", "The lowest that a clock may go.", attrgetter("min_mhz")),
        ("edge_clock_max_hertz", "The highest that a clock may go.", attrgetter("max_mhz")),
    ):
        hertz = {clock.name: _hertz(read(clock)) for clock in board.clocks}
        known = {clock: value for clock, value in hertz.items() if value is not None}
        if known:
            yield _gauges(name, text, "clock", known)
    if board.gpu_load is not None:
        yield _gauge("edge_gpu_load_ratio", "Load of the GPU.", board.gpu_load)
    if board.mode is not None:
        yield _info("edge_power_mode", "The board's power mode.", {"mode": board.mode})
    if board.locked is not None:
        text = "Whether all clocks are held at one frequency."
        yield _gauge("edge_clocks_locked", text, float(board.locked))
    causes = dict.fromkeys(board.throttling, 1.0)
    if causes:
        text = "1 for what holds the clocks down now."
        yield _gauges("edge_throttling", text, "cause", causes)
    text = "Times that anything began to hold the clocks down."
    yield CounterMetricFamily("edge_throttles_total", text, board.throttles)


def _hertz(mhz: float | None) -> float | None:
    return None if mhz is None else mhz * 1e6


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, reading in values.items():
        family.add_metric(_labels(value), reading)
    return family


def _info(name: str, text: str, labels: Mapping[str, str]) -> Metric:
    return InfoMetricFamily(name, text, dict(zip(labels, _labels(*labels.values()), strict=True)))


def _labels(*texts: str) -> list[str]:
    """Give them as UTF-8 can hold them: a file name, and so a source's, may be none."""
    return [text.encode(errors="backslashreplace").decode() for text in texts]
