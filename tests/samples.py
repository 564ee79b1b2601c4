"""Small things that tests are made from: places, contracts, pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.engine.layers import Layer
from edge.engine.plan import Flags, Sidecar
from edge.files import sha256_bytes
from edge.frame import Frame
from edge.image import to_pixels
from edge.model.contract import Contract
from edge.record import (
    STAGES,
    BoardReading,
    Clock,
    FrameRecord,
    Percentiles,
    PowerReading,
    Snapshot,
    SourceCounts,
    SourceStatus,
    StageTimes,
    Unavailable,
)
from edge.result import Guess, Result

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
PLAN = b"machine code"
TOLD_NS = 1_795_613_369_250_400_000
"""2026-11-25T13:29:29.250Z"""
LABELS = ("apple", "bird", "cup", "door", "elk")
FULL_POWER = PowerReading(
    power_mw=4960.0,
    mean_mw=4900.0,
    energy_j=12.25,
    total="VDD_IN (module)",
    covered_s=2.5,
    energy_error_j=0.125,
    idle_mw=3500.0,
    idle_error_mw=12.5,
    rails_mw={"VDD_CPU_GPU_CV": 520.0, "VDD_SOC": None},
    sampler_share=0.002,
)
FULL_BOARD = BoardReading(
    temperatures_c={"cpu-thermal": 48.5},
    clocks=(Clock("gpu", 918.0, 306.0, 1020.0), Clock("emc", 3199.0)),
    gpu_load=0.35,
    mode="MAXN_SUPER (2)",
    locked=False,
    throttling=("over-current 2",),
    throttles=3,
)


def make_contract(**changes: object) -> Contract:
    """Make a contract for a small network; keyword arguments replace its fields."""
    fields = {
        "name": "small",
        "input_hw": (64, 64),
        "resize_short_px": 72,
        "channel_order": "RGB",
        "mean": (123.0, 117.0, 104.0),
        "std": (58.0, 57.0, 56.0),
        "labels": LABELS,
        "licence": "Apache-2.0",
    }
    return Contract(**{**fields, **changes})


def make_sidecar(**changes: object) -> Sidecar:
    """Make the sidecar of `PLAN`; keyword arguments replace its fields."""
    fields = {
        "product": "tensorrt",
        "tensorrt": "10.3.0",
        "cuda": "12.6",
        "device": "Orin Nano 8GB",
        "compute_capability": "8.7",
        "precision": "int8",
        "model": "squeezenet8",
        "model_sha256": "ab" * 32,
        "calibration": None,
        "calibration_sha256": None,
        "plan_sha256": sha256_bytes(PLAN),
        "contract": make_contract(),
        "flags": Flags(workspace_mib=256, batch="1:1:8"),
        "built_at": "2026-11-23T12:00:00+00:00",
        "build_s": 12.5,
        "layers": (
            Layer("a", "correlation", "Int8", ("conv1",)),
            Layer("b", "kgen", "Float", ()),
        ),
        "warnings": ("slow",),
        "gpu_fallback": ("pool10",),
    }
    return Sidecar(**{**fields, **changes})


def make_picture(path: Path, *, seed: int = 0, height: int = 90, width: int = 120) -> Path:
    """Write a picture of smooth random colours; the suffix says the format."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))
    return path


def make_video(path: Path, *, frames: int = 12, codec: str = "MJPG") -> Path:
    """Write a video of 64 x 48 noisy pixels; `number_of` reads a number below 12 back."""
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), 10, (64, 48)
    )
    assert writer.isOpened(), f"this OpenCV cannot write {codec} into {path.suffix}"
    for number in range(frames):
        writer.write(20 * (number % 12) + rng.integers(0, 20, (48, 64, 3), dtype=np.uint8))
    writer.release()
    return path


def number_of(frame: Frame) -> int:
    """Tell which frame of `make_video` this is."""
    return int(to_pixels(frame.data).mean() // 20)


def cut(path: Path, kept: float) -> Path:
    """Write a copy of a file that ends early, beside it; `kept` is the share of its bytes."""
    data = path.read_bytes()
    short = path.with_name(f"cut-{path.name}")
    short.write_bytes(data[: int(len(data) * kept)])
    return short


def make_frame(seq: int = 0, *, captured_ns: int = 0, file: str | None = None) -> Frame:
    """Make a small frame whose every value is its number."""
    pixels = np.full((48, 64, 3), seq % 256, dtype=np.uint8)
    return Frame(pixels, seq, captured_ns, 1_000_000, "scripted", file)


def make_record(*guesses: tuple[str, float], file: str | None = None) -> FrameRecord:
    """Make a record with fixed times; guesses are (label, p)."""
    top = tuple(Guess(label, index, p) for index, (label, p) in enumerate(guesses))
    times = StageTimes(1_500_000, 0, 250_000, 400_000, 2_000_400, 35_000, 4_321_000)
    return FrameRecord(make_frame(7, file=file), Result(top), times, TOLD_NS)


def make_status(name: str = "scripted", **changes: object) -> SourceStatus:
    """Make the state of one source that is well; keyword arguments replace fields."""
    fields = {
        "state": "live",
        "problem": "",
        "size": (64, 48),
        "frames": 75,
        "fps": 29.94,
        "counts": SourceCounts(dropped=4),
        "age": Percentiles(5.25, 6.5, 21.75, 25.0, 31.5),
        "latest": make_record(("apple", 0.75), ("bird", 0.2), ("cup", 0.05)),
    }
    return SourceStatus(name, **{**fields, **changes})


def make_snapshot(**changes: object) -> Snapshot:
    """Make the state of a run after two and a half seconds; keyword arguments replace fields."""
    fields = {
        "sources": (make_status(),),
        "told_ns": TOLD_NS,
        "elapsed_s": 2.5,
        "frames": 75,
        "dropped": 4,
        "unreadable": 0,
        "fps": 29.94,
        "stages": {
            name: Percentiles(*(ms + place for ms in (1.25, 2.5, 17.75, 19.5, 23.0)))
            for place, name in enumerate(STAGES)
        },
        "power": Unavailable("no power rail and no RAPL on this machine"),
        "latest": make_record(("apple", 0.75), ("bird", 0.2), ("cup", 0.05)),
    }
    return Snapshot(**{**fields, **changes})
