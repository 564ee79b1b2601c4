"""One check: a function in a thread of its own, so that neither its error nor its hang stops us."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal

from edge.errors import CheckFailedError, EdgeError
from edge.record import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    Work = Callable[[], str | Unavailable]

log = logging.getLogger(__name__)

Status = Literal["passed", "failed", "not tested"]
LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found.

    Attributes:
        name: what was checked.
        status: "not tested" where this machine lacks what it takes.
        detail: the figures, or the reason.
        seconds: how long it took on this machine, builds included; no measure of an engine.
    """

    name: str
    status: Status
    detail: str
    seconds: float


def run_check(name: str, work: Work, limit_s: float = LIMIT_S) -> Check:
    """Do the work and judge it; no error of it is raised here.

    Args:
        name: of the check.
        work: gives what it found, or why it cannot be tested here; raises where the answer is no.
        limit_s: how long to wait before it counts as hanging; its thread is then left behind.
    """
    answers: SimpleQueue[str | Unavailable | Exception] = SimpleQueue()
    thread = threading.Thread(target=_work, args=(work, answers), name="selftest", daemon=True)
    started_s = time.monotonic()
    thread.start()
    answer: str | Unavailable | Exception
    try:
        answer = answers.get(timeout=limit_s)
        thread.join()
    except Empty:
        answer = CheckFailedError(
            f"gave no answer for {limit_s:g} s", hint="Look into dmesg, and run it alone"
        )
    status, detail = _judge(name, answer)
    return Check(name, status, " ".join(detail.split()), round(time.monotonic() - started_s, 3))


def _work(work: Work, answers: SimpleQueue[str | Unavailable | Exception]) -> None:
    try:
        answers.put(work())
    except Exception as error:  # noqa: BLE001 - the owner judges it
        answers.put(error)


def _judge(name: str, answer: str | Unavailable | Exception) -> tuple[Status, str]:
    if isinstance(answer, str):
        return "passed", answer
    if isinstance(answer, Unavailable):
        return "not tested", answer.reason
    log.debug("%s failed", name, exc_info=answer)
    if isinstance(answer, EdgeError):
        return "failed", str(answer)
    return "failed", f"{type(answer).__name__}: {answer}"
