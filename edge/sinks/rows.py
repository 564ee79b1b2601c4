"""One line for each frame, as a JSON object or as a row of CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

from edge.schema import frame_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.record import FrameRecord, Snapshot
    from edge.sinks.line_file import Lines

COLUMNS = (
    "version", "time", "seq", "source", "file", "top1_label", "top1_index", "top1_p", "age_ms",
    "capture_ms", "decode_ms", "wait_ms", "preprocess_ms", "infer_ms", "post_ms",
)  # fmt: skip
"""Of CSV: the schema's own names; `top1_` stands for the fields of the best guess."""

_to_json = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` makes one for each line
_FORMULA = ("=", "+", "-", "@")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


class RowsSink:
    """Writes each record as one line.

    Args:
        lines: where to; closed with this.
        to_line: makes the line of a record, as `json_line` does.
    """

    def __init__(self, lines: Lines, to_line: Callable[[FrameRecord], bytes]) -> None:
        self._lines = lines
        self._to_line = to_line

    def take_record(self, record: FrameRecord) -> None:
        """Write one line.

        Raises:
            InputError: the file cannot be written, and would look complete without being it.
            BrokenPipeError: the reader of stdout went away.
        """
        self._lines.write(self._to_line(record))

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Keep frames only: who reads the lines may count on each being one."""

    def close(self) -> None:
        """Close the file; stdout stays open."""
        self._lines.close()


def json_line(record: FrameRecord) -> bytes:
    """Give the frame's object of the schema in one line."""
    return _encoded(_to_json(frame_row(record)) + "\n")


def csv_line(record: FrameRecord) -> bytes:
    """Give the frame as a row of `COLUMNS`; text never begins a formula, nor a second line."""
    row = frame_row(record)
    best = row["top"][0]
    row |= {"top1_label": best["label"], "top1_index": best["index"], "top1_p": best["p"]}
    return _encoded(_joined([_cell(row.get(name, "")) for name in COLUMNS]))


def csv_head() -> bytes:
    """Give the first line of a file of CSV."""
    return _encoded(_joined(COLUMNS))


def _cell(value: object) -> object:
    """Give text so that a spreadsheet shows it and does not run it.

    Source: OWASP, "CSV Injection": a quote before =, +, - and @; the tabulator and the carriage
    return, which it names too, are written as escapes here, as all control characters are.
    """
    if not isinstance(value, str):
        return value
    text = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _joined(cells: list[object] | tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _encoded(line: str) -> bytes:
    return line.encode(errors="backslashreplace")  # a file name may be no UTF-8
