"""Time of each layer, where an engine gives it."""
from __future__ import annotations
from dataclasses import dataclass
@dataclass(frozen=True, slots=True)
class LayerTime:
    name: str
