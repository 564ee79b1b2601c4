"""Moves frames from sources through an engine to the sinks."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from edge.errors import EdgeError, InputError
from edge.image import Fitter
from edge.record import FrameRecord, StageTimes, Summary, Unavailable
from edge.result import classify
from edge.telemetry.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge.camera.capture import Capture
    from edge.camera.round_robin import RoundRobin
    from edge.engine.base import Engine, Slot
    from edge.frame import Frame
    from edge.model.contract import Contract
    from edge.record import BoardReading, PowerReading, Snapshot
    from edge.sinks.base import Sink

WAIT_S = 0.1
SNAPSHOT_EVERY_NS = 250_000_000


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How a run goes.

    Attributes:
        top_k: guesses a frame.
        seconds: length of the run; None runs to the end of the sources.
        stop: ends the run when it is set, from any thread or signal handler.
        read_power: gives the power now.
        read_board: gives heat, clocks, load and mode now.
    """

    read_power: Callable[[], PowerReading | Unavailable]
    read_board: Callable[[], BoardReading | Unavailable] = lambda: Unavailable("not asked for")
    top_k: int = 5
    seconds: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(slots=True, eq=False)  # not frozen: that costs half a microsecond a frame
class _InFlight:
    number: int
    frame: Frame
    slot: Slot
    taken_ns: int
    fitted_ns: int
    decode_ns: int


_slot_of = attrgetter("slot")


def run_loop(
    sources: RoundRobin,
    engine: Engine,
    contract: Contract,
    sinks: Sequence[Sink],
    options: LoopOptions,
) -> Summary:
    """Classify frames until all sources have ended, the time is over or `options.stop` is set.

    While a frame is in the network the next one is decoded, cut and resized. Where a source is live
    and the engine aims at latency, a frame is taken only when the engine is free for it: at an
    overloaded engine the label is then never older than a capture interval and an inference.

    An engine that takes several frames at once gets what the sources have ready when it is free;
    no frame waits for another one to come.

    Args:
        sources: started by the caller.
        engine: open.
        contract: of the engine's model.
        sinks: get every record and a snapshot four times a second; closed by the caller.
        options: how the run goes.

    Returns:
        What was done, also when a source was lost: `Summary.lost` then says how.

    Raises:
        EdgeError: no source gave anything usable, the engine failed, or a sink cannot go on.
    """
    run = _Run(sources, engine, contract, sinks, options)
    run.classify_frames()
    run.finish()
    return run.summary()


class _Run:
    """The state of one run."""

    def __init__(
        self,
        sources: RoundRobin,
        engine: Engine,
        contract: Contract,
        sinks: Sequence[Sink],
        options: LoopOptions,
    ) -> None:
        self._sources = sources
        self._engine = engine
        self._contract = contract
        self._are_logits = contract.output == "logits"
        self._fitter = Fitter(contract)
        self._sinks = sinks
        self._options = options
        waits = sources.live and engine.info.aim == "latency"
        self._batch = engine.info.batch
        self._depth = 1 if waits else engine.info.slots // self._batch
        self._in_flight: deque[list[_InFlight]] = deque()
        self._spare: Slot | None = None
        self._started_ns = time.monotonic_ns()
        self._next_snapshot_ns = self._started_ns + SNAPSHOT_EVERY_NS
        self._tally = Tally([capture.name for capture in sources.captures], self._started_ns)

    def classify_frames(self) -> None:
        """Do the work until there is a reason to stop."""
        while not self._is_over():
            # Asked before `take`, for a frame may come between the two questions.
            ended = not self._in_flight and self._sources.ended
            taken = None
            if len(self._in_flight) < self._depth:
                taken = self._sources.take(0 if self._in_flight else WAIT_S)
            if taken is not None:
                self._submit(taken)
            if self._in_flight and (taken is None or len(self._in_flight) == self._depth):
                self._collect()
            elif taken is None and ended:
                return
            self._tell_snapshot()

    def finish(self) -> None:
        """Collect what is still in flight."""
        while self._in_flight:
            self._collect()

    def summary(self) -> Summary:
        """Give the whole run; its fps is the mean.

        Raises:
            EdgeError: nothing was classified; what kept the first source away.
        """
        captures = enumerate(self._sources.captures)
        errors = [error for one in captures if (error := self._error_of(*one)) is not None]
        if errors and not self._tally.frames:
            raise errors[0]
        final = replace(self._snapshot(), fps=self._tally.mean_fps())
        lost = errors[0] if errors else None
        return Summary(final, self._tally.seen(), lost, self._tally.max_temperatures_c)

    def _error_of(self, number: int, capture: Capture) -> Exception | None:
        """Give what stopped a source, or kept it away while there was no other one."""
        frames, unreadable = self._tally.frames_of(number), capture.counts.unreadable
        if capture.error is None and capture.ended and unreadable and not frames:
            return InputError(
                f"{capture.name}: none of its {unreadable} pictures can be decoded",
                hint="Check that the files are whole pictures",
            )
        is_given_up = capture.ended or not self._tally.frames
        return capture.error if is_given_up else None

    def _is_over(self) -> bool:
        seconds = self._options.seconds
        elapsed_s = (time.monotonic_ns() - self._started_ns) / 1e9
        return self._options.stop.is_set() or (seconds is not None and elapsed_s >= seconds)

    def _submit(self, taken: tuple[int, Frame]) -> None:
        """Start the network on a frame, and on those that come to it without waiting."""
        flights = self._fit(*taken)
        tries = self._batch - 1
        while tries and (more := self._sources.take(0)) is not None:
            flights += self._fit(*more)
            tries -= 1
        if flights:
            self._engine.submit(*map(_slot_of, flights))
            self._in_flight.append(flights)
            self._spare = None  # it lies behind theirs and went with them

    def _fit(self, number: int, frame: Frame) -> list[_InFlight]:
        """Cut and resize a frame into a slot; a damaged picture, which is none, leaves its slot."""
        taken_ns = time.monotonic_ns()
        slot = self._spare or self._engine.acquire()
        try:
            self._fitter.fit(frame.data, slot.pixels)
        except InputError:
            self._spare = slot
            self._sources.captures[number].count_unreadable()
            return []
        self._spare = None
        return [
            _InFlight(number, frame, slot, taken_ns, time.monotonic_ns(), self._fitter.decode_ns)
        ]

    def _collect(self) -> None:
        """Tell the answers of the oldest submission."""
        for flight in self._in_flight.popleft():
            scores = self._engine.collect()
            scored_ns = time.monotonic_ns()
            result = classify(
                scores.values, self._contract.labels, self._options.top_k,
                are_logits=self._are_logits,
            )  # fmt: skip
            done_ns = time.monotonic_ns()
            frame = flight.frame
            read_ns = frame.captured_ns + frame.capture_ns + frame.decode_ns
            times = StageTimes(
                capture_ns=frame.capture_ns,
                decode_ns=frame.decode_ns + flight.decode_ns,
                wait_ns=max(0, flight.taken_ns - read_ns),
                preprocess_ns=flight.fitted_ns - flight.taken_ns - flight.decode_ns,
                infer_ns=scores.infer_ns,
                post_ns=done_ns - scored_ns,
                age_ns=done_ns - frame.captured_ns,
            )
            record = FrameRecord(frame, result, times, time.time_ns())
            for sink in self._sinks:
                sink.take_record(record)
            self._tally.add(flight.number, record, done_ns, time.monotonic_ns() - done_ns)

    def _tell_snapshot(self) -> None:
        if time.monotonic_ns() < self._next_snapshot_ns:
            return
        self._next_snapshot_ns = time.monotonic_ns() + SNAPSHOT_EVERY_NS
        self._raise_bugs()
        snapshot = self._snapshot()
        for sink in self._sinks:
            sink.take_snapshot(snapshot)

    def _raise_bugs(self) -> None:
        """Let no source of several hide a fault of ours."""
        for capture in self._sources.captures:
            if capture.error is not None and not isinstance(capture.error, EdgeError):
                raise capture.error

    def _snapshot(self) -> Snapshot:
        looks = [(*capture.look(), capture.counts) for capture in self._sources.captures]
        options = self._options
        now_ns = time.monotonic_ns()
        return self._tally.snapshot(now_ns, looks, options.read_power(), options.read_board())
