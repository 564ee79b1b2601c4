"""One JSON object a line for each frame, in a file or on stdout."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from edge.files import explain_os_error
from edge.schema import frame_row

if TYPE_CHECKING:
    from edge.record import FrameRecord, Snapshot

STDOUT = "-"


class JSONLinesSink:
    """Writes each record as one line; a line is in the file whole or not at all.

    Args:
        target: a path, or "-" for stdout.

    Raises:
        InputError: the file cannot be made.
    """

    def __init__(self, target: str) -> None:
        self._path = None if target == STDOUT else Path(target)
        self._whole_bytes = 0
        try:
            self._file: BinaryIO = (
                self._path.open("wb", buffering=0) if self._path else sys.stdout.buffer
            )
        except OSError as error:
            raise explain_os_error(target, error) from error

    def take_record(self, record: FrameRecord) -> None:
        """Write one line.

        Raises:
            InputError: the disk is full; the file ends with the last whole line.
            BrokenPipeError: the reader of stdout went away.
        """
        text = json.dumps(frame_row(record), ensure_ascii=False)
        line = text.encode(errors="backslashreplace") + b"\n"  # a file name may be no UTF-8
        try:
            written = self._file.write(line)
            while written < len(line):
                written += self._file.write(line[written:])
            if self._path is None:
                self._file.flush()
        except BrokenPipeError:
            raise  # `| head` has seen enough, which is no fault
        except OSError as error:
            if self._path is not None:
                with suppress(OSError):
                    self._file.truncate(self._whole_bytes)
            raise explain_os_error(self._path or "stdout", error) from error
        self._whole_bytes += len(line)

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Keep frames only."""

    def close(self) -> None:
        """Close the file; stdout stays open."""
        if self._path is not None:
            self._file.close()
