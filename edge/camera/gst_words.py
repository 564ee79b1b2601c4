"""What `gst-launch-1.0` says when a pipeline fails, read for its reason and for who can act."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge.camera.gst_tools import INSTALL
from edge.camera.url import redact
from edge.errors import CameraLostError, EdgeError, InputError, UnavailableError

MOST_LETTERS = 300

_PARSE = re.compile(r"erroneous pipeline: (.*)")
_ERROR = re.compile(r"^ERROR: from element (\S+): (.*)$", re.MULTILINE)
_DETAIL = re.compile(r"\nAdditional debug info:\n[^\n]*\n((?!ERROR|WARNING)[^\n]+)")


@dataclass(frozen=True, slots=True)
class Mend:
    """What to do about a failure that can be told by a text.

    Attributes:
        sign: what the child says then.
        hint: what the person does.
        error: what it is before the first picture.
    """

    sign: re.Pattern[str]
    hint: str
    error: type[EdgeError] = UnavailableError


GENERAL = (
    Mend(re.compile(r'no element "(?:fdsink|gdppay|queue|videoconvert)"'), INSTALL),
    Mend(
        re.compile(r'no element "'),
        "Check its name with gst-inspect-1.0, or install the plug-in that has it",
        InputError,
    ),
    Mend(
        _PARSE,
        "Give a pipeline that ends in raw video (video/x-raw), without a sink; decodebin decodes",
        InputError,
    ),
    Mend(
        re.compile(r"missing a plug-in|no suitable plugins"),
        "Run: sudo apt install gstreamer1.0-plugins-bad gstreamer1.0-libav",
    ),
    Mend(
        re.compile(
            r'No such file "|Resource not found|not-negotiated|not-linked|text file|type of stream'
            r"|Unauthorized|Forbidden|Not [Ff]ound"
        ),
        "Run the pipeline with gst-launch-1.0 to see more of it",
        InputError,
    ),
)
"""What holds for every pipeline; the first that fits counts."""


def find_reason(words: str, mends: tuple[Mend, ...] = ()) -> str | None:
    """Give the reason in one line without passwords, None where the words hold none.

    It is what the parser says, what an element says, what a mend knows, or else the last line.
    """
    if match := _PARSE.search(words):
        return _tidy(match[1])
    if match := _ERROR.search(words):
        element, message = match[1].rpartition(":")[2], match[2].rstrip(". ")
        detail = _DETAIL.match(words, match.end())
        return _tidy(f"{element}: {message}" + (f" ({detail[1].rstrip('. ')})" if detail else ""))
    if (mend := find_mend(words, mends)) and (match := mend.sign.search(words)):
        return _tidy(words[match.start() :].split("\n", 1)[0])
    lines = [line for line in words.splitlines() if line.strip()]
    return _tidy(lines[-1]) if lines else None


def says_error(words: str) -> bool:
    """Tell whether an element has failed, also where the child has not ended."""
    return _ERROR.search(words) is not None


def _tidy(text: str) -> str:
    line = " ".join(redact(text).split())
    return line if len(line) <= MOST_LETTERS else f"{line[:MOST_LETTERS]}..."


def explain(name: str, words: str, mends: tuple[Mend, ...] = ()) -> EdgeError:
    """Make the error of a pipeline that failed before its first picture.

    Args:
        name: of the source, without passwords.
        words: what the child said.
        mends: looked for before the general ones.
    """
    reason = find_reason(words, mends) or "ended without a picture"
    mend = find_mend(words, (*mends, *GENERAL))
    if mend is None:
        return UnavailableError(f"{name}: {reason}", hint="Check that it is there and switched on")
    return mend.error(f"{name}: {reason}", hint=mend.hint)


def find_mend(words: str, mends: tuple[Mend, ...]) -> Mend | None:
    """Give the first mend whose sign is in the words."""
    return next((mend for mend in mends if mend.sign.search(words)), None)


def explain_loss(
    name: str, words: str, code: int | None, mends: tuple[Mend, ...] = ()
) -> CameraLostError:
    """Make the error of a pipeline that worked and then failed.

    Args:
        name: of the source, without passwords.
        words: what the child said.
        code: how it ended: its exit code, or a signal as a negative number.
        mends: what to do, by what it said.
    """
    reason = find_reason(words, mends)
    mend = find_mend(words, mends)
    if code is not None and code < 0:
        reason = f"gst-launch-1.0 was ended by signal {-code}"
    return CameraLostError(
        f"{name}: {reason or 'its pipeline ended'}",
        hint=mend.hint if mend else "Check that it is still there and switched on",
    )
