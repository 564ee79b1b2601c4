"""Time of each layer, where the engine gives it: measured apart, for to look inside costs time."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from edge.bench.rounds import Driver
from edge.engine.base import TellsLayers
from edge.errors import EdgeError
from edge.record import Unavailable

if TYPE_CHECKING:
    from edge.bench.case import Opener
    from edge.engine.base import LayerTime

LONGEST_S = 1.0


def measure_layers(opener: Opener, batch: int) -> tuple[LayerTime, ...] | Unavailable:
    """Run until the latency is stable, and give the mean time of each layer.

    Args:
        opener: opens the engine so that it takes the time of its layers.
        batch: pictures in a submission.

    Returns:
        Or why they are not known: what was measured before shall not be lost for them.
    """
    with ExitStack() as stack:
        try:
            engine, _ = stack.enter_context(opener())
            if not isinstance(engine, TellsLayers):
                return Unavailable(f"{engine.info.name}: does not tell the time of its layers")
            Driver(engine, batch).warm_up(LONGEST_S)
            return engine.read_layers()
        except EdgeError as error:
            return Unavailable(str(error))
