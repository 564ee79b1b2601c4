"""One whole measurement: engines, their starts and layers, the camera loop, and what to doubt."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING, Any

from edge.bench.case import CaseResult
from edge.bench.conditions import watched
from edge.bench.document import Report
from edge.bench.doubts import find_doubts
from edge.bench.layers import measure_layers
from edge.bench.measure import Options, measure
from edge.bench.start import measure_starts
from edge.engine.base import TENSORRT
from edge.engine.child import run_in_child
from edge.engine.cuda import describe_gpu
from edge.errors import EdgeError
from edge.loop import LoopOptions, run_loop
from edge.record import PowerReading, Unavailable
from edge.schema import summary_row
from edge.telemetry.board_state import BoardProbe
from edge.telemetry.power import PowerSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edge.bench.case import Case, Opener
    from edge.bench.measure import Measured
    from edge.bench.roofline import Bound
    from edge.board import SysRoot
    from edge.camera.round_robin import RoundRobin

    Row = dict[str, Any]

FIRST_READING_S = 1.0
"""How long a first power reading may take: RAPL wants two, and a sleeping rail has to wake up."""
IDLE_S = 2.0
"""How long the machine is measured at rest, at most: 40 samples of a power meter."""
LOOP_S = 10.0
INTERRUPTED = {name: Unavailable("interrupted") for name in ("start", "layers")}


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted beside the engines' latency.

    Attributes:
        root: where /proc and /sys are.
        options: how the engines are measured; power and board are read below `root`.
        starts: whether fresh processes are timed, too.
        layers: opens an engine that times its layers, by the name of its case.
        open_sources: opens what the camera loop takes; None leaves that out.
        bounds: by the name of a case, how soon it could be done at all.
    """

    root: SysRoot
    options: Options = field(default_factory=Options)
    starts: bool = True
    layers: Mapping[str, Opener] = field(default_factory=dict)
    open_sources: Callable[[], RoundRobin] | None = None
    bounds: Mapping[str, Bound] = field(default_factory=dict)


def bench(cases: Sequence[Case], request: Request) -> Report:
    """Measure all cases, and what belongs to them. Ctrl-C leaves what was measured, and a doubt.

    Args:
        cases: with different names.
        request: what else.

    Raises:
        EdgeError: none of the cases can be measured, or an engine failed later on.
        KeyboardInterrupt: before every case had its turn.
    """
    with PowerSampler(request.root) as power:
        power.wait_for_reading(FIRST_READING_S)
        request.options.tell("the machine at rest")
        power.measure_idle(min(IDLE_S, request.options.seconds), Event())
        at_rest = power.read()
        options = replace(
            request.options,
            read_power=power.read,
            read_board=BoardProbe(request.root).read,
        )
        with watched(request.root, options.read_board) as conditions:
            measured = measure(cases, options)
        loops: dict[str, Row] = {}
        if (open_sources := request.open_sources) is not None:
            measured, loops = _for_each(
                measured, lambda result: _run_camera_loop(result, open_sources, options)
            )
    measured, beside = _for_each(measured, lambda result: _beside(result, request))
    conditions.fixed["gpu"] = _describe_gpu(measured)
    if isinstance(at_rest, PowerReading):
        conditions.idle_mw, conditions.power_of = at_rest.idle_mw, at_rest.total
    measured = replace(
        measured,
        cases=tuple(
            replace(one, **beside.get(one.case.name, INTERRUPTED))
            if isinstance(one, CaseResult)
            else one
            for one in measured.cases
        ),
    )
    return Report(
        measured=measured,
        conditions=conditions,
        options=options,
        doubts=find_doubts(measured, conditions, options),
        loop=loops,
        bounds=request.bounds,
    )


def _for_each(
    measured: Measured, give: Callable[[CaseResult], Row]
) -> tuple[Measured, dict[str, Row]]:
    """Give something of each case by its name, and whether Ctrl-C ended that with the rest."""
    found: dict[str, Row] = {}
    try:
        if not measured.interrupted:
            for result in measured.results:
                found[result.case.name] = give(result)
    except KeyboardInterrupt:
        measured = replace(measured, interrupted=True)
    return measured, found


def _beside(result: CaseResult, request: Request) -> Row:
    """Give what is measured apart of the rounds, and may fail without them: start and layers."""
    case = result.case
    found: Row = {}
    if request.starts:
        request.options.tell(f"{case.name}: starts")
        found["start"] = (
            Unavailable("edge run has no words for this case")
            if case.command is None
            else measure_starts(case.command)
        )
    if case.name in request.layers:
        request.options.tell(f"{case.name}: layers")
        found["layers"] = measure_layers(request.layers[case.name], case.batch)
    return found


def _run_camera_loop(
    result: CaseResult, open_sources: Callable[[], RoundRobin], options: Options
) -> Row:
    """Give the summary of the whole loop, from the camera to the label, or why there is none."""
    options.tell(f"{result.case.name}: camera loop")
    loop_options = LoopOptions(
        read_power=options.read_power,
        read_board=options.read_board,
        seconds=min(LOOP_S, options.seconds),
    )
    try:
        with result.case.open() as (engine, contract), open_sources() as sources:
            return summary_row(run_loop(sources, engine, contract, [], loop_options))
    except EdgeError as error:  # what was measured before shall not be lost for it
        return {"unavailable": str(error)}


def _describe_gpu(measured: Measured) -> Row | None:
    """Tell which GPU was measured; None where none was."""
    if all(result.info.name != TENSORRT for result in measured.results):
        return None
    try:
        return asdict(run_in_child(describe_gpu))
    except EdgeError as error:
        return {"unavailable": str(error)}
