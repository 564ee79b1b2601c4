"""Runs every check and keeps them in groups."""

from __future__ import annotations

from dataclasses import dataclass
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
    from edge.doctor.check import Status


@dataclass(frozen=True, slots=True)
class Group:
    """Checks that belong together.

    Attributes:
        title: for a person.
        checks: in the order in which they were made.
    """

    title: str
    checks: tuple[Check, ...]


def run_checks(
    root: SysRoot, environment: Mapping[str, str], settings: frozenset[str] = frozenset()
) -> list[Group]:
    """Look at everything that edge needs; nothing that is broken stops another look.

    Args:
        root: where /proc, /sys, /etc and /dev are.
        environment: of this process.
        settings: names of the variables that edge's options obey.
    """
    place = Place(root, detect_board(root), environment, settings)
    probes = probe_libraries()
    graphics, gpu_checks = look_at_gpu(place, probes)
    return [
        _group("Machine", check_machine(place)),
        _group("Heat, clocks and power", check_state(place)),
        _group("GPU", gpu_checks),
        _group("Libraries", check_libraries(place, probes)),
        _group("Cameras", check_gstreamer(place), check_cameras(place)),
        _group("Models and plans", check_disk(), check_models(), check_plans(place, graphics)),
        _group("Settings", check_settings(place)),
    ]


def count(groups: Iterable[Group], status: Status) -> int:
    """Count the checks with this status."""
    return sum(check.status == status for group in groups for check in group.checks)


def _group(title: str, *parts: Iterable[Check]) -> Group:
    return Group(title, tuple(check for part in parts for check in _guard(title, part)))


def _guard(title: str, checks: Iterable[Check]) -> Iterator[Check]:
    """Make a line of an error that ends a part of the report."""
    try:
        yield from checks
    except EdgeError as error:
        yield Check(title, "broken", str(error.args[0]), error.hint)
