"""What changed between two measurements, and whether it is more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.bench.ratio import ratio_of_runs

if TYPE_CHECKING:
    from edge.bench.document import Kept
    from edge.bench.ratio import Ratio

    Row = dict[str, Any]

NOT_COMPARED = frozenset({"started_at", "board_before", "board_after", "load_before", "load_after",
                          "others_cores", "steal_share", "idle_mw"})  # fmt: skip
"""What differs between any two runs, or has a doubt of its own."""
MOST_CORES = 1e6
COMPARED_OF_BOARD = frozenset({"board_before.mode", "board_before.locked"})


@dataclass(frozen=True, slots=True)
class Difference:
    """A condition that is not the same in both.

    Attributes:
        what: the condition, "versions.openvino", or a case and its own, "small: engine".
        before: in the first.
        after: in the second.
    """

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Diff:
    """Two measurements side by side.

    Attributes:
        ratios: of the cases that are in both, by name.
        differences: conditions that are not the same.
        only_before: cases that the second does not have.
        only_after: cases that the first does not have.
    """

    ratios: dict[str, Ratio]
    differences: tuple[Difference, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]

    def regressions(self, share: float) -> tuple[str, ...]:
        """Name the cases that are slower by more than a share, and surely slower."""
        return tuple(
            name
            for name, ratio in self.ratios.items()
            if ratio.verdict == "slower" and ratio.ratio > 1 + share
        )

    def blind(self, share: float) -> tuple[str, ...]:
        """Name the cases in which a slowdown of a share may have gone unseen."""
        return tuple(
            name
            for name, ratio in self.ratios.items()
            if ratio.detectable > share and ratio.verdict != "slower"
        )


def diff(before: Kept, after: Kept) -> Diff:
    """Compare two measurements, case by case."""
    common = [name for name in before.rounds if name in after.rounds]
    load_gap = abs(_taken_share(after.conditions) - _taken_share(before.conditions))
    return Diff(
        ratios={
            name: ratio_of_runs(before.rounds[name], after.rounds[name], load_gap=load_gap)
            for name in common
        },
        differences=tuple(_differences(before, after, common)),
        only_before=tuple(name for name in before.rounds if name not in after.rounds),
        only_after=tuple(name for name in after.rounds if name not in before.rounds),
    )


def _taken_share(conditions: Row) -> float:
    """Give the share of all cores that others took; 0 where it is not known."""
    found = [conditions.get(name) for name in ("others_cores", "cores", "steal_share")]
    others, cores, steal = (
        float(value) if isinstance(value, (int, float)) and 0 <= value < MOST_CORES else 0.0
        for value in found
    )
    return min(1.0, others / max(cores, 1.0) + steal)


def _differences(before: Kept, after: Kept, common: list[str]) -> list[Difference]:
    sides = [_compared(kept, common) for kept in (before, after)]
    names = sorted(sides[0].keys() | sides[1].keys())
    return [
        Difference(name, str(sides[0].get(name)), str(sides[1].get(name)))
        for name in names
        if sides[0].get(name) != sides[1].get(name)
    ]


def _compared(kept: Kept, common: list[str]) -> Row:
    """Give by its dotted name all that two measurements should have in common."""
    found = {
        name: value
        for name, value in _flat("", kept.conditions)
        if name.split(".")[0] not in NOT_COMPARED or name in COMPARED_OF_BOARD
    }
    for case in common:
        found |= {f"{case}: {what}": fact for what, fact in kept.facts[case].items()}
    return found


def _flat(prefix: str, value: object) -> list[tuple[str, object]]:
    """Give the leaves of nested tables with their dotted names."""
    if not isinstance(value, dict):
        return [(prefix, value)]
    return [leaf for key, one in value.items() for leaf in _flat(f"{prefix}.{key}".strip("."), one)]
