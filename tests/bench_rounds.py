"""Rounds of a measurement that never was, with the noise that is wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge.bench.case import Round


@dataclass(frozen=True)
class Noise:
    """What makes rounds differ, each a share: of parts, of rounds, over the run, of the machine."""

    part: float = 0.01
    round: float = 0.01
    drift: float = 0.0
    yardstick: float = 0.01
    machine: float = 0.0


def make_rounds(
    seed: int, *, ms: float = 1.0, parts: int = 5, noise: Noise = Noise(), each: int = 4
) -> tuple[Round, ...]:
    """Make rounds around a latency; `noise.machine` slows the yardstick down as well."""
    rng = np.random.default_rng(seed)
    rounds = []
    for part in range(parts):
        offset = rng.normal(0, noise.part) + noise.drift * part / max(parts - 1, 1)
        for turn in range(each):
            machine = noise.machine * (1 + rng.normal(0, 0.2))
            middle = ms * 1e6 * np.exp(offset + machine + rng.normal(0, noise.round))
            yardstick_ms = 0.5 * np.exp(machine + rng.normal(0, noise.yardstick))
            latencies_ns = np.round(middle * rng.lognormal(0, 0.05, 25)).astype(np.int64)
            rounds.append(
                Round(
                    part=part,
                    started_s=part + turn * 0.1,
                    wall_s=float(latencies_ns.sum()) / 1e9,
                    cpu_s=float(latencies_ns.sum()) / 1e9,
                    frames=len(latencies_ns),
                    yardstick_ms=float(yardstick_ms),
                    latencies_ns=latencies_ns,
                    network_ns=latencies_ns - 1000,
                )
            )
    return tuple(rounds)
