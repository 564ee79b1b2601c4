"""The live panel, drawn on a console that keeps what it shows."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from samples import make_record, make_snapshot, make_status

from edge.record import BoardReading, Clock, Percentiles, PowerReading, Unavailable
from edge.sinks.panel import PanelSink, bar_text, board_line, draw_panel

WIDTHS = (60, 120)
TITLE = "demo · small · null"


def shown(width, *, title=TITLE, rows=5, **changes):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=False, color_system=None)
    console.print(draw_panel(make_snapshot(**changes), title, rows=rows, columns=width))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", WIDTHS)
def test_panel_shows_what_is_seen_and_what_it_costs(width):
    text = "\n".join(shown(width))
    for words in (TITLE, "apple", "75.0%", "bird", "20.0%", "29.9 fps", "75 frames", "4 dropped",
                  "p50", "p90", "p99", "end to end", "5.25", "6.50", "21.75", "power",
                  "not available"):  # fmt: skip
        assert words in text


@pytest.mark.parametrize("width", WIDTHS)
def test_panel_shows_the_power_and_its_rail(width):
    power = PowerReading(5123.0, 4875.0, 12.25, "VDD_IN (module)")
    text = " ".join(" ".join(line.strip("│ ") for line in shown(width, power=power)).split())
    assert "power 5.12 W now, 4.88 W mean, 12.2 J, VDD_IN (module)" in text


@pytest.mark.parametrize("width", [*WIDTHS, 84, 83])
@pytest.mark.parametrize(
    "label", ["apple", "a label so long that no column holds it", "犬" * 30, "[bold]not markup[/]"]
)
def test_panel_is_never_wider_than_the_console(width, label):
    latest = make_record((label, 1.0), ("b", 0.0))
    lines = shown(width, latest=latest, frames=123_456_789, dropped=98_765_432)
    assert {cell_len(line) for line in lines} == {width}


@pytest.mark.parametrize("width", WIDTHS)
def test_panel_keeps_its_height_when_there_are_fewer_guesses(width):
    heights = {
        len(shown(width, latest=latest))
        for latest in (None, make_record(("apple", 1.0)), make_snapshot().latest)
    }
    assert len(heights) == 1


HOT = BoardReading(
    {"cpu": 48.5, "tj": 49.9},
    (Clock("gpu", 918.0), Clock("emc", 3199.0), Clock("cpu0", 729.6), Clock("cpu1", 1728.0)),
    0.41,
    "MAXN_SUPER (2)",
    locked=False,
    throttling=("cpu too hot", "under-voltage"),
    throttles=7,
)


def test_panel_shows_heat_mode_and_clocks_in_one_line():
    wanted = "tj 49.9 °C, MAXN_SUPER (2), gpu 918 MHz 41%, cpu 1728 MHz, emc 3199 MHz"
    text = "\n".join(shown(120, board=replace(HOT, throttling=())))
    assert wanted in text
    assert "throttled" not in text
    throttled = board_line(HOT)
    assert throttled.plain.startswith("throttled: cpu too hot, under-voltage   tj 49.9")
    assert "yellow" in str(throttled.spans[0].style)


@pytest.mark.parametrize("width", WIDTHS)
def test_panel_keeps_its_height_whatever_the_board_tells(width):
    long = replace(HOT, throttling=tuple(f"cause {number}" for number in range(40)))
    states = (Unavailable("no reading yet"), BoardReading({}), HOT, long)
    assert len({len(shown(width, board=board)) for board in states}) == 1
    assert {cell_len(line) for line in shown(width, board=long)} == {width}


@pytest.mark.parametrize("name", ["a[/b].mp4", "[red]x.mp4", "[link=x]"])
def test_panel_shows_brackets_of_a_file_name_as_they_are(name):
    assert name in shown(100, title=f"{name} · small")[0]


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, ""), (1.0, "████"), (0.5, "██"), (1 / 32, "▏"), (31 / 32, "███▉")]
)
def test_bar_is_as_long_as_its_share(share, text):
    assert bar_text(share, 4) == text


def test_panel_sink_redraws_in_place_and_gives_the_terminal_back():
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True, color_system=None)
    sink = PanelSink(console, TITLE, rows=5)
    sink.take_record(make_record(("apple", 1.0)))
    sink.take_snapshot(make_snapshot(fps=11.0))
    sink.take_snapshot(make_snapshot(fps=22.0))
    sink.close()
    sink.close()
    text = stream.getvalue()
    assert "11.0 fps" in text
    assert "22.0 fps" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "cursor hidden, then shown"
    console.print("after")
    assert stream.getvalue().endswith("after\n")


def test_panel_sink_leaves_room_for_the_echo_of_ctrl_c():
    """Where it wraps, the panel's first line stays on the screen behind the summary."""
    stream = io.StringIO()
    sink = PanelSink(
        Console(file=stream, width=100, force_terminal=True, color_system=None), TITLE, rows=5
    )
    sink.take_snapshot(make_snapshot())
    first = next(line for line in stream.getvalue().splitlines() if "╭" in line)
    sink.close()
    assert cell_len(first[first.index("╭") :]) == 98


CAMERAS = (
    make_status("/dev/video0"),
    make_status("rtsp://cam.local/live", state="stalled", problem="no frame for 3 s"),
    make_status(
        "http://" + "x" * 80, state="connecting", problem="refused", latest=None, size=None
    ),
)


@pytest.mark.parametrize("width", [*WIDTHS, 84, 83])
def test_panel_has_a_line_for_each_of_several_sources(width):
    lines = shown(width, sources=CAMERAS)
    assert {cell_len(line) for line in lines} == {width}
    text = "\n".join(lines)
    for words in ("/dev/video0", "live", "stalled", "connecting", "apple 75.0%",
                  "no frame for 3", "refused", "29.9 fps"):  # fmt: skip
        assert words in text


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [1, 3])
def test_panel_keeps_its_height_when_a_source_has_a_problem(width, count):
    well = [make_status(str(number)) for number in range(count)]
    ill = [replace(one, state="reconnecting", problem="why " * 50) for one in well]
    assert len({len(shown(width, sources=tuple(sources))) for sources in (well, ill)}) == 1


def test_panel_has_no_age_for_a_source_without_frames():
    zero = Percentiles(0.0, 0.0, 0.0, 0.0, 0.0)
    away = make_status("b", state="connecting", latest=None, frames=0, fps=0.0, age=zero)
    lines = shown(120, sources=(make_status("a"), away))
    (line,) = (line for line in lines if "connecting" in line)
    assert "0.00" not in line


def test_panel_says_why_its_only_source_is_not_live():
    source = make_status(state="reconnecting", problem="connection refused")
    assert "reconnecting: connection refused" in "\n".join(shown(100, sources=(source,)))
