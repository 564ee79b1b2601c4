"""Turns the words of `edge bench` into what is measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from edge.bench.case import Case
from edge.cli.asked import PLAN_SUFFIXES, Asked, find_model
from edge.cli.engine import open_asked
from edge.engine.base import AUTO, DEFAULT_TUNING, Tuning
from edge.engine.plan import read_sidecar
from edge.errors import EdgeError, InputError
from edge.model.zoo import resolve_model

if TYPE_CHECKING:
    from edge.bench.case import Opener
    from edge.bench.roofline import Bound
    from edge.board import SysRoot
    from edge.engine.base import Aim

FILE_SUFFIXES = (".onnx", *PLAN_SUFFIXES)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is to be measured: each with each.

    Attributes:
        models: catalogue names, ONNX files or plans.
        engines: as `--engine` takes them.
        batches: pictures at once.
        threads: of the engine; None is its own choice.
        aim: soon, or many.
        root: where /proc and /etc are.
    """

    models: tuple[str, ...]
    engines: tuple[str, ...]
    batches: tuple[int, ...]
    threads: tuple[int | None, ...]
    aim: Aim
    root: SysRoot


def list_cases(sweep: Sweep) -> list[Case]:
    """Give the cases of a sweep, models first.

    Raises:
        InputError: there is no such model, or --threads is given for a GPU.
    """
    return [
        _make_case(sweep, *words)
        for words in product(sweep.models, sweep.engines, sweep.threads, sweep.batches)
    ]


def layer_openers(sweep: Sweep) -> dict[str, Opener]:
    """Give for each case, by its name, how it is opened so that it times its layers."""
    openers: dict[str, Opener] = {}
    for model, engine, threads in product(sweep.models, sweep.engines, sweep.threads):
        asked = _ask(sweep, model, engine, Tuning(threads, times_layers=True))
        for batch in sweep.batches:
            openers[_name(sweep, model, engine, threads, batch)] = partial(open_asked, asked)
    return openers


def bounds_here(sweep: Sweep) -> dict[str, Bound]:
    """Give by a case's name how soon this machine could be done; empty where it is not known."""
    from edge.bench.limits import limits_of_board
    from edge.bench.roofline import bound
    from edge.board import detect_board

    board = detect_board(sweep.root)
    limits = limits_of_board(board.module) if board else None
    bounds: dict[str, Bound] = {}
    for model, engine in product(sweep.models, sweep.engines):
        asked = _ask(sweep, model, engine)
        if limits is None or not asked.wants_gpu:
            continue
        try:
            network = find_model(asked)
            is_int8 = asked.plan is not None and read_sidecar(asked.plan).precision == "int8"
        except EdgeError:  # a plan runs without the network that it was built from
            continue
        for batch in sweep.batches:
            bounds[_name(sweep, model, engine, None, batch)] = bound(
                network, limits, is_int8=is_int8 or network.is_int8, batch=batch
            )
    return bounds


def _make_case(sweep: Sweep, model: str, engine: str, threads: int | None, batch: int) -> Case:
    asked = _ask(sweep, model, engine, Tuning(threads))
    if threads is not None and asked.wants_gpu:
        raise InputError(
            f"{model}: --threads is for engines on the CPU", hint="Add --engine openvino"
        )
    words = ["--model", model, "--engine", engine]
    if sweep.aim == "throughput":
        words.append("--throughput")
    return Case(
        name=_name(sweep, model, engine, threads, batch),
        model=model,
        open=partial(open_asked, asked),
        engine=engine,
        batch=batch,
        threads=threads,
        files=_files(asked),
        command=tuple(words) if threads is None else None,
    )


def _files(asked: Asked) -> tuple[tuple[str, Path], ...]:
    """Give what decides a case: the plan that was given, or the model and the plan kept of it."""
    if asked.plan is not None:
        return (("plan", asked.plan),)
    model = ("model", resolve_model(asked.model))
    if not asked.wants_gpu:
        return (model,)
    from edge.cli.plans import kept_plan

    return (model, ("plan", kept_plan(find_model(asked))))


def _ask(sweep: Sweep, model: str, engine: str, tuning: Tuning = DEFAULT_TUNING) -> Asked:
    return Asked(model, engine, rebuild=False, root=sweep.root, aim=sweep.aim, tuning=tuning)


def _name(sweep: Sweep, model: str, engine: str, threads: int | None, batch: int) -> str:
    """Name a case by what was asked for, so that another run's is named the same.

    A file is named without its folder, unless another one is named like it.
    """
    short = Path(model).stem if Path(model).suffix in FILE_SUFFIXES else model
    alike = [other for other in sweep.models if Path(other).stem == short or other == short]
    words = [short if len(alike) == 1 else model]
    if engine != AUTO:
        words.append(engine)
    if threads is not None:
        words.append(f"{threads} thread{'s' * (threads > 1)}")
    if batch > 1:
        words.append(f"batch {batch}")
    return " ".join(words)
