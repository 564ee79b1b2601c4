"""Checks of the machine itself: board, JetPack, Python, rights, heat, clocks, mode and power."""

from __future__ import annotations

import grp
import os
import platform
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from edge.board import describe_machine
from edge.camera.listing import JOIN_GROUP
from edge.doctor.check import FIRST_L4T, Check
from edge.record import BoardReading, Unavailable
from edge.sinks.text import board_text
from edge.telemetry.board_state import BoardProbe
from edge.telemetry.meter import find_meter
from edge.telemetry.throttling import read_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.board import Board
    from edge.doctor.check import Place

PYTHONS = ((3, 10), (3, 13))
LAST_JETPACK = {"tegra210": "4", "tegra186": "4", "tegra194": "5"}
"""Of the modules that NVIDIA brings no JetPack 6 for."""

_COMMAND = re.compile(r": (sudo [^;]+)")
"""What mends one of the reasons why there is no power meter; a PC has one for each processor."""


def check_machine(place: Place) -> Iterator[Check]:
    """Look at what runs edge: the board, its JetPack, the Python, and the user's rights."""
    machine = describe_machine(place.root)
    board = place.board
    if board is None:
        detail = f"{machine.cpu}, {machine.architecture}, {machine.system}; no Jetson"
        yield Check("device", "ok", detail)
    else:
        model = place.root.read_text("proc/device-tree/model")
        named = f" ({model})" if model else ""
        yield Check("device", "ok", f"{board.module}, {board.soc}{named}")
        yield _check_jetpack(board)
    yield _check_python()
    if board is not None:
        yield _check_group()


def _check_jetpack(board: Board) -> Check:
    if board.l4t is None:
        mend = "In a container, start it with: -v /etc/nv_tegra_release:/etc/nv_tegra_release:ro"
        return Check("JetPack", "warning", "unknown: no /etc/nv_tegra_release here", mend)
    detail = f"{board.jetpack or 'unknown JetPack'}, L4T {board.l4t}"
    if int(board.l4t.partition(".")[0]) >= FIRST_L4T:
        return Check("JetPack", "ok", detail)
    last = LAST_JETPACK.get(board.soc)
    mend = "Flash JetPack 6 or newer"
    if last is not None:
        mend = f"JetPack {last} is the last for this module; use --engine openvino, on its CPU"
    return Check("JetPack", "warning", f"{detail}: its TensorRT is older than 8.6", mend)


def _check_python() -> Check:
    where = f"{platform.python_version()}, {sys.executable}"
    least, most = PYTHONS
    if least <= sys.version_info[:2] <= most:
        return Check("Python", "ok", where)
    return Check("Python", "warning", f"{where}: edge is tested with 3.10 to 3.13",
                 "Run: ./install.sh --python python3.12")  # fmt: skip


def _check_group() -> Check:
    """Look for the group that a Jetson's cameras and GPU are open to."""
    try:
        video = grp.getgrnam("video").gr_gid
    except KeyError:
        return Check("rights", "ok", "this system has no group video")
    if os.geteuid() == 0:
        return Check("rights", "ok", "root")
    if video in {*os.getgroups(), os.getegid()}:
        return Check("rights", "ok", "in group video")
    return Check("rights", "warning", "not in group video, which may use cameras and GPU",
                 JOIN_GROUP)  # fmt: skip


def check_state(place: Place) -> Iterator[Check]:
    """Look at heat, clocks, mode, throttling and the power meter."""
    reading = BoardProbe(place.root).read()
    if isinstance(reading, BoardReading):
        yield Check("heat and clocks", "ok", board_text(replace(reading, mode=None)))
        if place.board is not None:
            yield from _check_mode(reading)
        yield from _check_throttling(reading, read_events(place.root))
    else:
        yield Check("heat and clocks", "ok", f"not told: {reading.reason}")
    yield _check_power(place)


def _check_mode(reading: BoardReading) -> Iterator[Check]:
    yield Check("power mode", "ok", reading.mode or "not told: nvpmodel says nothing here")
    if reading.locked is not None:
        free = "not held; figures that are to be compared want: sudo jetson_clocks"
        yield Check("clocks", "ok", "held by jetson_clocks" if reading.locked else free)


def _check_throttling(reading: BoardReading, events: dict[str, int]) -> Iterator[Check]:
    before = {what: count for what, count in events.items() if count}
    if reading.throttling:
        yield Check("throttling", "warning", f"now: {', '.join(reading.throttling)}",
                    "Give it more air or a lower power mode")  # fmt: skip
    if before:
        counts = ", ".join(f"{what} {count} times" for what, count in before.items())
        heat = all("hot" in what for what in before)
        mend = "Give it more air" if heat else "Use a stronger supply or a lower power mode"
        yield Check("throttled before", "warning", f"since boot: {counts}", mend)
    if not reading.throttling and not before and events:
        yield Check("throttling", "ok", "none, now or since boot")


def _check_power(place: Place) -> Check:
    meter = find_meter(place.root)
    if isinstance(meter, Unavailable):
        commands = _COMMAND.findall(meter.reason)
        is_worse = commands or place.board is not None
        mend = f"Run: {' && '.join(commands)}" if commands else ""
        return Check("power", "warning" if is_worse else "ok", _COMMAND.sub("", meter.reason), mend)
    rails = ", ".join(sensor.label for sensor in meter.sensors)
    meter.close()
    return Check("power", "ok", f"total is {meter.total}; rails: {rails}")
