"""Which class of a model a word means: its label, ImageNet's WordNet id, or its number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from edge.assets import bundled
from edge.files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

NamedBy: TypeAlias = Literal["label", "WordNet id", "number"]

IMAGENET_IDS = "engines/imagenet-wnids.txt"
"""One a class of ImageNet, in the order that its models use."""

_GAP = re.compile(r"[\s_-]+")
_NUMBER = re.compile(r"[0-9]{1,6}")
_WORDNET_ID = re.compile(r"n[0-9]{8}")


@dataclass(frozen=True, slots=True)
class MatchedNames:
    """What words mean to a model.

    Attributes:
        named_by: the one way in which all of them are read; the nearest one where some are unknown.
        classes: word to its class, those that are known.
        unknown: the others, sorted.
    """

    named_by: NamedBy
    classes: Mapping[str, int]
    unknown: tuple[str, ...]


def match_names(names: Collection[str], labels: Sequence[str]) -> MatchedNames:
    """Find the classes that words name, all of them in the same way.

    A label may be written in any case, and with a space, `_` or `-` between its words. Where two
    labels then look alike, only their exact spelling means one of them.

    Args:
        names: of folders, or from a list.
        labels: of the model.
    """
    tries = (
        _match("label", names, _by_label(names, labels)),
        _match("WordNet id", names, _by_wordnet_id(names, labels)),
        _match("number", names, _by_number(names, labels)),
    )
    return min(tries, key=lambda one: len(one.unknown))  # of equal ones the first


def _match(named_by: NamedBy, names: Collection[str], classes: Mapping[str, int]) -> MatchedNames:
    return MatchedNames(named_by, classes, tuple(sorted(set(names) - classes.keys())))


def _by_label(names: Collection[str], labels: Sequence[str]) -> dict[str, int]:
    exact = _index([label.strip() for label in labels])
    loose = _index([_loosen(label) for label in labels])
    found = {name: exact.get(name.strip(), loose.get(_loosen(name))) for name in names}
    return {name: number for name, number in found.items() if number is not None}


def _index(words: Sequence[str]) -> dict[str, int]:
    """Give the place of each word that stands there once."""
    places = {word: place for place, word in enumerate(words)}
    last_first = {word: place for place, word in reversed(list(enumerate(words)))}
    return {word: place for word, place in places.items() if last_first[word] == place}


def _loosen(label: str) -> str:
    return _GAP.sub(" ", label).strip().casefold()


def _by_wordnet_id(names: Collection[str], labels: Sequence[str]) -> dict[str, int]:
    if not any(map(_WORDNET_ID.fullmatch, names)):
        return {}
    ids = read_bytes(bundled(IMAGENET_IDS)).decode().split()
    if len(ids) != len(labels):  # no model of ImageNet's thousand classes
        return {}
    numbers = _index(ids)
    return {name: numbers[name] for name in names if name in numbers}


def _by_number(names: Collection[str], labels: Sequence[str]) -> dict[str, int]:
    numbers = {name: int(name) for name in names if _NUMBER.fullmatch(name)}
    return {name: number for name, number in numbers.items() if number < len(labels)}
