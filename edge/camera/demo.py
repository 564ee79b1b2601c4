"""Real photographs played as a camera that moves over them, for a first look without a camera."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.assets import bundled
from edge.camera.base import SourceInfo
from edge.errors import InputError, MissingExtraError
from edge.files import read_toml, sha256_file
from edge.frame import Frame
from edge.image import decode

if TYPE_CHECKING:
    from edge.camera.url import SourceURL
    from edge.frame import Pixels

MANIFEST = "calib/demo.toml"
WIDTH_PX, HEIGHT_PX, FPS = 640, 480, 30
FRAMES_EACH = 90
SWAY = 0.04
"""How far the camera moves, as a share of the view."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """One entry of the manifest.

    Attributes:
        file: name inside the package scikit-image.
        label: what it shows, one of the bundled model's labels.
        centre: x and y of the view's middle in pixels of the photograph.
        height_px: height of the view in the photograph.
        sha256: of the file.
        licence: of the photograph.
        source: who took it.
    """

    file: str
    label: str
    centre: tuple[float, float]
    height_px: float
    sha256: str
    licence: str
    source: str


def list_photographs() -> list[Photograph]:
    """Give the manifest's entries in the order of the demo."""
    tables = read_toml(bundled(MANIFEST))["photograph"]
    return [Photograph(**table) for table in tables]


def photograph_path(photograph: Photograph) -> Path:
    """Give where the installed scikit-image keeps a photograph; nothing of it is imported.

    Raises:
        MissingExtraError: scikit-image is not installed.
        InputError: its file is another one than the manifest's.
    """
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise MissingExtraError("scikit-image", extra="demo")
    path = Path(spec.origin).parent / "data" / photograph.file
    if sha256_file(path) != photograph.sha256:
        raise InputError(
            f"{path}: not the photograph that the demo expects",
            hint="Install scikit-image again: pip install --force-reinstall scikit-image",
        )
    return path


class DemoSource:
    """Plays the photographs in turn, three seconds each, for ever; see `edge.camera.base.Source`.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """

    def __init__(self, url: SourceURL) -> None:
        self._photographs = list_photographs()
        self._pictures = [decode(photograph_path(photo)) for photo in self._photographs]
        self._seq = 0
        self._first_ns = 0
        self.unreadable = 0
        self.info = SourceInfo(name=url.name, live=True, size=(WIDTH_PX, HEIGHT_PX), fps=float(FPS))

    def read(self) -> Frame | None:
        """Wait until the next frame is due and render it."""
        if self._seq == 0:
            self._first_ns = time.monotonic_ns()
        due_ns = self._first_ns + self._seq * 1_000_000_000 // FPS
        time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        captured_ns = time.monotonic_ns()
        turn, step = divmod(self._seq, FRAMES_EACH)
        number = turn % len(self._photographs)
        pixels = self._view(number, step / FRAMES_EACH)
        frame = Frame(
            pixels,
            self._seq,
            captured_ns,
            time.monotonic_ns() - captured_ns,
            self.info.name,
            self._photographs[number].file,
        )
        self._seq += 1
        return frame

    def _view(self, number: int, progress: float) -> Pixels:
        """Render one view; `progress` goes from 0 to 1 over a photograph's turn."""
        photo = self._photographs[number]
        angle = 2 * math.pi * progress
        height = photo.height_px * (1 + SWAY * math.cos(angle))
        x = photo.centre[0] + photo.height_px * SWAY * math.sin(angle)
        y = photo.centre[1] + photo.height_px * SWAY * math.sin(2 * angle) / 2
        scale = height / HEIGHT_PX
        to_photo = np.array(
            [[scale, 0, x - scale * WIDTH_PX / 2], [0, scale, y - scale * HEIGHT_PX / 2]]
        )
        view: Pixels = cv2.warpAffine(
            self._pictures[number],
            to_photo,
            (WIDTH_PX, HEIGHT_PX),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return view

    def stop(self) -> None:
        """Let `read` wait for its frame, which is due in a moment."""

    def close(self) -> None:
        """Hold nothing, release nothing."""
