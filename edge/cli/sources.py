"""Opens the sources that a command names: at once, or as soon as they are there."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from edge.camera.base import connect
from edge.camera.capture import Capture
from edge.camera.paced import PacedSource
from edge.camera.round_robin import RoundRobin
from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge.camera.base import Source
    from edge.camera.url import SourceURL

REMOTE = frozenset({"http", "rtsp"})
"""What may be away for a while, so that a run waits for it from the start."""

DEVICES = frozenset({"csi", "gst", "v4l2"})
"""What is opened again when it is lost, but should be there at the start of a run of its own."""


def open_sources(urls: Sequence[SourceURL], *, realtime: bool) -> RoundRobin:
    """Make the captures of a run, to be entered by the caller.

    A source that a person must mend is refused here; one that is only away is waited for, where
    other sources go on without it or where it is at the other end of a network.

    Args:
        urls: one or more.
        realtime: videos are played at their own speed.

    Raises:
        InputError: a source cannot be used, or none is a video that could be played so.
        UnavailableError: the only source is not here.
    """
    if realtime and all(url.kind != "video" for url in urls):
        raise InputError(
            "--realtime: no source is a video file",
            hint="Leave it away: cameras have their own speed, and pictures have none",
        )
    changed = threading.Condition()
    captures = []
    with ExitStack() as opened:
        for url in _told_apart(urls):
            source = None
            if url.kind not in REMOTE and (url.kind not in DEVICES or len(urls) == 1):
                source = _play(url, realtime=realtime)
                opened.callback(source.close)
            reopen = partial(connect, url) if url.kind in REMOTE | DEVICES else None
            captures.append(Capture(source, reopen=reopen, name=url.name, changed=changed))
        opened.pop_all()
    return RoundRobin(captures, changed)


def _told_apart(urls: Sequence[SourceURL]) -> Iterator[SourceURL]:
    """Number the names of what is given more than once."""
    times: Counter[str] = Counter()
    for url in urls:
        times[url.name] += 1
        count = times[url.name]
        yield url if count == 1 else replace(url, name=f"{url.name} ({count})")


def _play(url: SourceURL, *, realtime: bool) -> Source:
    source = connect(url)
    return PacedSource(source) if realtime and url.kind == "video" else source
