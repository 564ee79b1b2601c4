"""Counts the records of a run and tells where it stands: one snapshot a moment."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import TYPE_CHECKING

from edge.record import STAGES, BoardReading, Seen, Snapshot, SourceStatus
from edge.telemetry.latency import LatencyHistogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.record import (
        FrameRecord,
        PowerReading,
        SourceCounts,
        SourceState,
        Unavailable,
    )

RATE_SNAPSHOTS = 5
"""The rate is that between a snapshot and the one so many before it."""

SEEN_LIMIT = 12


class Tally:
    """What a run has done so far, in memory that does not grow with it.

    Args:
        names: of the sources.
        started_ns: monotonic clock.
    """

    def __init__(self, names: Sequence[str], started_ns: int) -> None:
        self._sources = [_SourceTally(name, started_ns) for name in names]
        self._started_ns = started_ns
        self._stages = {name: LatencyHistogram() for name in STAGES}
        self._seen: dict[tuple[int, str], Counter[str]] = {}
        self._rate = _Rate(started_ns)
        self._latest: FrameRecord | None = None
        self.frames = 0
        self.last_done_ns = started_ns
        self.max_temperatures_c: dict[str, float] = {}
        """By zone, over all snapshots."""

    def add(self, number: int, record: FrameRecord, done_ns: int, sinks_ns: int) -> None:
        """Count a record.

        Args:
            number: of the source.
            record: of its frame.
            done_ns: when its answer was there, on the monotonic clock.
            sinks_ns: what all sinks took for it.
        """
        times = record.times
        self.frames += 1
        self.last_done_ns = done_ns
        self._latest = record
        stages = self._stages
        stages["capture"].add(times.capture_ns)
        stages["decode"].add(times.decode_ns)
        stages["wait"].add(times.wait_ns)
        stages["preprocess"].add(times.preprocess_ns)
        stages["infer"].add(times.infer_ns)
        stages["post"].add(times.post_ns)
        stages["sink"].add(sinks_ns)
        stages["end_to_end"].add(times.age_ns)
        self._sources[number].add(record)
        picture = number, record.frame.file or ""
        if picture in self._seen or len(self._seen) < SEEN_LIMIT:
            self._seen.setdefault(picture, Counter())[record.result.top[0].label] += 1

    def frames_of(self, number: int) -> int:
        """Give how many frames of one source were classified."""
        return self._sources[number].frames

    def seen(self) -> tuple[Seen, ...]:
        """Give what each picture or source was named, in order of appearance."""
        return tuple(
            Seen(self._name(*picture), labels.most_common(1)[0][0], _share(labels), labels.total())
            for picture, labels in self._seen.items()
        )

    def _name(self, number: int, file: str) -> str:
        """Give the file's name, with its source where another one has such a file too."""
        source = self._sources[number].name
        if not file:
            return source
        is_shared = sum(other == file for _, other in self._seen) > 1
        return f"{source}: {file}" if is_shared else file

    def snapshot(
        self,
        now_ns: int,
        looks: Sequence[tuple[SourceState, str, SourceCounts]],
        power: PowerReading | Unavailable,
        board: BoardReading | Unavailable,
    ) -> Snapshot:
        """Tell where the run stands.

        Args:
            now_ns: monotonic clock.
            looks: state, problem and counts of each source.
            power: now.
            board: now.
        """
        if isinstance(board, BoardReading):
            for zone, heat_c in board.temperatures_c.items():
                most_c = self.max_temperatures_c.get(zone, heat_c)
                self.max_temperatures_c[zone] = max(most_c, heat_c)
        sources = tuple(
            source.status(now_ns, *look) for source, look in zip(self._sources, looks, strict=True)
        )
        return Snapshot(
            told_ns=time.time_ns(),
            elapsed_s=(now_ns - self._started_ns) / 1e9,
            frames=self.frames,
            dropped=sum(source.counts.dropped for source in sources),
            unreadable=sum(source.counts.unreadable for source in sources),
            fps=self._rate.at(now_ns, self.frames),
            stages={name: stage.percentiles() for name, stage in self._stages.items()},
            power=power,
            latest=self._latest,
            sources=sources,
            board=board,
        )

    def mean_fps(self) -> float:
        """Give frames per second from the start to the last answer."""
        elapsed_s = (self.last_done_ns - self._started_ns) / 1e9
        return self.frames / elapsed_s if self.frames else 0.0


class _SourceTally:
    """What one source has done so far."""

    def __init__(self, name: str, started_ns: int) -> None:
        self.name = name
        self._age = LatencyHistogram()
        self._rate = _Rate(started_ns)
        self._latest: FrameRecord | None = None
        self.frames = 0

    def add(self, record: FrameRecord) -> None:
        self.frames += 1
        self._latest = record
        self._age.add(record.times.age_ns)

    def status(
        self, now_ns: int, state: SourceState, problem: str, counts: SourceCounts
    ) -> SourceStatus:
        return SourceStatus(
            name=self.name,
            state=state,
            problem=problem,
            size=self._latest.frame.size if self._latest else None,
            frames=self.frames,
            fps=self._rate.at(now_ns, self.frames),
            counts=counts,
            age=self._age.percentiles(),
            latest=self._latest,
        )


class _Rate:
    """Frames per second over the last few snapshots."""

    def __init__(self, started_ns: int) -> None:
        self._points: deque[tuple[int, int]] = deque([(started_ns, 0)], maxlen=RATE_SNAPSHOTS)

    def at(self, now_ns: int, frames: int) -> float:
        then_ns, then_frames = self._points[0]
        self._points.append((now_ns, frames))
        return (frames - then_frames) / max(1, now_ns - then_ns) * 1e9


def _share(labels: Counter[str]) -> float:
    return labels.most_common(1)[0][1] / labels.total()
