"""Moves frames from a source through an engine to the sinks, and counts what that costs."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.errors import CameraLostError
from edge.image import Fitter
from edge.record import (
    STAGES,
    FrameRecord,
    PowerReading,
    Seen,
    Snapshot,
    StageTimes,
    Summary,
    Unavailable,
)
from edge.result import classify
from edge.telemetry.latency import LatencyHistogram

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge.camera.capture import Capture
    from edge.engine.base import Engine
    from edge.frame import Frame
    from edge.model.contract import Contract
    from edge.sinks.base import Sink

WAIT_S = 0.1
SNAPSHOT_EVERY_NS = 250_000_000
RATE_SNAPSHOTS = 5
SEEN_LIMIT = 12


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How a run goes.

    Attributes:
        top_k: guesses a frame.
        seconds: length of the run; None runs to the end of the source.
        stop: ends the run when it is set, from any thread or signal handler.
        read_power: gives the power now.
    """

    read_power: Callable[[], PowerReading | Unavailable]
    top_k: int = 5
    seconds: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True, eq=False)
class _InFlight:
    frame: Frame
    taken_ns: int
    submitted_ns: int


def run_loop(
    capture: Capture,
    engine: Engine,
    contract: Contract,
    sinks: Sequence[Sink],
    options: LoopOptions,
) -> Summary:
    """Classify frames until the source ends, the time is over or `options.stop` is set.

    While one frame is in the network the next one is cut and resized; a live source whose next
    frame is not there yet gets its answer first.

    Args:
        capture: started by the caller.
        engine: open.
        contract: of the engine's model.
        sinks: get every record and a snapshot four times a second; closed by the caller.
        options: how the run goes.

    Returns:
        What was done, also when the source was lost: `Summary.lost` then says how.

    Raises:
        EdgeError: the source gave nothing usable, the engine failed, or a sink cannot go on.
    """
    run = _Run(capture, engine, contract, sinks, options)
    lost = None
    try:
        run.classify_frames()
    except CameraLostError as error:
        lost = error
    run.finish()
    return run.summary(lost)


class _Run:
    """The state of one run."""

    def __init__(
        self,
        capture: Capture,
        engine: Engine,
        contract: Contract,
        sinks: Sequence[Sink],
        options: LoopOptions,
    ) -> None:
        self._capture = capture
        self._engine = engine
        self._contract = contract
        self._fitter = Fitter(contract)
        self._sinks = sinks
        self._options = options
        self._in_flight: deque[_InFlight] = deque()
        self._stages = {name: LatencyHistogram() for name in STAGES}
        self._seen: dict[str, Counter[str]] = {}
        self._frames = 0
        self._latest: FrameRecord | None = None
        self._started_ns = time.monotonic_ns()
        self._last_done_ns = self._started_ns
        self._next_snapshot_ns = self._started_ns + SNAPSHOT_EVERY_NS
        self._rate: deque[tuple[int, int]] = deque([(self._started_ns, 0)], maxlen=RATE_SNAPSHOTS)

    def classify_frames(self) -> None:
        """Do the work until there is a reason to stop."""
        while not self._is_over():
            ended = self._capture.ended  # asked first: an end with an error is raised by take
            frame = self._capture.take(0 if self._in_flight else WAIT_S)
            if frame is not None:
                self._submit(frame)
            if self._in_flight and (
                frame is None or len(self._in_flight) == self._engine.info.slots
            ):
                self._collect()
            elif frame is None and ended:
                return
            self._tell_snapshot()

    def finish(self) -> None:
        """Collect what is still in flight."""
        while self._in_flight:
            self._collect()

    def summary(self, lost: CameraLostError | None) -> Summary:
        """Give the whole run; its fps is the mean."""
        seen = tuple(
            Seen(what, labels.most_common(1)[0][0], _share(labels), labels.total())
            for what, labels in self._seen.items()
        )
        elapsed_s = (self._last_done_ns - self._started_ns) / 1e9
        fps = self._frames / elapsed_s if self._frames else 0.0
        return Summary(self._snapshot(fps), seen, lost)

    def _is_over(self) -> bool:
        seconds = self._options.seconds
        elapsed_s = (time.monotonic_ns() - self._started_ns) / 1e9
        return self._options.stop.is_set() or (seconds is not None and elapsed_s >= seconds)

    def _submit(self, frame: Frame) -> None:
        taken_ns = time.monotonic_ns()
        slot = self._engine.acquire()
        self._fitter.fit(frame.data, slot.pixels)
        submitted_ns = time.monotonic_ns()
        self._engine.submit(slot)
        self._in_flight.append(_InFlight(frame, taken_ns, submitted_ns))

    def _collect(self) -> None:
        flight = self._in_flight.popleft()
        scores = self._engine.collect()
        result = classify(
            scores.values,
            self._contract.labels,
            self._options.top_k,
            are_logits=self._contract.output == "logits",
        )
        self._last_done_ns = time.monotonic_ns()
        frame = flight.frame
        times = StageTimes(
            capture_ns=frame.capture_ns,
            wait_ns=max(0, flight.taken_ns - frame.captured_ns - frame.capture_ns),
            preprocess_ns=flight.submitted_ns - flight.taken_ns,
            infer_ns=scores.infer_ns,
            age_ns=self._last_done_ns - frame.captured_ns,
        )
        self._count(FrameRecord(frame, result, times))

    def _count(self, record: FrameRecord) -> None:
        times = record.times
        self._frames += 1
        self._latest = record
        self._stages["capture"].add(times.capture_ns)
        self._stages["wait"].add(times.wait_ns)
        self._stages["preprocess"].add(times.preprocess_ns)
        self._stages["infer"].add(times.infer_ns)
        self._stages["end_to_end"].add(times.age_ns)
        what = record.frame.file or record.frame.source
        if what in self._seen or len(self._seen) < SEEN_LIMIT:
            self._seen.setdefault(what, Counter())[record.result.top[0].label] += 1
        for sink in self._sinks:
            sink.take_record(record)

    def _tell_snapshot(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns < self._next_snapshot_ns:
            return
        self._next_snapshot_ns = now_ns + SNAPSHOT_EVERY_NS
        then_ns, then_frames = self._rate[0]
        self._rate.append((now_ns, self._frames))
        snapshot = self._snapshot((self._frames - then_frames) / ((now_ns - then_ns) / 1e9))
        for sink in self._sinks:
            sink.take_snapshot(snapshot)

    def _snapshot(self, fps: float) -> Snapshot:
        return Snapshot(
            elapsed_s=(time.monotonic_ns() - self._started_ns) / 1e9,
            frames=self._frames,
            dropped=self._capture.dropped,
            unreadable=self._capture.source.unreadable,
            fps=fps,
            stages={name: stage.percentiles() for name, stage in self._stages.items()},
            power=self._options.read_power(),
            latest=self._latest,
        )


def _share(labels: Counter[str]) -> float:
    return labels.most_common(1)[0][1] / labels.total()
