"""Which cameras this machine has, and what to call each of them."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge.camera.v4l2_node import TEGRA_DRIVER, list_modes, open_node, read_node

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge.board import SysRoot
    from edge.camera.v4l2_node import Mode

JOIN_GROUP = "Run: sudo usermod -aG video $USER, then log in again"
"""How a person may open cameras that belong to root:video."""

LEAST_PX, WANTED_PX = 240, 720
"""Short sides: less than a network looks at, and what is enough; more costs time and shows it
nothing."""

_NODE = re.compile(r"video(\d+)")


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera.

    Attributes:
        device: "/dev/video0".
        card: its name; empty where nothing tells it.
        driver: name of its kernel driver; empty where it could not be asked.
        bus: where it is plugged in; empty where it could not be asked.
        modes: in which ways it gives pictures, MJPG first, then the larger.
        source: what `edge run` calls it: the device, or "csi://0".
        fastest: URL of its fastest MJPG mode; None where it has none.
        problem: why it cannot be used now and what to do about it; empty where it can.
    """

    device: str
    card: str
    driver: str
    bus: str
    modes: tuple[Mode, ...]
    source: str
    fastest: str | None = None
    problem: str = ""


def list_cameras(root: SysRoot) -> list[Camera]:
    """Ask each /dev/video* what it is; those that cannot capture are left out.

    A Jetson's CSI sensors are counted from 0, as Argus counts them.
    """
    found = [camera for path in _nodes(root) if (camera := _ask(path, root)) is not None]
    sensors = [camera.device for camera in found if camera.driver == TEGRA_DRIVER]
    return [
        replace(camera, source=f"csi://{sensors.index(camera.device)}", fastest=None)
        if camera.device in sensors
        else camera
        for camera in found
    ]


def find_sibling(device: Path, root: SysRoot) -> str | None:
    """Name the node that captures on the same bus as a node that does not."""
    try:
        with open_node(device) as file:
            bus = read_node(file).bus
    except OSError:
        return None
    return next((camera.device for camera in list_cameras(root) if camera.bus == bus), None)


def fastest_mode(modes: Sequence[Mode]) -> Mode | None:
    """Choose the MJPG mode of the highest rate, and of these the one nearest to 720 lines."""
    fit = [mode for mode in modes if mode.format == "MJPG" and min(mode.size) >= LEAST_PX]
    return min(fit, key=_slowness, default=None)


def _slowness(mode: Mode) -> tuple[float, int]:
    return -max(mode.fps, default=0), abs(min(mode.size) - WANTED_PX)


def _nodes(root: SysRoot) -> list[Path]:
    numbered = [
        (int(match[1]), path)
        for path in root.glob("dev/video*")
        if (match := _NODE.fullmatch(path.name))
    ]
    return [path for _, path in sorted(numbered)]


def _ask(path: Path, root: SysRoot) -> Camera | None:
    """Look at one node; None where it cannot capture, is no camera, or went meanwhile."""
    device = f"/dev/{path.name}"
    try:
        with open_node(path) as file:
            node = read_node(file)
            modes = list_modes(file, node)
    except OSError as error:
        problem = _explain(error)
        card = root.read_text(f"sys/class/video4linux/{path.name}/name") or ""
        return Camera(device, card, "", "", (), device, None, problem) if problem else None
    if node.buffers is None:
        return None
    return Camera(device, node.card, node.driver, node.bus, modes, device, _url(device, modes))


def _url(device: str, modes: Sequence[Mode]) -> str | None:
    mode = fastest_mode(modes)
    if mode is None:
        return None
    rate = f"&fps={mode.fps[0]:g}" if mode.fps else ""
    return f"v4l2://{device}?format={mode.format}&size={mode.size[0]}x{mode.size[1]}{rate}"


def _explain(error: OSError) -> str | None:
    """Say what keeps a camera from being asked; None where there is nothing to ask."""
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"permission denied. {JOIN_GROUP}"
    if error.errno == errno.EBUSY:
        return "another program uses it. Close that program"
    if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOTTY}:
        return None
    return os.strerror(error.errno or 0)
