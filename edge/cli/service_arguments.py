"""What `edge run` gets as a service, made ready for another folder and another user."""

from __future__ import annotations

import sys
from glob import has_magic
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.assets import bundled
from edge.camera.url import parse_source
from edge.cli.run import run
from edge.engine.plan import sidecar_path
from edge.errors import InputError
from edge.service.unit import STATE_PATH, UnitOptions, keep_hidden, list_devices, list_groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edge.board import SysRoot
    from edge.camera.url import SourceURL

LEAST_WATCHDOG_S = 30
WATCHDOG_TIMEOUTS = 3
"""A source that may be silent for long is lost after its timeout, not started again before."""


def absolute_arguments(words: Sequence[str]) -> list[str]:
    """Give the arguments of `edge run` as they mean the same in another folder.

    Raises:
        click.UsageError: `edge run` would not take them.
        InputError: there is no such source, or a service cannot do what they ask for.
    """
    apart = [
        part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])
    ]
    given = _parse(apart)
    files = set(_files(_sources(given)))
    if Path(given["model"]).exists():
        files.add(given["model"])
    return [str(Path(word).absolute()) if word in files else word for word in apart]


def unit_options(root: SysRoot, words: Sequence[str]) -> UnitOptions:
    """Find out what of the unit depends on the machine and on the run.

    Raises:
        click.UsageError: `edge run` would not take the words.
        InputError: there is no such source, or a service cannot do what they ask for.
    """
    given = _parse(words)
    urls = _sources(given)
    model = Path(given["model"])
    files = [*map(_without_pattern, _files(urls)), model]
    if model.is_file():
        files.append(sidecar_path(model))  # of a plan
    needed = [Path(sys.prefix), Path(sys.base_prefix), bundled("engines").parent, *files]
    longest_s = max(url.options.timeout_s for url in urls)
    return UnitOptions(
        python=Path(sys.executable),
        groups=list_groups(root),
        devices=list_devices(root),
        readable=keep_hidden(needed),
        uses_argus=any(url.kind in {"csi", "gst"} for url in urls),
        watchdog_s=max(LEAST_WATCHDOG_S, round(WATCHDOG_TIMEOUTS * longest_s)),
    )


def _parse(words: Sequence[str]) -> dict[str, Any]:
    """Read the arguments as `edge run` will."""
    given = run.make_context("edge run", list(words)).params
    if given["show"]:
        raise InputError("--show: a service has no screen", hint="Leave it away")
    for option, target in (("--json", given["json_file"]), ("--csv", given["csv_file"])):
        if target == "-":
            raise InputError(f"{option} -: a service has no stdout", hint="Name a file")
        if target is not None and not _is_below(STATE_PATH, target):
            raise InputError(
                f"{option} {target}: a service writes below {STATE_PATH} alone",
                hint="Give the file's name without a folder",
            )
    return given


def _sources(given: dict[str, Any]) -> list[SourceURL]:
    return [parse_source(word) for word in given["sources"]]


def _files(urls: Iterable[SourceURL]) -> Iterator[str]:
    return (url.target for url in urls if url.kind in {"stills", "video"})


def _without_pattern(target: str) -> Path:
    """Give the folder that holds all that a pattern may stand for; another path as it is."""
    path = Path(target)
    if path.exists():
        return path
    return Path(*takewhile(lambda part: not has_magic(part), path.parts))


def _is_below(folder: Path, file: str) -> bool:
    """Tell whether a file that is named from within a folder lies in it."""
    return (folder / file).is_relative_to(folder) and ".." not in Path(file).parts
