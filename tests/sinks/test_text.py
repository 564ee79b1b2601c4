"""What the panel and the summary say of the machine."""

from __future__ import annotations

import pytest

from edge.record import BoardReading, Clock, Unavailable
from edge.sinks.text import board_summary_text, board_text, throttling_text

CLOCKS = (Clock("gpu", 306.0), Clock("cpu0", 1510.4))


@pytest.mark.parametrize(
    ("board", "most_c", "text"),
    [
        (
            BoardReading({"cpu": 48.2, "tj": 54.26}, CLOCKS, 0.4, "15W (0)", locked=False),
            {"cpu": 71.4, "tj": 71.26},
            "board cpu 71.4 °C at most, 15W (0), clocks not locked",
        ),
        (BoardReading({"tj": 54.0}, locked=True, throttles=1), {"tj": 54.0},
         "board tj 54.0 °C at most, clocks locked, throttled 1 time"),
        (BoardReading({}, mode="15W (0)", throttles=12), {},
         "board 15W (0), throttled 12 times"),
        (BoardReading({}, CLOCKS), {}, "board tells clocks alone"),
    ],
)  # fmt: skip
def test_summary_names_what_the_figures_depend_on(board, most_c, text):
    assert board_summary_text(board, most_c) == text


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
