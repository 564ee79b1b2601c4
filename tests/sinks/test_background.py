"""Lines written by a thread: nobody waits, what does not fit is counted, no failure is lost."""

from __future__ import annotations

import threading
import time

import pytest

from edge.errors import InputError
from edge.sinks.background import BackgroundLines

DEADLINE_S = 60


class Gate:
    """A disk that hangs until it is opened."""

    def __init__(self):
        self.opened, self.reached = threading.Event(), threading.Event()
        self.lines, self.closed = [], 0

    def write(self, lines):
        self.reached.set()
        assert self.opened.wait(DEADLINE_S)
        self.lines += lines.splitlines(keepends=True)

    def close(self):
        self.closed += 1


class Broken:
    """A disk that is full."""

    def __init__(self, error):
        self.error, self.closed = error, 0

    def write(self, lines):  # noqa: ARG002 - the protocol's signature
        raise self.error

    def close(self):
        self.closed += 1


def join(name):
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(DEADLINE_S)


def test_lines_are_written_in_order_and_the_file_is_closed_once():
    gate = Gate()
    gate.opened.set()
    lines = BackgroundLines(gate, "rows.jsonl")
    for number in range(100):
        lines.write(b"%d\n" % number)
    lines.close(DEADLINE_S)
    lines.close(DEADLINE_S)
    assert gate.lines == [b"%d\n" % number for number in range(100)]
    assert (gate.closed, lines.dropped) == (1, 0)


def test_line_is_written_without_waiting_for_another_one():
    """Who follows the file sees each frame when it comes."""
    gate = Gate()
    lines = BackgroundLines(gate, "rows.jsonl")
    lines.write(b"one\n")
    assert gate.reached.wait(DEADLINE_S)
    gate.opened.set()
    lines.close(DEADLINE_S)


def test_lines_are_dropped_counted_and_told_when_the_disk_hangs(caplog):
    gate = Gate()
    lines = BackgroundLines(gate, "rows.jsonl", most_bytes=30)
    for number in range(10):
        lines.write(b"line %03d.\n" % number)
    assert lines.dropped == 7
    gate.opened.set()
    lines.close(DEADLINE_S)
    assert gate.lines == [b"line %03d.\n" % number for number in range(3)]
    assert caplog.messages == [
        "rows.jsonl: cannot be written fast enough, lines are dropped",
        "rows.jsonl: 7 of 10 lines are missing",
    ]


def test_there_is_room_again_when_lines_were_written():
    gate = Gate()
    gate.opened.set()
    lines = BackgroundLines(gate, "rows.jsonl", most_bytes=8)
    lines.write(b"line 1.\n")
    deadline_s = time.monotonic() + DEADLINE_S
    offered = 0
    while lines.dropped == offered:  # no room yet
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
        lines.write(b"line 2.\n")
        offered += 1
    lines.close(DEADLINE_S)
    assert gate.lines == [b"line 1.\n", b"line 2.\n"]


def test_what_is_not_written_in_time_is_counted_and_the_file_left_to_its_thread(caplog):
    gate = Gate()
    lines = BackgroundLines(gate, "rows.jsonl")
    for _ in range(3):
        lines.write(b"line\n")
    lines.close(within_s=0)
    assert (lines.dropped, gate.closed) == (3, 0)
    assert caplog.messages == ["rows.jsonl: 3 of 3 lines are missing"]
    gate.opened.set()
    join("rows")


@pytest.mark.parametrize("error", [InputError("disk: is full", hint="Mend it"), BrokenPipeError()])
def test_failure_is_raised_once_in_the_thread_of_the_owner(error):
    broken = Broken(error)
    lines = BackgroundLines(broken, "rows.jsonl")
    lines.write(b"line\n")
    join("rows")
    with pytest.raises(type(error)):
        lines.write(b"line\n")
    lines.close()
    assert broken.closed == 1


def test_failure_of_the_last_line_is_raised_by_close():
    broken = Broken(InputError("disk: is full", hint="Mend it"))
    lines = BackgroundLines(broken, "rows.jsonl")
    lines.write(b"line\n")
    with pytest.raises(InputError, match="disk: is full"):
        lines.close(DEADLINE_S)
    assert broken.closed == 1
