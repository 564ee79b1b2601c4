"""Who may look: a token where others reach the machine, the machine's own names where not."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

LEAST_CHARACTERS = 12
OPEN_PATHS = frozenset({"/page.css", "/icon.svg"})
"""What the page of a refusal is dressed in; it tells nothing of the run."""

HEADERS = {
    "Server": "edge",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def make_token(given: str | None, *, is_loopback: bool) -> str | None:
    """Give the token that viewers need, None where nobody else can come.

    Args:
        given: a person's own, from the environment; it is then needed on every address.
        is_loopback: whether only this machine can reach the server.

    Raises:
        InputError: the person's own can be guessed.
    """
    if given:
        if len(given) < LEAST_CHARACTERS:
            raise InputError(
                f"EDGE_WEB_TOKEN: shorter than {LEAST_CHARACTERS} characters",
                hint="Make a longer one, or leave it away to have one made",
            )
        return given
    return None if is_loopback else secrets.token_urlsafe(24)


class Access:
    """Lets a request through, or answers it.

    Args:
        token: that viewers need; None where nobody else can come.
        port: of the server; cookies are not told apart by port, so that their name is.
        refusal: the page for whoever comes without the token, HTML.
    """

    def __init__(self, token: str | None, port: int, refusal: str) -> None:
        self._proof = _proof_of(token) if token is not None else None
        self._cookie = f"edge-{port}"
        self._refusal = refusal

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request that may not pass; a token that fits is kept in a cookie."""
        if self._proof is None:
            if not _names_this_machine(request.headers.get("Host", "")):
                raise web.HTTPForbidden(
                    text="The live view answers to localhost and 127.0.0.1 only.\n"
                )
            return await handler(request)
        if request.path in OPEN_PATHS or self._fits(request.cookies.get(self._cookie, "")):
            return await handler(request)
        given = request.query.get("token")
        if given is None or not self._fits(_proof_of(given)):
            return web.Response(status=401, text=self._refusal, content_type="text/html")
        response = await handler(request)
        if not response.prepared:
            response.set_cookie(self._cookie, self._proof, httponly=True, samesite="Strict")
        return response

    def _fits(self, proof: str) -> bool:
        given = proof.encode(errors="surrogatepass")  # a cookie may be any bytes
        return hmac.compare_digest(given, (self._proof or "").encode())


def _proof_of(token: str) -> str:
    """Give what stands for a token: of one length, and made of letters that a cookie may have."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def _names_this_machine(host: str) -> bool:
    """Tell whether a Host header is no stranger's name that was made to point here."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Put what every answer carries into it."""
    response.headers.update(HEADERS)
