"""Checks of the cameras, and of the GStreamer that some of them come through."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from edge.camera.gst_tools import INSPECT, INSTALL, LAUNCH, has_element
from edge.camera.listing import list_cameras
from edge.camera.v4l2_node import TEGRA_DRIVER
from edge.doctor.check import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.camera.listing import Camera
    from edge.doctor.check import Place, Status

ELEMENTS = {
    "videoconvert": "gstreamer1.0-plugins-base",
    "decodebin": "gstreamer1.0-plugins-base",
    "rtspsrc": "gstreamer1.0-plugins-good",
    "rtph264depay": "gstreamer1.0-plugins-good",
    "gdppay": "gstreamer1.0-plugins-bad",
    "h264parse": "gstreamer1.0-plugins-bad",
}
"""Element to package: what every pipeline of ours needs, and RTSP with decoder=gstreamer."""
PC_ELEMENTS = {"avdec_h264": "gstreamer1.0-libav"}
JETSON_ELEMENTS = {
    "nvarguscamerasrc": "nvidia-l4t-camera",
    "nvvidconv": "nvidia-l4t-gstreamer",
    "nvv4l2decoder": "nvidia-l4t-gstreamer",
}
"""What csi:// needs, and the board's own decoder."""
ARGUS = "tmp/argus_socket"
"""Of the daemon that a Jetson's CSI cameras come through."""


def check_gstreamer(place: Place) -> Iterator[Check]:
    """Look for GStreamer's programs and the elements that our pipelines use."""
    name = "GStreamer"
    if not all(shutil.which(program) for program in (LAUNCH, INSPECT)):
        detail = "not installed; csi://, gst: and rtsp:// with decoder=gstreamer need it"
        yield Check(name, "warning", detail, INSTALL)
        return
    wanted = ELEMENTS | (PC_ELEMENTS if place.board is None else JETSON_ELEMENTS)
    missing = [element for element in wanted if not has_element(element)]
    if not missing:
        yield Check(name, "ok", f"{LAUNCH}, with all elements that edge uses")
        return
    packages = " ".join(dict.fromkeys(wanted[element] for element in missing))
    detail = f"lacks {', '.join(missing)}"
    yield Check(name, "warning", detail, f"Run: sudo apt install {packages}")


def check_cameras(place: Place) -> Iterator[Check]:
    """Ask each camera for its modes, without starting it."""
    found = list_cameras(place.root)
    if not found:
        yield Check("cameras", "ok", "none here; edge run demo does without")
    for camera in found:
        yield _check_camera(camera)
    if any(camera.driver == TEGRA_DRIVER for camera in found):
        if (place.root.path / ARGUS).exists():
            yield Check("nvargus-daemon", "ok", "runs")
        else:
            mend = "Run: sudo systemctl restart nvargus-daemon"
            yield Check("nvargus-daemon", "broken", f"does not run: no /{ARGUS}", mend)


def _check_camera(camera: Camera) -> Check:
    if camera.problem:
        detail, _, mend = camera.problem.partition(". ")
        status: Status = "broken" if mend.startswith("Run") else "warning"
        return Check(camera.device, status, f"{camera.card or 'unknown'}: {detail}", mend)
    formats: dict[str, str] = {}
    for mode in camera.modes:  # best first
        formats.setdefault(mode.format, f"{mode.format} to {mode.size[0]}x{mode.size[1]}")
    modes = ", ".join(formats.values()) or "tells no mode"
    name = camera.card or camera.driver
    source = "" if camera.source == camera.device else f"; edge run {camera.source}"
    return Check(camera.device, "ok", f"{name}: {modes}{source}")
