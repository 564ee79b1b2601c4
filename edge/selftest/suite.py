"""Runs every check in turn, and keeps what each found."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from edge import __version__
from edge.assets import bundled
from edge.board import Machine, describe_machine
from edge.engine.base import AUTO, TENSORRT
from edge.errors import InputError
from edge.record import Unavailable
from edge.selftest.check import Check, run_check
from edge.selftest.engines import (
    check_in_flight,
    check_memory,
    check_other_thread,
    check_scores,
    check_several,
    check_shared_memory,
)
from edge.selftest.machine import check_camera, check_demo, check_power
from edge.selftest.networks import CPU_ENGINE, VARIANTS, Place, Variant, Workshop, check_gpu
from edge.selftest.reference import REFERENCE, TOLERANCES, Reference, read_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.board import SysRoot
    from edge.selftest.check import Work
    from edge.selftest.networks import Opener

REPORT_VERSION = 1
ENGINES = (AUTO, TENSORRT, CPU_ENGINE)
BUILD_LIMIT_S = 3600.0
"""The slowest boards take minutes for each build."""
NO_NETWORK = Unavailable("no network runs here")


@dataclass(frozen=True, slots=True)
class Tell:
    """Who hears of the checks while they run.

    Attributes:
        started: called with the name of each check before it runs.
        done: called with each check when it is done.
    """

    started: Callable[[str], None] = lambda _name: None
    done: Callable[[Check], None] = lambda _check: None


@dataclass(frozen=True, slots=True)
class Ran:
    """The engine that ran.

    Attributes:
        engine: as `--engine` takes it.
        device: what it ran on, for a person.
        version: of the engine's package; None where it tells none.
        on_gpu: whether that is a GPU.
    """

    engine: str
    device: str
    version: str | None
    on_gpu: bool


@dataclass(frozen=True, slots=True)
class Report:
    """A whole self-test.

    Attributes:
        started_at: UTC, ISO 8601.
        asked: the engine that was asked for.
        ran: the engine that ran; None where none did.
        machine: what was tested on.
        checks: in the order in which they ran.
    """

    started_at: str
    asked: str
    ran: Ran | None
    machine: Machine
    checks: tuple[Check, ...]

    def named(self, status: str) -> tuple[str, ...]:
        """Name the checks with this status."""
        return tuple(check.name for check in self.checks if check.status == status)

    def to_json(self) -> str:
        """Give the file's text."""
        fields = {"version": REPORT_VERSION, "edge": __version__, **asdict(self)}
        return json.dumps(fields, indent=1, ensure_ascii=False)


def run_selftest(
    engine: str, root: SysRoot, tell: Tell, *, reference: Path | None = None
) -> Report:
    """Run every check; a failed one stops no other.

    Args:
        engine: one of `ENGINES`.
        root: where /proc, /sys and /dev are.
        tell: hears of the checks.
        reference: the stored answers; those that ship with edge where it is None.

    Raises:
        InputError: there is no such engine.
    """
    if engine not in ENGINES:
        raise InputError(f"{engine}: cannot be tested", hint=f"Use one of: {', '.join(ENGINES)}")
    started_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with TemporaryDirectory(prefix="edge-selftest-") as folder:
        test = _Selftest(engine, root, tell, Path(folder))
        test.run(reference or bundled(REFERENCE))
    return Report(started_at, engine, test.ran, describe_machine(root), tuple(test.checks))


class _Selftest:
    """The state of one self-test."""

    def __init__(self, engine: str, root: SysRoot, tell: Tell, folder: Path) -> None:
        self.checks: list[Check] = []
        self.ran: Ran | None = None
        self._engine = engine
        self._root = root
        self._tell = tell
        self._folder = folder
        self._place: Place | None = None if engine == TENSORRT else Place()
        self._reference: Reference | None = None
        self._opener: Opener | None = None

    def run(self, reference: Path) -> None:
        """Run every check."""
        self._check("GPU", self._find_gpu)
        self._check("reference answers", partial(self._read_reference, reference))
        for variant in VARIANTS:
            self._check(variant.title, partial(self._check_variant, variant), BUILD_LIMIT_S)
        self._check_engine()
        root = self._root
        opener = self._opener
        self._check("demo", lambda: check_demo(opener) if opener else NO_NETWORK)
        self._check("camera", partial(check_camera, root))
        self._check("power", partial(check_power, root))

    def _check(self, name: str, work: Work, limit_s: float | None = None) -> None:
        self._tell.started(name)
        check = run_check(name, work) if limit_s is None else run_check(name, work, limit_s)
        self.checks.append(check)
        self._tell.done(check)

    def _find_gpu(self) -> str | Unavailable:
        self._place, said = check_gpu(self._engine)
        return said

    def _read_reference(self, path: Path) -> str:
        self._reference = read_reference(path)
        models = ", ".join(self._reference.probabilities)
        return f"{len(self._reference.pictures)} pictures; {models}"

    def _check_variant(self, variant: Variant) -> str | Unavailable:
        reference = self._reference
        if self._place is None:
            return NO_NETWORK
        if reference is None:
            return Unavailable("there is nothing to compare it with")
        prepared = Workshop(self._place, self._folder, self._root).prepare(variant)
        if isinstance(prepared, Unavailable):
            return prepared
        opener, built = prepared
        wanted = reference.probabilities[variant.model]
        said = check_scores(opener, reference.pictures, wanted, TOLERANCES[variant.tolerance])
        if self._opener is None:
            self._keep(opener)
        return f"{built}; {said}"

    def _keep(self, opener: Opener) -> None:
        """Take this network for the checks that want any, and note what it runs on."""
        with opener() as (engine, _contract):
            info = engine.info
        place = self._place or Place()
        version = (
            place.support.version
            if place.support
            else describe_machine(self._root).versions.get(info.name)
        )
        self.ran = Ran(info.name, info.device, version, on_gpu=place.gpu is not None)
        self._opener = opener

    def _check_engine(self) -> None:
        """Run the checks that want any network."""
        opener, reference = self._opener, self._reference
        gpu = self._place.gpu if self._place else None
        work: dict[str, Callable[[Opener, Reference], str | Unavailable]] = {
            "frames in flight": lambda one, stored: check_in_flight(one, stored.pictures),
            "shared memory": lambda one, stored: check_shared_memory(one, stored.pictures, gpu),
            "another thread": lambda one, stored: check_other_thread(one, stored.pictures),
            "several engines": lambda one, stored: check_several(one, stored.pictures),
            "memory": lambda one, stored: check_memory(one, stored.pictures, self._root, gpu),
        }
        for name, check in work.items():
            if opener is None or reference is None:
                self._check(name, lambda: NO_NETWORK)
            else:
                self._check(name, partial(check, opener, reference))
