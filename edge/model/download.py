"""One file over HTTP, going on where an earlier try stopped."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from edge import __version__
from edge.errors import InputError, UnavailableError
from edge.files import explain_os_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Progress = Callable[[int, int], None]

PIECE_BYTES = 1 << 16
TIMEOUT_S = 30
AGAIN = "Check the network and run it again, it goes on where it stopped"


def download(origin: str, part: Path, size_bytes: int, progress: Progress) -> None:
    """Fetch `origin` into `part`, which may hold the beginning of it already.

    Args:
        origin: an http or https address.
        part: grows as bytes arrive and stays when the line is cut.
        size_bytes: of the whole file; no more than this is taken.
        progress: called with the bytes so far and the bytes in all.

    Raises:
        InputError: the address is no http address, or the disk is full.
        UnavailableError: the origin cannot be reached, refuses, or stops halfway.
    """
    if not origin.startswith(("https://", "http://")):
        raise InputError(f"{origin}: not a web address", hint="Give http://... or https://...")
    try:
        done = _receive(origin, part, size_bytes, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)  # longer than the origin's file: begin anew next time
        answer = f"{error.code} {error.reason}"
        raise UnavailableError(f"{origin}: answered {answer}", hint=AGAIN) from error
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        ConnectionError,
        TimeoutError,
    ) as error:
        reason = getattr(error, "reason", error)
        raise UnavailableError(f"{origin}: cannot be reached ({reason})", hint=AGAIN) from error
    except ValueError as error:
        raise InputError(
            f"{origin}: not a web address ({error})", hint="Give http://... or https://..."
        ) from error
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise explain_os_error(part, error) from error
    if done < size_bytes:
        raise UnavailableError(
            f"{origin}: stopped after {done:,} of {size_bytes:,} bytes", hint=AGAIN
        )


def _receive(origin: str, part: Path, size_bytes: int, progress: Progress) -> int:
    """Append what is missing; gives the bytes that the file holds now."""
    done = part.stat().st_size if part.exists() else 0
    if done >= size_bytes:
        return done
    headers = {"User-Agent": f"edge/{__version__}"}
    if done:
        headers["Range"] = f"bytes={done}-"
    request = urllib.request.Request(origin, headers=headers)  # noqa: S310 - the caller checked
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310 - likewise
        if reply.status != HTTPStatus.PARTIAL_CONTENT:
            done = 0
        with part.open("ab" if done else "wb") as file:
            while done < size_bytes and (piece := _read(reply, size_bytes - done)):
                file.write(piece)
                done += len(piece)
                progress(done, size_bytes)
    return done


def _read(reply: http.client.HTTPResponse, wanted_bytes: int) -> bytes:
    """Read the next piece; a fault of the line must not look like one of the disk."""
    try:
        return reply.read(min(PIECE_BYTES, wanted_bytes))
    except OSError as error:
        raise ConnectionError(str(error)) from error
