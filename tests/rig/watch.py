"""Reads a camera in a process of its own and tells in JSON what came: watch.py SOURCE FRAMES."""

from __future__ import annotations

import json
import logging
import sys
import time

import numpy as np
from samples import make_contract

from edge.camera.base import connect
from edge.camera.url import parse_source
from edge.errors import EdgeError
from edge.frame import Jpeg
from edge.image import Fitter


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


def facts(frame) -> dict:
    """Give what a test asks of a frame; its level is the mean of what a network would see."""
    came_ns = time.monotonic_ns()
    seen = np.empty((64, 64, 3), np.uint8)
    Fitter(make_contract()).fit(frame.data, seen)
    coded = frame.data.coded if isinstance(frame.data, Jpeg) else b""
    return {
        "kind": type(frame.data).__name__,
        "seq": frame.seq,
        "size": frame.size,
        "level": float(seen.mean()),
        "ends": coded[:2].hex() + coded[-2:].hex(),
        "captured_ns": frame.captured_ns,
        "capture_ns": frame.capture_ns,
        "stamp_ns": frame.stamp_ns,
        "came_ns": came_ns,
    }


def watch(word: str, count: int) -> dict:
    """Open a source, read so many frames or up to its end, and close it, twice."""
    heard = _Heard()
    logging.getLogger("edge").addHandler(heard)
    logging.getLogger("edge").setLevel(logging.INFO)
    told: dict = {"began_ns": time.monotonic_ns(), "frames": [], "error": None, "log": heard.lines}
    try:
        source = connect(parse_source(word))
    except EdgeError as error:
        return told | {"error": [type(error).__name__, str(error)]}
    told |= {"name": source.info.name, "size": source.info.size, "fps": source.info.fps}
    try:
        while len(told["frames"]) < count and (frame := source.read()) is not None:
            told["frames"].append(facts(frame))
    except EdgeError as error:
        told["error"] = [type(error).__name__, str(error)]
    source.close()
    source.close()
    return told | {"unreadable": source.unreadable}


if __name__ == "__main__":
    json.dump(watch(sys.argv[1], int(sys.argv[2])), sys.stdout)
