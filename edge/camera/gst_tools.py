"""Which of GStreamer's programs and elements this machine has."""

from __future__ import annotations

import shutil
import subprocess

from edge.errors import UnavailableError

LAUNCH, INSPECT = "gst-launch-1.0", "gst-inspect-1.0"

INSTALL = (
    "Run: sudo apt install gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
)

SCAN_S = 60.0
"""What the first look for an element may take: GStreamer then loads every plug-in once."""


def has_element(name: str) -> bool:
    """Tell whether GStreamer here has an element.

    The first time on a machine this also makes GStreamer's list of plug-ins, which can take longer
    than a picture may be waited for.

    Raises:
        UnavailableError: GStreamer's programs are not installed.
    """
    program = find_program(INSPECT)
    try:
        done = subprocess.run(  # noqa: S603 # a fixed program and a name of ours
            [program, "--exists", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SCAN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"{INSPECT}: gave no answer within {SCAN_S:.0f} s",
            hint="A plug-in hangs; run it by hand, or delete ~/.cache/gstreamer-1.0",
        ) from error
    return done.returncode == 0


def find_program(program: str) -> str:
    """Give the path of one of GStreamer's programs.

    Raises:
        UnavailableError: it is not installed.
    """
    path = shutil.which(program)
    if path is None:
        raise UnavailableError(f"{program}: not installed", hint=INSTALL)
    return path
