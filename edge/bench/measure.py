"""Measures cases side by side in rounds, until their medians are known well or the time is over."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.bench.case import CaseResult, Refused
from edge.bench.figures import half_width_share, round_medians
from edge.bench.rounds import Driver
from edge.bench.yardstick import Yardstick
from edge.errors import EdgeError
from edge.record import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge.bench.case import Case, Round, WarmUp
    from edge.engine.base import EngineInfo
    from edge.record import BoardReading, PowerReading

PARTS = 8
"""Openings of the engine at least. Where its memory and threads come to lie is drawn anew in each,
which moves a median by more than many more rounds would tell. Fewer parts could all fall into a
quiet stretch, whose median looks better known than it is."""
ROUNDS_A_PART = 3
ROUND_S = 0.25
METERED_ROUND_S = 1.0
"""Where power is sampled, 20 times a second: a shorter round would hold too few samples."""
WARM_UP_SHARE = 0.05
WARM_UP_S = 1.0
"""How long each opening's warm-up may take at most: the lesser of a share of the time and this."""
NOT_ASKED_FOR = Unavailable("not asked for")


@dataclass(frozen=True, slots=True)
class Options:
    """How it is measured.

    Attributes:
        seconds: for each case at most, warm-ups included, openings not.
        precision_goal: half the width of the median's 95 % interval, as a share of it.
        read_power: gives the power now.
        read_board: gives heat, clocks and mode now.
        tell: hears what is being done, in a few words.
    """

    seconds: float = 20.0
    precision_goal: float = 0.01
    read_power: Callable[[], PowerReading | Unavailable] = lambda: NOT_ASKED_FOR
    read_board: Callable[[], BoardReading | Unavailable] = lambda: NOT_ASKED_FOR
    tell: Callable[[str], None] = lambda _words: None


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What came of all cases.

    Attributes:
        cases: in the order in which they were given.
        board: seconds since the start, and heat, clocks and mode then.
        interrupted: whether Ctrl-C ended it, and not the goal or the time.
    """

    cases: tuple[CaseResult | Refused, ...]
    board: tuple[tuple[float, BoardReading], ...]
    interrupted: bool = False

    @property
    def results(self) -> tuple[CaseResult, ...]:
        """Those that could be measured."""
        return tuple(case for case in self.cases if isinstance(case, CaseResult))


def measure(cases: Sequence[Case], options: Options) -> Measured:
    """Measure all cases in the same stretch of time.

    Each engine is opened several times; in each part the cases take turns, a round each, so that
    whatever else this machine does hurts all alike. Ctrl-C ends it, and leaves what was measured.

    Args:
        cases: with different names.
        options: how.

    Raises:
        EdgeError: none of the cases can be measured, or an engine failed later on.
        KeyboardInterrupt: before every case had its turn.
    """
    run = _Run(cases, options)
    interrupted = False
    with Yardstick() as yardstick:
        try:
            run.go(yardstick)
        except KeyboardInterrupt:
            if not run.turns:
                raise
            interrupted = True
    return run.measured(interrupted=interrupted)


@dataclass(slots=True, eq=False)
class _Notes:
    """What is known of one case so far."""

    case: Case
    info: EngineInfo | None = None
    rounds: list[Round] = field(default_factory=list)
    warm_ups: list[WarmUp] = field(default_factory=list)
    refused: EdgeError | None = None


class _Run:
    """The state of one measurement."""

    def __init__(self, cases: Sequence[Case], options: Options) -> None:
        self._notes = [_Notes(case) for case in cases]
        self._options = options
        self._board: list[tuple[float, BoardReading]] = []
        self._started_s = time.perf_counter()
        self._spent_s = 0.0
        metered = not isinstance(options.read_power(), Unavailable)
        longest_s = METERED_ROUND_S if metered else ROUND_S
        self._round_s = min(longest_s, options.seconds / (2 * PARTS * ROUNDS_A_PART))

    def go(self, yardstick: Yardstick) -> None:
        """Do part after part."""
        part = 0
        self._look_at_board()
        while not self._is_over(part):
            self._options.tell(f"part {part + 1}")
            self._do_part(part, yardstick)
            self._look_at_board()
            part += 1

    @property
    def turns(self) -> int:
        """How many rounds each case has."""
        return min((len(notes.rounds) for notes in self._open), default=0)

    def measured(self, *, interrupted: bool) -> Measured:
        """Give what is known, of the turns in which every case had its round."""
        turns = self.turns
        for notes in self._open:
            del notes.rounds[turns:]
        cases = tuple(self._result(notes) for notes in self._notes)
        return Measured(cases, tuple(self._board), interrupted)

    def _result(self, notes: _Notes) -> CaseResult | Refused:
        if notes.info is None:
            return Refused(notes.case, str(notes.refused))
        return CaseResult(
            case=notes.case,
            info=notes.info,
            rounds=tuple(notes.rounds),
            warm_ups=tuple(notes.warm_ups),
            goal_reached=self._is_known(notes),
            start=NOT_ASKED_FOR,
            layers=NOT_ASKED_FOR,
        )

    @property
    def _open(self) -> list[_Notes]:
        return [notes for notes in self._notes if notes.refused is None]

    def _do_part(self, part: int, yardstick: Yardstick) -> None:
        """Open every engine, warm it up, and let them take turns."""
        with ExitStack() as stack:
            drivers = [
                (notes, driver)
                for notes in self._open
                if (driver := self._start(notes, stack, part)) is not None
            ]
            if not drivers:
                raise next(notes.refused for notes in self._notes if notes.refused is not None)
            for turn in range(ROUNDS_A_PART):
                for place in range(len(drivers)):
                    notes, driver = drivers[(turn + place) % len(drivers)]
                    self._do_round(notes, driver, part, yardstick)
                if self._is_time_over() and len(drivers[0][0].rounds) > 1:
                    return

    def _do_round(self, notes: _Notes, driver: Driver, part: int, yardstick: Yardstick) -> None:
        started_s = self._now_s()
        one = driver.run_round(
            part, started_s, self._round_s, yardstick.measure_ms(), self._options.read_power
        )
        notes.rounds.append(one)
        self._spent_s += self._now_s() - started_s

    def _start(self, notes: _Notes, stack: ExitStack, part: int) -> Driver | None:
        """Open and warm up one engine; None, and the reason kept, where it cannot be."""
        try:
            engine, _ = stack.enter_context(notes.case.open())
            driver = Driver(engine, notes.case.batch)
        except EdgeError as error:
            if part:
                raise
            notes.refused = error
            return None
        notes.info = engine.info
        warm_up = driver.warm_up(min(WARM_UP_S, self._options.seconds * WARM_UP_SHARE))
        notes.warm_ups.append(warm_up)
        self._spent_s += warm_up.seconds
        return driver

    def _is_over(self, part: int) -> bool:
        known = part >= PARTS and all(self._is_known(notes) for notes in self._open)
        return known or (part > 0 and self._is_time_over())

    def _is_time_over(self) -> bool:
        return self._spent_s >= self._options.seconds * len(self._open)

    def _is_known(self, notes: _Notes) -> bool:
        share = half_width_share(round_medians(notes.rounds))
        return share is not None and share <= self._options.precision_goal

    def _look_at_board(self) -> None:
        reading = self._options.read_board()
        if not isinstance(reading, Unavailable):
            self._board.append((self._now_s(), reading))

    def _now_s(self) -> float:
        return time.perf_counter() - self._started_s
