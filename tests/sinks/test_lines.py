"""One plain line a second."""

from __future__ import annotations

import io

from samples import make_record, make_snapshot, make_status

from edge.record import SourceCounts
from edge.sinks.lines import LinesSink


def lines_of(*elapsed_s, **changes):
    stream = io.StringIO()
    sink = LinesSink(stream)
    for second in elapsed_s:
        sink.take_record(make_record(("apple", 1.0)))
        sink.take_snapshot(make_snapshot(elapsed_s=second, **changes))
    sink.close()
    assert not stream.closed
    return stream.getvalue().splitlines()


def test_lines_come_once_a_second_when_snapshots_come_four_times():
    lines = lines_of(*(quarter / 4 for quarter in range(1, 17)))
    assert [line.split()[0] for line in lines] == ["1.0", "2.0", "3.0", "4.0"]


def test_lines_do_not_hurry_after_a_pause():
    lines = lines_of(1.0, 7.3, 7.6, 7.9, 8.1)
    assert [line.split()[0] for line in lines] == ["1.0", "7.3", "8.1"]


def test_line_says_rate_guess_latency_and_counts():
    source = make_status(counts=SourceCounts(dropped=4, unreadable=3))
    (line,) = lines_of(1.0, sources=(source,))
    assert line == (
        "   1.0 s    29.9 fps  apple 75.0%  end to end p50 5.2 p90 6.5 p99 21.8 ms"
        "  75 frames, 4 dropped, 3 unreadable"
    )


def test_line_without_a_frame_says_the_state_and_no_figures():
    source = make_status(state="connecting", latest=None, frames=0, counts=SourceCounts())
    (line,) = lines_of(1.0, latest=None, sources=(source,))
    assert line == "   1.0 s  connecting  0 frames, 0 dropped"


def test_each_of_several_sources_has_its_line_and_says_why_it_is_not_live():
    away = make_status(
        "rtsp://cam/live", state="reconnecting", problem="connection refused", latest=None, fps=0.0
    )
    lines = lines_of(1.0, sources=(make_status("/dev/video0"), away))
    assert [line.split()[2] for line in lines] == ["/dev/video0", "rtsp://cam/live"]
    assert lines[1].endswith("reconnecting: connection refused  75 frames, 4 dropped")
