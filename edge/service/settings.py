"""The service's settings: what `edge run` gets, and its secrets, in one file of root's."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLE = "EDGE_RUN"

HEAD = """\
# What the service edge runs with. Mode 0600: only root reads it. After a change:
#   sudo systemctl restart edge
# EDGE_MQTT_USERNAME=
# EDGE_MQTT_PASSWORD=
# The arguments of `edge run`:
"""

_LINE = re.compile(rf"^{VARIABLE}=.*\n?", re.MULTILINE)
_SPECIAL = re.compile(r'["\\`$]')
_ESCAPED = re.compile(r'\\(["\\`$])')
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def format_settings(words: Sequence[str], before: str | None = None) -> str:
    """Give the file's text.

    Args:
        words: the arguments of `edge run`.
        before: the text that is there; all but the arguments stays as it is.

    Raises:
        InputError: a word cannot be kept in such a file.

    Source: systemd.exec(5), "EnvironmentFile=".
    """
    for number, word in enumerate(words, start=1):
        if _CONTROL.search(word):
            raise InputError(
                f"argument {number}: holds a line break or what is no text",
                hint="Give the file or folder another name",
            )
    quoted = _SPECIAL.sub(r"\\\g<0>", shlex.join(words))
    line = f'{VARIABLE}="{quoted}"\n'
    if before is None:
        return HEAD + line
    if _LINE.search(before):
        return _LINE.sub(lambda _: line, before, count=1)
    return f"{before.rstrip()}\n{line}"


def parse_settings(text: str) -> list[str]:
    """Give the arguments of `edge run` out of the file's text.

    Raises:
        InputError: there are none, or they are no words.
    """
    match = _LINE.search(text)
    value = match[0].removeprefix(f"{VARIABLE}=").strip() if match else ""
    if value[:1] == value[-1:] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    elif value[:1] == value[-1:] == "'":
        value = value[1:-1]
    return read_words({VARIABLE: value})


def read_words(environment: Mapping[str, str]) -> list[str]:
    """Give the arguments of `edge run` out of the environment that systemd made of the file.

    Raises:
        InputError: there are none, or they are no words.
    """
    hint = "Write them again with: edge service install -- SOURCE"
    try:
        words = shlex.split(environment.get(VARIABLE, ""))
    except ValueError as error:
        raise InputError(
            f"{VARIABLE}: holds no arguments of edge run ({error})", hint=hint
        ) from error
    if not words:
        raise InputError(f"{VARIABLE}: holds no arguments of edge run", hint=hint)
    return words
