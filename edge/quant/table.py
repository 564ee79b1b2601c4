"""The calibration table: what the pictures decided, in a file beside the model, to be used again.

JSON with a version, a key that names all that decides the values, the values of
`edge.quant.measure.Measured`, and a hash over the whole. Floats are written so that they come back
to the bit.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from edge.errors import CalibrationError
from edge.files import read_bytes, sha256_bytes
from edge.quant.margins import Range
from edge.quant.measure import Measured

if TYPE_CHECKING:
    from pathlib import Path

    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet
    from edge.quant.quantize import QuantOptions

log = logging.getLogger(__name__)

TABLE_VERSION = 1
"""Also to be raised when the same key comes to other values."""

PREPROCESSING = ("input_hw", "resize", "resize_short_px", "channel_order", "mean", "std")
OTHERS = {
    "version": "another version of the table",
    "preprocessing": "another preprocessing",
    "model": "another model",
    "pictures": "other pictures",
    "options": "other options",
}
"""Part of the key to what is said where it differs."""

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What Python raises where JSON is broken, or holds other things than a table does."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it lies in a file.

    Attributes:
        key: see `table_key`; of another version only that is known.
        measured: the decisions; None in a table of another version.
    """

    key: dict[str, Any]
    measured: Measured | None


def table_path(output: Path) -> Path | None:
    """Give where the table of a model lies: beside it; None for what is no file, say /dev/null."""
    is_file = output.is_file() or not output.exists()
    return output.with_suffix(".calib.json") if is_file else None


def table_key(model: Model, calibration: CalibrationSet, options: QuantOptions) -> dict[str, Any]:
    """Give all that decides the values, in types of JSON, by the names in `OTHERS`."""
    contract = asdict(model.contract)
    key = {
        "version": TABLE_VERSION,
        "preprocessing": {name: contract[name] for name in PREPROCESSING},
        "model": model.sha256(),
        "pictures": calibration.sha256,
        "options": asdict(options),
    }
    plain: dict[str, Any] = json.loads(json.dumps(key))
    return plain


def format_table(key: dict[str, Any], measured: Measured) -> bytes:
    """Give the file's bytes, the same ones each time."""
    table = {**key, **asdict(measured)}
    return f"{json.dumps({**table, 'sha256': _seal(table)}, indent=1)}\n".encode()


def parse_table(data: bytes, origin: str) -> Table:
    """Read a table.

    Args:
        data: of a file.
        origin: the file, for the error's line.

    Raises:
        CalibrationError: this is no whole table, or its values were changed.
    """
    hint = "Move it away, or give another one with --table"
    try:
        fields = json.loads(data)
        seal, version = fields.pop("sha256"), fields["version"]
        if version != TABLE_VERSION:
            return Table({"version": version}, None)
        is_sealed = seal == _seal(fields)
        table = Table({part: fields[part] for part in OTHERS}, _read_measured(fields))
    except UNREADABLE as error:
        raise CalibrationError(f"{origin}: is no calibration table", hint=hint) from error
    if not is_sealed:
        raise CalibrationError(f"{origin}: was changed since edge wrote it", hint=hint)
    return table


def find_measured(beside: Path | None, given: Path | None, key: dict[str, Any]) -> Measured | None:
    """Give the decisions of an earlier run that had the same key.

    Args:
        beside: where the table of the output lies; one of another key is only told of.
        given: a table that a person wants to be used.
        key: of this run.

    Raises:
        InputError: a table cannot be read.
        CalibrationError: one is no table, or the given one is of another key; names what differs.
    """
    path = given or beside
    if path is None or (given is None and not path.exists()):
        return None
    table = parse_table(read_bytes(path), str(path))
    others = [text for part, text in OTHERS.items() if table.key.get(part) != key[part]]
    if not others:
        return table.measured
    is_of = f"{path}: is of {', '.join(others if table.measured else others[:1])}"
    if given is not None:
        raise CalibrationError(
            is_of, hint="Leave --table away, or give what the table was made with"
        )
    log.warning("%s. Measuring again", is_of)
    return None


def _read_measured(fields: dict[str, Any]) -> Measured:
    maxima = {name: tuple(map(float, values)) for name, values in fields["maxima"].items()}
    ranges = {name: Range(**one) for name, one in fields["ranges"].items()}
    return Measured(maxima, ranges, tuple(map(str, fields["doubled"])))


def _seal(fields: dict[str, Any]) -> str:
    return sha256_bytes(json.dumps(fields, sort_keys=True).encode())
