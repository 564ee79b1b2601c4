"""Answers what a camera's HTTP server asks of a user: Basic and Digest authentication."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.request import parse_http_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALGORITHMS = ("MD5", "SHA-256")
"""Those of Digest that cameras use, the better one last."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks. Printing it shows nothing.

    Attributes:
        user: plain, not percent-encoded.
        password: the same.
    """

    user: str = field(repr=False)
    password: str = field(repr=False)


def authorize(challenges: Sequence[str], login: Login, path: str, cnonce: str) -> str | None:
    """Give the Authorization header of a GET, by the best way that the server offers.

    Args:
        challenges: the WWW-Authenticate headers, one way each; a letter is a byte (Latin-1), as
            `http.client` gives and takes them.
        login: who asks.
        path: with its query, as the request line has it.
        cnonce: a random word, a new one each time.

    Returns:
        None where the server offers no way that is known here.
    """
    digests = []
    is_basic = False
    for challenge in challenges:
        scheme, _, rest = challenge.strip().partition(" ")
        is_basic = is_basic or scheme.lower() == "basic"
        fields = _read_fields(rest)
        algorithm = fields.get("algorithm", "MD5").upper().removesuffix("-SESS")
        if scheme.lower() == "digest" and algorithm in ALGORITHMS and "nonce" in fields:
            digests.append((ALGORITHMS.index(algorithm), fields))
    if digests:
        return _digest(max(digests, key=lambda item: item[0])[1], login, path, cnonce)
    if is_basic:
        pair = f"{login.user}:{login.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"
    return None


def _read_fields(text: str) -> dict[str, str]:
    fields = {}
    for item in parse_http_list(text):
        name, _, value = item.partition("=")
        fields[name.strip().lower()] = re.sub(r'^"|"$', "", value.strip())
    return fields


def _digest(fields: Mapping[str, str], login: Login, path: str, cnonce: str) -> str:
    """Give the answer to one challenge.

    What the server said is given back and hashed byte by byte, whatever its encoding; the user and
    the password are UTF-8.

    Source: RFC 7616, section 3.4; without qop RFC 2069, section 2.1.2, as old cameras want it.
    """
    name = fields.get("algorithm", "MD5").upper()
    algorithm = name.removesuffix("-SESS").replace("-", "")

    def hashed(*words: str) -> str:
        text = ":".join(words)
        return hashlib.new(algorithm, text.encode("latin-1"), usedforsecurity=False).hexdigest()

    realm, nonce = fields.get("realm", ""), fields["nonce"]
    user, password = (word.encode().decode("latin-1") for word in (login.user, login.password))
    secret = hashed(user, realm, password)
    if name.endswith("-SESS"):
        secret = hashed(secret, nonce, cnonce)
    request = hashed("GET", path)
    answer = {"username": user, "realm": realm, "nonce": nonce, "uri": path}
    text = ", ".join(f'{key}="{_quoted(value)}"' for key, value in answer.items())
    if "qop" in fields:
        response = hashed(secret, nonce, "00000001", cnonce, "auth", request)
        text += f', qop=auth, nc=00000001, cnonce="{cnonce}"'
    else:
        response = hashed(secret, nonce, request)
    text += f', response="{response}"'
    if "algorithm" in fields:
        text += f", algorithm={name}"
    if "opaque" in fields:
        text += f', opaque="{_quoted(fields["opaque"])}"'
    return f"Digest {text}"


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
