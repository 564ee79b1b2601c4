"""Networks kept as OpenVINO compiled them, so that a start needs neither ONNX nor a compiler."""

from __future__ import annotations

import json
import logging
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from edge import __version__
from edge.assets import user_folder
from edge.engine.base import open_engine
from edge.engine.openvino import OpenVINOEngine, describe_runtime
from edge.errors import EdgeError, InputError, ModelError
from edge.files import read_bytes, sha256_bytes, write_atomic
from edge.model.contract import parse_contract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.engine.base import Aim, Engine
    from edge.model.contract import Contract

log = logging.getLogger(__name__)

FORM = 1
"""Counts up when `edge.engine.openvino.openvino_form` makes another network of the same file."""

SUFFIX = ".openvino"


@contextmanager
def open_kept(file: Path, aim: Aim) -> Iterator[tuple[Engine, Contract]]:
    """Open a model on OpenVINO for the length of a `with` block, and keep it for the next time.

    Where it cannot be kept (a read-only home), it is compiled each time.

    Args:
        file: ONNX of ours.
        aim: see `edge.engine.base.open_engine`.

    Raises:
        InputError: the file cannot be read.
        ModelError: it is no model of ours, or OpenVINO does not take it.
        MissingExtraError: OpenVINO is not installed.
    """
    path = _path(file, aim)
    found = _restore(path, aim) if path else None
    if found is not None:
        with closing(found[0]) as engine:
            yield engine, found[1]
        return
    from edge.model.onnx_file import load_model

    model = load_model(file)
    with open_engine("openvino", model, aim) as opened:
        if path is not None and isinstance(opened, OpenVINOEngine):
            _keep(path, opened, model.contract)
        yield opened, model.contract


def _path(file: Path, aim: Aim) -> Path | None:
    """Give where the network of a file lies: named by all that decides it."""
    data = read_bytes(file)
    kind = f"{FORM} {__version__} {describe_runtime()}"
    name = f"{sha256_bytes(data)[:24]}-{aim}-{sha256_bytes(kind.encode())[:8]}{SUFFIX}"
    try:
        return user_folder("cache") / name
    except InputError:
        return None


def _restore(path: Path, aim: Aim) -> tuple[OpenVINOEngine, Contract] | None:
    """Open what was kept; None where there is nothing, or nothing that can be used."""
    if not path.exists():
        return None
    try:
        head, _, exported = read_bytes(path).partition(b"\n")
        fields = json.loads(head)
        if fields["sha256"] != sha256_bytes(exported):
            raise ModelError(f"{path}: is damaged", hint="It is made again")
        contract = parse_contract(fields["contract"], str(path))
        return OpenVINOEngine.restore(exported, fields["precision"], aim), contract
    except (EdgeError, ValueError, KeyError, TypeError) as error:
        log.info("%s: not used (%s)", path, error)
        return None


def _keep(path: Path, engine: OpenVINOEngine, contract: Contract) -> None:
    """Write the network in the place of older ones of the same file."""
    exported = engine.export()
    fields = {
        "sha256": sha256_bytes(exported),
        "precision": engine.info.precision,
        "contract": contract.to_json(),
    }
    try:
        write_atomic(path, json.dumps(fields).encode() + b"\n" + exported)
        for old in path.parent.glob(f"{path.name.rpartition('-')[0]}-*{SUFFIX}"):
            if old != path:
                old.unlink(missing_ok=True)
    except (EdgeError, OSError) as error:
        log.info("%s: not kept (%s)", path, error)
