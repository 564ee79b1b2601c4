"""What a word on the command line means as a source, and how it is told without passwords."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from edge.errors import InputError
from edge.files import explain_os_error
from edge.image import PICTURE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable
    from urllib.parse import SplitResult

Kind: TypeAlias = Literal["csi", "demo", "gst", "http", "rtsp", "stills", "v4l2", "video"]

HINT = "Give demo, a camera (0, csi://0, rtsp://, http://), a video, a picture or a folder"

GLOB = re.compile(r"[*?\[]")
"""What makes a pattern of a path."""

_CAMERA = re.compile(r"(?:/dev/video)?(\d{1,3})")
_CAMERA_WITH_OPTIONS = re.compile(rf"{_CAMERA.pattern}(\?\w+=.*)")
_LOGIN_BEHIND_HOST = re.compile(r"(?<=://)[^/?#]*[/?#].*@")
_LOGIN = re.compile(r"(?i)\A([a-z0-9+.-]+://)[^/?#]*@")
_USERINFO = re.compile(r"(?<=://)[^/\s@]*(?:@[^/\s@]*)*@")
_SECRET = re.compile(
    r"(?i)((?:pass?(?:word|wd)?|pwd?|token|secret|api_?key|auth|sig(?:nature)?)\s*=\s*)"
    r"""(?:"[^"]*"|'[^']*'|(?:(?!_\w+=)[^&?#\s"'!])+)"""
)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a person asked of a source; None leaves it to the source.

    Attributes:
        format: pixel format of a V4L2 camera, say "MJPG".
        size: width and height in pixels.
        fps: frames per second.
        transport: of RTSP, "tcp" or "udp".
        decoder: of RTSP, "ffmpeg" or "gstreamer"; the latter decodes in hardware where it can.
        latency_ms: how long RTSP may wait for packets that come out of order.
        timeout_s: silence after which a source counts as lost.
        flip: of CSI, nvvidconv's flip-method, 0 to 7.
    """

    format: str | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    transport: str = "tcp"
    decoder: str | None = None
    latency_ms: int = 100
    timeout_s: float = 5.0
    flip: int = 0


@dataclass(frozen=True, slots=True)
class SourceURL:
    """One source as it was asked for. Printing it never shows a password.

    Attributes:
        kind: which implementation opens it.
        target: what that one opens; may hold a password.
        name: how it is told of: the target without passwords.
        options: see there.
    """

    kind: Kind
    target: str = field(repr=False)
    name: str
    options: SourceOptions = SourceOptions()

    def __str__(self) -> str:
        """Give the name."""
        return self.name


def redact(text: str) -> str:
    """Take user names and passwords out of a text that may hold URLs.

    What stands before the `@` of a URL goes, and the value of whatever is called like a password.
    Where the text begins with the URL, a password may hold spaces.
    """
    return _SECRET.sub(r"\1***", _USERINFO.sub("", _LOGIN.sub(r"\1", text)))


def parse_source(word: str) -> SourceURL:
    """Read what a person typed.

    Raises:
        InputError: it is no source, or an option is unknown or wrong; names it.
    """
    if not word.strip():
        raise InputError("an empty word: no such source", hint=HINT)
    if word == "demo":
        return SourceURL("demo", word, word)
    if match := _CAMERA.fullmatch(word):
        device = f"/dev/video{match[1]}"
        return SourceURL("v4l2", device, device)
    if match := _CAMERA_WITH_OPTIONS.fullmatch(word):
        raise InputError(
            f"{word}: a camera with options is written as a URL",
            hint=f"Give v4l2:///dev/video{match[1]}{match[2]}",
        )
    if word.startswith("gst:"):
        return _parse_gst(word)
    scheme, separator, _ = word.partition("://")
    if separator and not Path(word).exists():
        return _parse_url(word, scheme.lower())
    return _parse_path(word)


def _parse_gst(word: str) -> SourceURL:
    pipeline = word.removeprefix("gst:").strip()
    if not pipeline:
        raise InputError(
            "gst: names no pipeline", hint='Give one, for example gst:"videotestsrc is-live=true"'
        )
    return SourceURL("gst", pipeline, redact(f"gst:{pipeline}"))


def _parse_url(word: str, scheme: str) -> SourceURL:
    told = redact(word)
    try:
        parts = urlsplit(word)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        if _LOGIN_BEHIND_HOST.search(word):  # the error may quote a part of the password
            raise _explain_login(word) from None
        raise InputError(f"{told}: {error}", hint=HINT) from error
    if "@" in parts.fragment:
        raise _explain_login(word)
    if scheme in {"v4l2", "csi"}:
        return _parse_device(told, scheme, parts)
    kinds: dict[str, Kind] = {"rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http"}
    if scheme not in kinds:
        raise InputError(f"{told}: {scheme}:// is no source that edge reads", hint=HINT)
    if not host:
        raise InputError(f"{told}: names no host", hint="Give it as in rtsp://host/path")
    kind = kinds[scheme]
    target = parts._replace(fragment="").geturl()
    options = _parse_options(kind, told, parts.fragment)
    return SourceURL(kind, target, told.partition("#")[0], options)


def _parse_device(told: str, scheme: str, parts: SplitResult) -> SourceURL:
    target = f"{parts.netloc}{parts.path}"
    if parts.fragment:
        raise InputError(
            f"{told}: options of a device do not stand behind a #",
            hint=f"Put them behind a ?, as in {scheme}://{target}?fps=30",
        )
    if scheme == "v4l2" and (match := _CAMERA.fullmatch(target)):
        device = f"/dev/video{match[1]}"
        return SourceURL("v4l2", device, device, _parse_options("v4l2", told, parts.query))
    if scheme == "csi" and target.isdecimal():
        return SourceURL("csi", target, f"csi://{target}", _parse_options("csi", told, parts.query))
    raise InputError(
        f"{told}: names no camera",
        hint="Give csi://0, v4l2:///dev/video0 or another number; edge cameras lists them",
    )


def _explain_login(word: str) -> InputError:
    """Refuse an address whose user or password ends its host; all before the last @ may be one."""
    return InputError(
        f"{_LOGIN_BEHIND_HOST.sub('', word)}: its user or password holds a /, ? or # as it is",
        hint="Write %2F for /, %3F for ?, %23 for #",
    )


def _parse_path(word: str) -> SourceURL:
    path = Path(word)
    try:
        is_folder, is_device, exists = path.is_dir(), path.is_char_device(), path.exists()
    except OSError as error:  # a folder above is closed to this user, or the name is too long
        raise explain_os_error(word, error) from error
    if is_device:  # a camera by a name that stays, as those in /dev/v4l/by-id
        return SourceURL("v4l2", word, word)
    is_glob = not exists and GLOB.search(word) is not None
    if is_folder or is_glob or path.suffix.lower() in PICTURE_SUFFIXES:
        return SourceURL("stills", word, word)
    if not exists:
        raise InputError(f"{redact(word)}: no such source", hint=HINT)
    return SourceURL("video", word, word)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None or not int(match[1]) or not int(match[2]):
        raise ValueError(text)
    return int(match[1]), int(match[2])


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e4:
        raise ValueError(text)
    return value


def _one_of(*words: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return check


def _whole(least: int, most: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return check


def _fourcc(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9]{4}", text) is None:
        raise ValueError(text)
    return text.upper()


Option: TypeAlias = tuple[str, "Callable[[str], Any]", str]
"""A field of `SourceOptions`, its reader, and what to write."""

TIMEOUT: dict[str, Option] = {"timeout": ("timeout_s", _positive, "seconds, as in timeout=5")}
PICTURE: dict[str, Option] = {
    "size": ("size", _size, "width and height, as in size=1280x720"),
    "fps": ("fps", _positive, "frames per second, as in fps=30"),
}
OPTIONS: dict[Kind, dict[str, Option]] = {
    "v4l2": {
        **PICTURE,
        "format": ("format", _fourcc, "four letters, as in format=MJPG"),
        **TIMEOUT,
    },
    "csi": {**PICTURE, "flip": ("flip", _whole(0, 7), "a number from 0 to 7"), **TIMEOUT},
    "rtsp": {
        "transport": ("transport", _one_of("tcp", "udp"), "tcp or udp"),
        "decoder": ("decoder", _one_of("ffmpeg", "gstreamer"), "ffmpeg or gstreamer"),
        "latency": ("latency_ms", _whole(0, 10_000), "milliseconds, as in latency=100"),
        **TIMEOUT,
    },
    "http": TIMEOUT,
}
"""The options that each kind takes."""


def _parse_options(kind: Kind, told: str, query: str) -> SourceOptions:
    known = OPTIONS[kind]
    options = SourceOptions()
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"Use one of: {', '.join(known)}"
            raise InputError(f"{told}: unknown option {name}", hint=hint.rstrip("."))
        attribute, read, form = known[name]
        try:
            options = replace(options, **{attribute: read(text)})
        except ValueError as error:
            raise InputError(
                f"{told}: {name}={text} cannot be used", hint=f"Give {form}"
            ) from error
    return options
