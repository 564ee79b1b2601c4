"""Checks of an engine: right answers, the same ones again, in any thread, and no leak."""

from __future__ import annotations

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np

from edge.engine.cuda import used_memory_bytes
from edge.errors import CheckFailedError
from edge.record import Unavailable
from edge.selftest.reference import REPEATED, REPORT_IT, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge.board import SysRoot
    from edge.engine.base import Engine
    from edge.engine.cuda import GPU
    from edge.model.contract import Contract
    from edge.selftest.networks import Opener
    from edge.selftest.pictures import Pixels
    from edge.selftest.reference import Probabilities

FRAMES = 400
SHARED_MEMORY_FRAMES = 4000
MEMORY_FRAMES = 2000
STRIDE = 7
"""Prime to the number of pictures, so that a slot never sees the same picture twice in a row."""
ENGINES = 3
CYCLES = 20
WARM_UP_CYCLES = 5
ROUNDS = 3
CYCLE_BYTES = 512 * 1024
"""Most that the process, or the GPU, may lose a cycle; a network is several times that."""
FRAME_BYTES = 2048
"""Most that the process may grow a frame; a frame's pixels are 76,800 bytes."""
MIB = 1 << 20
"""Bytes."""


def classify_all(
    engine: Engine, contract: Contract, pictures: Pixels, order: Iterable[int] | None = None
) -> Probabilities:
    """Classify pictures with as many in flight as the engine has slots.

    Each slot is first filled with the picture's negative, which no answer may show.

    Args:
        engine: open.
        contract: of its model.
        pictures: uint8, (N, H, W, 3), BGR.
        order: which of them, in which order; each one once where it is None.

    Returns:
        float64, (length of `order`, classes).
    """
    rows = []
    in_flight = 0
    depth = engine.info.slots // engine.info.batch
    for place in range(len(pictures)) if order is None else order:
        if in_flight == depth:
            rows.append(engine.collect().values)
            in_flight -= 1
        slot = engine.acquire()
        np.subtract(255, pictures[place], out=slot.pixels)
        slot.pixels[...] = pictures[place]
        engine.submit(slot)
        in_flight += 1
    rows += [engine.collect().values for _ in range(in_flight)]
    scores = np.array(rows, dtype=np.float64)
    if contract.output == "probabilities":
        return scores
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Probabilities = powers / powers.sum(axis=1, keepdims=True)
    return shares


def check_scores(opener: Opener, pictures: Pixels, wanted: Probabilities, tolerance: float) -> str:
    """Compare an engine's answers with the stored ones.

    Raises:
        EdgeError: it cannot be opened, or is too far off.
    """
    with opener() as (engine, contract):
        return compare(classify_all(engine, contract, pictures), wanted, tolerance)


def check_in_flight(opener: Opener, pictures: Pixels, frames: int = FRAMES) -> str:
    """Run many frames through all slots and find the answers of the first pass each time.

    Raises:
        EdgeError: an answer changed.
    """
    with opener() as (engine, contract):
        first = _classify_singly(engine, contract, pictures)
        said = _check_repeats(engine, contract, pictures, first, frames)
        return f"{frames} frames, {engine.info.slots} in flight: {said}"


def check_shared_memory(opener: Opener, pictures: Pixels, gpu: GPU | None) -> str | Unavailable:
    """Find every frame that the host wrote and every score that the GPU wrote, without a copy.

    A stale line of either one's cache would show as an answer of another picture.

    Raises:
        EdgeError: an answer changed.
    """
    if gpu is None:
        return Unavailable("no GPU runs the network")
    if not gpu.is_integrated:
        return Unavailable(f"{gpu.name} has memory of its own, frames are copied to it")
    return check_in_flight(opener, pictures, SHARED_MEMORY_FRAMES)


def check_other_thread(opener: Opener, pictures: Pixels) -> str:
    """Open here, run in another thread, close here.

    Raises:
        EdgeError: the answers differ from those of this thread.
    """
    with opener() as (engine, contract), ThreadPoolExecutor(1) as pool:
        here = _classify_singly(engine, contract, pictures)
        there = pool.submit(classify_all, engine, contract, pictures).result()
        return f"opened in one thread, run in another: {_same(there, here)}"


def check_several(opener: Opener, pictures: Pixels, engines: int = ENGINES) -> str:
    """Run several engines at once, each in its own thread.

    Raises:
        EdgeError: an answer differs from that of an engine alone.
    """
    with ExitStack() as stack, ThreadPoolExecutor(engines) as pool:
        opened = [stack.enter_context(opener()) for _ in range(engines)]
        alone = _classify_singly(*opened[0], pictures)
        futures = [
            pool.submit(_check_repeats, *one, pictures, alone, FRAMES // engines) for one in opened
        ]
        said = dict.fromkeys(future.result() for future in futures)
        return f"{engines} engines, each in a thread: {', '.join(said)}"


def check_memory(
    opener: Opener, pictures: Pixels, root: SysRoot, gpu: GPU | None
) -> str | Unavailable:
    """Open and close an engine over and over, run many frames, and find the memory given back.

    Raises:
        EdgeError: the process or the GPU lost more than a little.
    """
    if _process_bytes(root) is None:
        return Unavailable("no /proc/self/statm to read the memory of this process from")
    for _ in range(WARM_UP_CYCLES):
        _cycle(opener, pictures)
    measures = {"the process": lambda: _process_bytes(root) or 0}
    if gpu is not None:
        measures["the GPU"] = used_memory_bytes
    said = [
        _check_growth(whose, measure, lambda: _cycle(opener, pictures), CYCLES, CYCLE_BYTES)
        for whose, measure in measures.items()
    ]
    with opener() as (engine, contract):
        passes = MEMORY_FRAMES // len(pictures)
        grown = _check_growth(
            "the process",
            measures["the process"],
            lambda: classify_all(engine, contract, pictures),
            passes,
            FRAME_BYTES * len(pictures),
        )
    cycles = ", ".join(said)
    return f"opened {CYCLES} times: {cycles}; {passes * len(pictures)} frames: {grown}"


def _classify_singly(engine: Engine, contract: Contract, pictures: Pixels) -> Probabilities:
    """Classify each picture with nothing else in flight."""
    return np.concatenate(
        [classify_all(engine, contract, pictures, [place]) for place in range(len(pictures))]
    )


def _check_repeats(
    engine: Engine, contract: Contract, pictures: Pixels, first: Probabilities, frames: int
) -> str:
    order = np.arange(frames) * STRIDE % len(pictures)
    return _same(classify_all(engine, contract, pictures, order), first[order])


def _same(given: Probabilities, first: Probabilities) -> str:
    """Say how alike two passes of one engine are; raises CheckFailedError where they differ."""
    is_same = np.abs(given - first).max(axis=1) <= REPEATED
    if not is_same.all():
        raise CheckFailedError(
            f"{np.count_nonzero(~is_same)} of {len(given)} answers changed, first that of frame"
            f" {np.argmin(is_same)}, by up to {np.abs(given - first).max():.4f}",
            hint=REPORT_IT,
        )
    if np.array_equal(given, first):
        return "every answer the same to the bit"
    return f"the same but for {np.abs(given - first).max():.1e} ({REPEATED:g} is allowed)"


def _cycle(opener: Opener, pictures: Pixels) -> None:
    with opener() as (engine, contract):
        classify_all(engine, contract, pictures)


def _check_growth(
    whose: str, measure: Callable[[], int], work: Callable[[], object], times: int, each_bytes: int
) -> str:
    """Do the work so many times and find its memory given back.

    What others do on a board shows in the GPU's memory too, so a growth counts when it comes again
    in each round.
    """
    most_bytes = times * each_bytes
    rounds: list[int] = []
    while len(rounds) < ROUNDS and min(rounds, default=most_bytes + 1) > most_bytes:
        gc.collect()
        before = measure()
        for _ in range(times):
            work()
        gc.collect()
        rounds.append(max(0, measure() - before))
    said = f"{whose} grew by {min(rounds) / MIB:.1f} MiB ({most_bytes / MIB:.1f} is allowed)"
    if min(rounds) > most_bytes:
        raise CheckFailedError(said, hint=REPORT_IT)
    return said


def _process_bytes(root: SysRoot) -> int | None:
    """Give what this process holds in memory; None where there is no /proc.

    Source: proc(5), /proc/pid/statm, second field.
    """
    text = root.read_text("proc/self/statm")
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") if text else None
