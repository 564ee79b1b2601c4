"""Imports one library in a process of its own, for it may crash or hang, and tells what it is."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LIMIT_S = 60.0
"""A library on a cold memory card takes some ten seconds."""


@dataclass(frozen=True, slots=True)
class Library:
    """A library that loads.

    Attributes:
        version: as it tells it; empty where it tells none.
        file: where it lies.
        told: further facts by name, see `TELL`.
    """

    version: str
    file: str
    told: dict[str, str]


@dataclass(frozen=True, slots=True)
class Broken:
    """A library that is installed and does not load.

    Attributes:
        reason: in one line.
    """

    reason: str


def probe(name: str) -> Library | Broken | None:
    """Load a library in a child process; None where it is not installed."""
    if find_spec(name) is None:
        return None
    # It imports from where we do, and not from the folder that a person happens to stand in.
    paths = os.pathsep.join(str(Path(path).resolve()) for path in sys.path)
    command = [sys.executable, "-m", __name__, name]
    try:
        done = subprocess.run(  # noqa: S603 # this Python and a name of ours
            command,
            cwd="/",
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Broken(f"does not come to an end within {LIMIT_S:.0f} s when it is loaded")
    if done.returncode == 0:
        return Library(**json.loads(done.stdout.splitlines()[-1]))
    return Broken(explain_end(done.returncode, done.stderr))


def explain_end(code: int, said: str) -> str:
    """Say in one line why a child that loads a library failed.

    Args:
        code: its exit code; below 0 a signal.
        said: all that it wrote to stderr.
    """
    if code < 0:
        return f"crashes when it is loaded ({signal.Signals(-code).name})"
    if "numpy" in said.lower() and ("compiled using NumPy 1" in said or "_ARRAY_API" in said):
        return "was built for NumPy 1 and does not load beside NumPy 2"
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    return last or f"ends with code {code} when it is loaded"


def _tell_opencv(module: Any) -> dict[str, str]:  # noqa: ANN401 - a module without types
    match = re.search(r"GStreamer:\s*(\w+)", module.getBuildInformation())
    return {"gstreamer": match[1].lower() if match else "no"}


def _tell_openvino(module: Any) -> dict[str, str]:  # noqa: ANN401 - a module without types
    return {"devices": ", ".join(module.Core().available_devices)}


TELL = {"cv2": _tell_opencv, "openvino": _tell_openvino}
"""What else to ask a library."""


def main() -> None:
    """Be the child: print what the library tells as the last line."""
    name = sys.argv[1]
    module = import_module(name)
    library = {
        "version": str(getattr(module, "__version__", "")),
        "file": str(getattr(module, "__file__", "") or ""),
        "told": TELL[name](module) if name in TELL else {},
    }
    sys.stdout.write(f"\n{json.dumps(library)}\n")


if __name__ == "__main__":
    main()
