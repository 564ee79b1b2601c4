"""Samples heat, clocks, load and mode of this machine in a thread of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from edge.board import detect_board
from edge.record import BoardReading, Unavailable
from edge.telemetry.clocks import are_locked, read_clocks, read_gpu_load
from edge.telemetry.power_mode import query_power_mode, read_power_mode
from edge.telemetry.thermal import read_temperatures
from edge.telemetry.throttling import ThrottleWatch

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from edge.board import SysRoot

SAMPLE_HZ = 1
NOTHING = Unavailable("this machine tells no heat, clock or power mode")


class BoardProbe:
    """Reads the machine's state, and remembers what throttled it before.

    Args:
        root: where /sys, /etc and /var are.
    """

    def __init__(self, root: SysRoot) -> None:
        self._root = root
        self._is_jetson = detect_board(root) is not None
        self._watch = ThrottleWatch(root)
        # Its program takes too long to be asked each time.
        asks = self._is_jetson and read_power_mode(root) is None
        self._mode = query_power_mode(root) if asks else None

    def read(self) -> BoardReading | Unavailable:
        """Give the state now, or say that the machine does not tell any."""
        root = self._root
        clocks = read_clocks(root)
        throttling = self._watch.look()
        reading = BoardReading(
            temperatures_c=read_temperatures(root),
            clocks=clocks,
            gpu_load=read_gpu_load(root),
            mode=read_power_mode(root) or self._mode,
            locked=are_locked(clocks, has_gpu=self._is_jetson),
            throttling=throttling,
            throttles=self._watch.throttles,
        )
        return NOTHING if reading == BoardReading({}) else reading


class BoardSampler:
    """Reads the machine's state once a second between enter and exit.

    Args:
        root: where /sys, /etc and /var are.
    """

    def __init__(self, root: SysRoot) -> None:
        self._root = root
        self._reading: BoardReading | Unavailable = Unavailable("no reading yet")
        self._error: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="board", daemon=True)

    def __enter__(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the thread."""
        self._stop.set()
        self._thread.join()

    def read(self) -> BoardReading | Unavailable:
        """Give the newest reading, or why there is none.

        Raises:
            Exception: a bug of ours stopped the thread.
        """
        if self._error is not None:
            raise self._error
        return self._reading

    def _sample(self) -> None:
        try:
            self._read_until_stopped()
        except Exception as error:  # noqa: BLE001 - the owner raises it in its own thread
            self._error = error

    def _read_until_stopped(self) -> None:
        probe = BoardProbe(self._root)
        while True:
            self._reading = probe.read()
            if self._stop.wait(1 / SAMPLE_HZ):
                return
