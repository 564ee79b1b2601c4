"""Cameras that a test plugs in and out: builds the stand-in of V4L2 and writes its folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from samples import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

RIG = Path(__file__).resolve().parent
WATCH = RIG / "watch.py"
WEBCAM = {
    "driver": "uvcvideo",
    "card": "HD Pro Webcam",
    "bus": "usb-0000:00:14.0-1",
    "format": (
        "YUYV 640x480@60,30 320x240@30",
        "MJPG 1280x720@30,15 640x480@60,30 160x120@120",
    ),
}
METADATA = {**WEBCAM, "node": "metadata", "format": ()}
CSI = {
    "driver": "tegra-video",
    "card": "vi-output, imx219 9-0010",
    "bus": "platform:tegra-capture-vi:1",
    "format": "RG10 3280x2464@21 1920x1080@30",
}


def compile_cameras(folder: Path) -> Path:
    """Compile the library that LD_PRELOAD loads."""
    library = folder / "v4l2.so"
    command = ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g", "-shared", "-fPIC"]
    sources = [RIG / "v4l2.c", RIG / "v4l2_camera.c"]
    subprocess.run([*command, "-o", library, *sources, "-ldl"], check=True)
    return library


class Cameras:
    """A folder that plays a machine with cameras.

    Args:
        library: of `compile_cameras`.
        root: the folder.
    """

    def __init__(self, library: Path, root: Path) -> None:
        self.root = root
        self.pictures = root / "pictures"
        self.pictures.mkdir(parents=True)
        (root / "dev").mkdir()
        self.environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "RIG_V4L2": str(root),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        }

    def plug(self, number: int = 40, **lines: object) -> Path:
        """Make /dev/videoN a webcam, with the lines of v4l2.c that are given in place of its own.

        A tuple gives a line several times.
        """
        text = ""
        for key, value in {**WEBCAM, "pictures": self.pictures, **lines}.items():
            for word in value if isinstance(value, tuple) else (value,):
                text += f"{key} {word}\n"
        node = self.root / "dev" / f"video{number}"
        partial = node.with_suffix(".new")
        partial.write_text(text)
        partial.replace(node)  # another file, hence another camera
        return node

    def unplug(self, number: int = 40) -> None:
        """Take a camera away."""
        (self.root / "dev" / f"video{number}").unlink()

    def add_pictures(self, count: int = 11) -> None:
        """Give the webcam pictures to play; `samples.number_of` reads their numbers back."""
        rng = np.random.default_rng(0)
        for number in range(count):
            noise = rng.integers(0, 20, (72, 128, 3), dtype=np.uint8)
            cv2.imwrite(str(self.pictures / f"{number:02}.jpg"), 20 * number + noise)

    @contextmanager
    def start(self, *words: object) -> Iterator[subprocess.Popen[str]]:
        """Start a Python that sees the cameras, and end it with the block if it still runs."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [sys.executable, *(str(word) for word in words)]
        with subprocess.Popen(command, env=self.environment, text=True, **pipes) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *words: object) -> dict:
        """Run a Python that sees the cameras, and read the JSON that it prints."""
        with self.start(*words) as process:
            said, complaint = process.communicate(timeout=60)
        assert (process.returncode, complaint) == (0, "")
        return json.loads(said)

    def watch(self, word: str = "/dev/video40", count: int = 3) -> dict:
        """Read a camera in a process of its own; see watch.py."""
        return self.run(WATCH, word, count)
