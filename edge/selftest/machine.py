"""Checks of what is around the engine: the demo, a camera, the power rails."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from edge.camera.base import open_source
from edge.camera.capture import Capture
from edge.camera.round_robin import RoundRobin
from edge.errors import CheckFailedError, MissingExtraError, UnavailableError
from edge.image import to_pixels
from edge.loop import LoopOptions, run_loop
from edge.record import Unavailable
from edge.telemetry.meter import find_meter

if TYPE_CHECKING:
    from edge.board import SysRoot
    from edge.selftest.networks import Opener

DEMO = "demo"
DEMO_SECONDS = 2.0
DEMO_LABEL = "cat"
"""What the first photograph of `calib/demo.toml` shows, which plays for three seconds."""
CAMERA_WAIT_S = 10.0
POWER_READINGS = 10
POWER_EVERY_S = 0.1
POWER_MW = (100.0, 1_000_000.0)
"""What a whole board or package may draw: from a Nano asleep to a large server."""


def check_demo(opener: Opener) -> str | Unavailable:
    """Run the demo through capture, loop and engine, and find the cat.

    Raises:
        EdgeError: something on the way failed, or the answer is another one.
    """
    changed = threading.Condition()
    try:
        with (
            opener() as (engine, contract),
            open_source(DEMO) as source,
            RoundRobin([Capture(source, changed=changed)], changed) as sources,
        ):
            options = LoopOptions(
                read_power=lambda: Unavailable("not asked for"), seconds=DEMO_SECONDS
            )
            summary = run_loop(sources, engine, contract, [], options)
    except MissingExtraError as error:
        return Unavailable(str(error))
    seen = summary.seen[0] if summary.seen else None
    if seen is None or seen.label != DEMO_LABEL:
        raise CheckFailedError(
            f"{seen.what} was named {seen.label}" if seen else "no frame came through",
            hint=f"Look at edge run {DEMO}",
        )
    frames, dropped = summary.final.frames, summary.final.dropped
    return (
        f"{frames} frames in {DEMO_SECONDS:g} s, {dropped} dropped;"
        f" {seen.what} named {seen.label} in {seen.share:.0%}"
    )


def check_camera(root: SysRoot) -> str | Unavailable:
    """Take one frame of the first camera.

    Raises:
        EdgeError: there is a camera, and it gave no picture.
    """
    devices = [path.name for path in root.glob("dev/video*")]
    if not devices:
        return Unavailable("no camera: there is no /dev/video*")
    name = f"/dev/{min(devices, key=lambda device: (len(device), device))}"
    try:
        with open_source(name) as source, Capture(source) as capture:
            frame = capture.take(CAMERA_WAIT_S)
    except UnavailableError as error:
        return Unavailable(str(error))
    if frame is None:
        raise CheckFailedError(
            f"{name}: gave no picture in {CAMERA_WAIT_S:g} s", hint=f"Look at edge run {name}"
        )
    width, height = frame.size
    pixels = to_pixels(frame.data)
    if pixels.min() == pixels.max():
        raise CheckFailedError(f"{name}: gave a blank picture", hint="Take its cap off")
    return f"{name}: a picture of {width} x {height}"


def check_power(root: SysRoot) -> str | Unavailable:
    """Read this machine's total power for a second.

    Raises:
        CheckFailedError: there is a meter, and what it says cannot be.
    """
    meter = find_meter(root)
    if isinstance(meter, Unavailable):
        return meter
    readings = []
    try:
        for _ in range(POWER_READINGS):
            power_mw = meter.totals[0].add_up(meter.read().rails_mw)
            if not isinstance(power_mw, Unavailable):
                readings.append(power_mw)
            time.sleep(POWER_EVERY_S)
    finally:
        meter.close()
    found = f"; rails found: {', '.join(sensor.label for sensor in meter.sensors)}"
    if not readings:
        raise CheckFailedError(f"{meter.total}: gives no reading{found}", hint="Look into dmesg")
    low_mw, high_mw = min(readings), max(readings)
    said = f"{meter.total}: {low_mw / 1000:.2f} to {high_mw / 1000:.2f} W"
    if not POWER_MW[0] <= low_mw <= high_mw <= POWER_MW[1]:
        raise CheckFailedError(f"{said}, which cannot be", hint="Report it with the file of --json")
    return f"{said}{found}"
