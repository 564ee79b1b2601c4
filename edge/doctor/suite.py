"""Runs every check of the doctor, group by group."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edge.board import detect_board
from edge.doctor.cameras import check_cameras, check_gstreamer
from edge.doctor.check import Check, Place
from edge.doctor.libraries import check_libraries, look_at_gpu, probe_libraries
from edge.doctor.machine import check_machine, check_state
from edge.doctor.settings import check_settings
from edge.doctor.store import check_disk, check_models, check_plans
from edge.errors import EdgeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edge.board import SysRoot


def run_checks(
    root: SysRoot, environment: Mapping[str, str], settings: frozenset[str] = frozenset()
) -> list[Check]:
    """Look at everything that edge needs, group by group; what is broken stops no other look.

    Args:
        root: where /proc, /sys, /etc and /dev are.
        environment: of this process.
        settings: names of the variables that edge's options obey.
    """
    place = Place(root, detect_board(root), environment, settings)
    probes = probe_libraries()
    graphics, gpu_checks = look_at_gpu(place, probes)
    parts: list[tuple[str, Iterable[Check]]] = [
        ("Machine", check_machine(place)),
        ("Heat, clocks and power", check_state(place)),
        ("GPU", gpu_checks),
        ("Libraries", check_libraries(place, probes)),
        ("Cameras", check_gstreamer(place)),
        ("Cameras", check_cameras(place)),
        ("Models and plans", check_disk()),
        ("Models and plans", check_models()),
        ("Models and plans", check_plans(place, graphics)),
        ("Settings", check_settings(place)),
    ]
    return [replace(check, group=title) for title, part in parts for check in _guard(title, part)]


def _guard(title: str, checks: Iterable[Check]) -> Iterator[Check]:
    """Make a line of an error that ends a part of the report."""
    try:
        yield from checks
    except EdgeError as error:
        yield Check(title, "broken", str(error.args[0]), error.hint)
