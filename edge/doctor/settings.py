"""Checks of the EDGE_* variables of the environment: known, and usable."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from edge.doctor.check import Check
from edge.engine.base import AUTO, ENGINES, TENSORRT
from edge.errors import EdgeError
from edge.model.zoo import resolve_model
from edge.sinks.mqtt_url import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.check import Place

PREFIX = "EDGE_"
_USER = re.compile(r"//[^@/\s]*@")
"""Name and password in a URL."""
SECRETS = ("PASSWORD", "TOKEN", "SECRET", "KEY")
OTHERS = ("EDGE_HOME", "EDGE_WEB_TOKEN", *VARIABLES.values())
"""What edge obeys beside the options' own variables."""


def check_settings(place: Place) -> Iterator[Check]:
    """Show what the environment sets, and refuse what nothing obeys."""
    given = sorted(name for name in place.environment if name.startswith(PREFIX))
    if not given:
        yield Check("environment", "ok", f"no {PREFIX}* variable is set")
    for name in given:
        yield _check_setting(place, name, place.environment[name])


def _check_setting(place: Place, name: str, value: str) -> Check:
    known = {*place.settings, *OTHERS}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Run: unset {name}"
        return Check(name, "warning", "set, and nothing obeys it", hint)
    if not value:
        return Check(name, "ok", "empty, which counts as not set")
    if any(word in name for word in SECRETS):
        return Check(name, "ok", "set, not shown")
    problem = _find_problem(name, value)
    if problem:
        return Check(name, "broken", f"{value}: {problem}", f"Run: unset {name}")
    return Check(name, "ok", _USER.sub("//", value))


def _find_problem(name: str, value: str) -> str:
    """Say what is wrong with a value; empty where nothing is."""
    if name == "EDGE_ENGINE" and value.partition(":")[0] not in {AUTO, TENSORRT, *ENGINES}:
        return "no such engine"
    if name == "EDGE_MODEL":
        try:
            path = resolve_model(value)
        except EdgeError as error:
            return str(error.args[0]).removeprefix(f"{value}: ")
        return "" if path.exists() else "no such file"
    return ""
