"""Makes the clips that loops are measured on, as cameras and recorders write them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
import simplejpeg

from edge.files import sha256_bytes
from edge.image import decode, find_pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.frame import Pixels

RATE_FPS = 30
JPEG_QUALITY = 87
"""Between 85 and 90, as webcams code."""

H264_BITS_PER_S = 4_000_000
"""Of a network camera at 720p."""

H264_GROUP = "30"
NOISE_LEVELS = 2.0
"""Standard deviation of a sensor's noise, without which a clip of enlarged photographs would be
far smaller, and faster to decode, than what a camera gives."""

PHOTOGRAPH_S = 2
"""How long the pan takes from one photograph to the next."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip of the comparison.

    Attributes:
        name: its column in the results.
        title: for a person.
        size: width and height in pixels.
        suffix: of its file; .avi is Motion JPEG and .mp4 is H.264.
    """

    name: str
    title: str
    size: tuple[int, int]
    suffix: str


CLIPS = (
    Clip("mjpeg-720p", "MJPEG 720p", (1280, 720), ".avi"),
    Clip("mjpeg-1080p", "MJPEG 1080p", (1920, 1080), ".avi"),
    Clip("h264-720p", "H.264 720p file", (1280, 720), ".mp4"),
)


def make_clip(clip: Clip, content: Path, frames: int, folder: Path) -> Path:
    """Write a clip, where it does not lie there from an earlier run.

    Args:
        clip: what to write.
        content: a folder of photographs to pan over, or a video.
        frames: how many.
        folder: to write into.
    """
    settings = (JPEG_QUALITY, H264_BITS_PER_S, H264_GROUP, NOISE_LEVELS, PHOTOGRAPH_S)
    mark = sha256_bytes(f"{content.resolve()} {frames} {settings}".encode())[:8]
    path = folder / f"{clip.name}-{mark}{clip.suffix}"
    if not path.is_file():
        scenes = pan(content, clip.size) if content.is_dir() else replay(content, clip.size)
        unfinished = path.with_stem(f"{path.stem}-unfinished")
        write = write_mjpeg if clip.suffix == ".avi" else write_h264
        write(unfinished, clip.size, islice(with_noise(scenes), frames))
        unfinished.rename(path)
    return path


def pan(folder: Path, size: tuple[int, int]) -> Iterator[Pixels]:
    """Move slowly over a row of photographs, each as high as the picture."""
    width, height = size
    files = find_pictures(folder)
    row = np.concatenate([enlarge(files[0], height), enlarge(files[1], height)], axis=1)
    upcoming = 2
    step = height / (RATE_FPS * PHOTOGRAPH_S)
    x = 0.0
    while True:
        while row.shape[1] < x + width:
            part = enlarge(files[upcoming % len(files)], height)
            row = np.concatenate([row, part], axis=1)
            upcoming += 1
        yield row[:, int(x) : int(x) + width]
        x += step
        if x >= height:
            row, x = row[:, height:], x - height


def enlarge(file: Path, side: int) -> Pixels:
    """Give the middle of a photograph as a square."""
    pixels = decode(file)
    short = min(pixels.shape[:2])
    top, left = ((length - short) // 2 for length in pixels.shape[:2])
    square = pixels[top : top + short, left : left + short]
    return np.asarray(cv2.resize(square, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def replay(video: Path, size: tuple[int, int]) -> Iterator[Pixels]:
    """Play a video again and again in another size."""
    while True:
        with av.open(str(video)) as container:
            for frame in container.decode(video=0):
                pixels = frame.to_ndarray(format="bgr24")
                yield np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def with_noise(scenes: Iterator[Pixels]) -> Iterator[Pixels]:
    """Add a sensor's noise, which is another one in each frame, and the same in each run."""
    rng = np.random.default_rng(0)
    field: np.ndarray | None = None
    for scene in scenes:
        height, width = scene.shape[:2]
        if field is None:
            shape = (height + 64, width + 64, 1)
            field = np.repeat(rng.normal(0, NOISE_LEVELS, shape), 3, axis=2).astype(np.int16)
        y, x = rng.integers(0, 64, 2)
        noisy = scene + field[y : y + height, x : x + width]
        yield np.clip(noisy, 0, 255).astype(np.uint8)


def write_mjpeg(path: Path, size: tuple[int, int], scenes: Iterator[Pixels]) -> None:
    """Write an AVI of JPEGs with half the colour across, as webcams send them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=RATE_FPS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj422p"
        for number, scene in enumerate(scenes):
            coded = simplejpeg.encode_jpeg(
                scene, quality=JPEG_QUALITY, colorspace="BGR", colorsubsampling="422"
            )
            packet = av.Packet(coded)
            packet.stream = stream
            packet.time_base = Fraction(1, RATE_FPS)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            container.mux(packet)


def write_h264(path: Path, size: tuple[int, int], scenes: Iterator[Pixels]) -> None:
    """Write an MP4 as a recorder does, a key frame each second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_FPS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = H264_BITS_PER_S
        stream.options = {"g": H264_GROUP}
        for scene in scenes:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(scene, format="bgr24")))
        container.mux(stream.encode())
