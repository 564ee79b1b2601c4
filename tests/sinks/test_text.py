"""What the panel and the summary say of the machine."""

from __future__ import annotations

import pytest

from edge.record import BoardReading, Clock, Unavailable
from edge.sinks.text import board_summary_text, board_text, throttling_text

CLOCKS = (Clock("gpu", 306.0), Clock("cpu0", 1510.4))


@pytest.mark.parametrize(
    ("board", "text"),
    [
        (
            BoardReading({"cpu": 48.2, "tj": 54.26}, CLOCKS, 0.4, "15W (0)", locked=False),
            "board tj 54.3 °C, 15W (0), clocks not locked",
        ),
        (BoardReading({"tj": 54.0}, locked=True, throttles=1),
         "board tj 54.0 °C, clocks locked, throttled 1 time"),
        (BoardReading({}, throttles=12), "board throttled 12 times"),
        (BoardReading({}, CLOCKS), "board tells clocks alone"),
    ],
)  # fmt: skip
def test_summary_names_what_the_figures_depend_on(board, text):
    assert board_summary_text(board) == text


@pytest.mark.parametrize(
    ("board", "text"),
    [
        (BoardReading({}, CLOCKS, 0.4), "gpu 306 MHz 40%, cpu 1510 MHz"),
        (BoardReading({}, CLOCKS), "gpu 306 MHz, cpu 1510 MHz"),
        (BoardReading({}), "board tells nothing now"),
        (Unavailable("no reading yet"), "board not available: no reading yet"),
    ],
)
def test_line_names_what_the_board_tells(board, text):
    assert board_text(board) == text
    assert throttling_text(board) == ""
