"""What an MQTT address on the command line means, and how it is told without its user."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PORTS = {"mqtt": 1883, "mqtts": 8883}
VARIABLES = {
    name: f"EDGE_MQTT_{name.upper()}" for name in ("username", "password", "ca", "cert", "key")
}
"""What the environment says beside the address."""
HINT = "Give it as in mqtt://host/topic or mqtts://host:8883/topic"
MOST_TOPIC_BYTES = 65_000
"""A topic is 65,535 bytes at most, and each of ours goes on after the one that was given."""

_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """What a person asked of the messages.

    Attributes:
        qos: of each frame: 1 is sent until the broker has it, 0 is sent once.
        buffer: frames that are kept while the broker is away or slow.
        discovery: "homeassistant" to tell Home Assistant what there is to show, or None.
    """

    qos: int = 1
    buffer: int = 4096
    discovery: str | None = None


@dataclass(frozen=True, slots=True)
class Broker:
    """One MQTT broker, and the topic below which edge publishes.

    Attributes:
        host: name or address.
        port: of TCP.
        topic: without a slash at either end.
        name: how it is told of: the address without a user.
        encrypted: whether the line is TLS.
        user: None for nobody.
        password: None for none; never printed.
        ca: file with the certificates to trust; None trusts those of the system.
        cert: file with our own certificate; None for none.
        key: file with the key of `cert`; None where that file holds it too.
        options: see there.
    """

    host: str
    port: int
    topic: str
    name: str
    encrypted: bool = False
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    options: BrokerOptions = BrokerOptions()

    def __str__(self) -> str:
        """Give the name."""
        return self.name


def parse_broker(address: str, environment: Mapping[str, str]) -> Broker:
    """Read an address that a person typed.

    Args:
        address: `mqtt://[user@]host[:port]/topic[?option=value&...]`, or mqtts for TLS.
        environment: `VARIABLES` are read; a user in the address goes before the one there.

    Raises:
        InputError: it is no such address, holds a password, an option is unknown or wrong, or a
            variable would not be obeyed.
    """
    told = _USERINFO.sub("", address)
    parts, port = _split(address, told)
    if parts.password is not None:
        raise InputError(
            f"{told}: a password in the address can be read by everyone on this machine",
            hint="Put it into the environment as EDGE_MQTT_PASSWORD",
        )
    host = _read_host(parts.hostname, told)
    given = {name: environment.get(variable) or None for name, variable in VARIABLES.items()}
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = "" if port == PORTS[parts.scheme] else f":{port}"
    topic = _read_topic(parts.path, told)
    broker = Broker(
        host=host,
        port=port,
        topic=topic,
        name=f"{parts.scheme}://{shown_host}{shown_port}/{topic}",
        encrypted=parts.scheme == "mqtts",
        user=unquote(parts.username) if parts.username else given["username"],
        password=given["password"],
        ca=given["ca"],
        cert=given["cert"],
        key=given["key"],
        options=_read_options(parts.query, told),
    )
    _check_obeyed(broker)
    return broker


def _split(address: str, told: str) -> tuple[SplitResult, int]:
    """Take an address apart; gives its port too."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise InputError(f"{told}: {_USERINFO.sub('', str(error))}", hint=HINT) from error
    if parts.scheme not in PORTS or not address.lower().startswith(f"{parts.scheme}://"):
        raise InputError(f"{told}: is no address of an MQTT broker", hint=HINT)
    if parts.fragment or address.endswith("#"):
        raise InputError(f"{told}: # cannot be in a topic", hint="Write options after a ?")
    if port == 0:
        raise InputError(f"{told}: port 0 is none", hint=HINT)
    return parts, PORTS[parts.scheme] if port is None else port


def _read_host(host: str | None, told: str) -> str:
    if not host:
        raise InputError(f"{told}: names no host", hint=HINT)
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise InputError(f"{told}: no name of a host can be so", hint=HINT) from error
    return host


def _check_obeyed(broker: Broker) -> None:
    """Refuse what would be left out in silence: a line may be less safe then than it was meant."""
    for name, is_obeyed, mend in (
        ("password", broker.user is not None, f"Name its user in {VARIABLES['username']}"),
        ("key", broker.cert is not None, f"Name its certificate in {VARIABLES['cert']}"),
        ("ca", broker.encrypted, "Use mqtts://"),
        ("cert", broker.encrypted, "Use mqtts://"),
    ):
        if getattr(broker, name) is not None and not is_obeyed:
            raise InputError(
                f"{broker}: {VARIABLES[name]} is set and would not be obeyed",
                hint=f"{mend}, or unset it",
            )


def _read_topic(path: str, told: str) -> str:
    topic = unquote(path, errors="surrogateescape").strip("/")
    if not topic:
        raise InputError(f"{told}: names no topic", hint=HINT)
    if "+" in topic or "#" in topic or topic.startswith("$"):
        raise InputError(
            f"{told}: + and # cannot be in a topic, nor $ at its start", hint="Name another topic"
        )
    if _UNPRINTABLE.search(topic) or len(topic.encode("utf-8", "ignore")) > MOST_TOPIC_BYTES:
        raise InputError(f"{told[:80]}: cannot be a topic", hint="Use a few plain words")
    if "//" in topic:
        raise InputError(f"{told}: a level of the topic is empty", hint="Leave the // out")
    return topic


def _whole(least: int, most: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return check


def _homeassistant(text: str) -> str:
    if text != "homeassistant":
        raise ValueError(text)
    return text


Option: TypeAlias = tuple["Callable[[str], Any]", str]
"""The reader of a field of `BrokerOptions`, and what to write."""

OPTIONS: dict[str, Option] = {
    "qos": (_whole(0, 1), "0 or 1"),
    "buffer": (_whole(1, 1_000_000), "a number of frames, as in buffer=4096"),
    "discovery": (_homeassistant, "discovery=homeassistant"),
}


def _read_options(query: str, told: str) -> BrokerOptions:
    options = BrokerOptions()
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in OPTIONS:
            near = get_close_matches(name, OPTIONS, n=1)
            hint = f"Did you mean {near[0]}" if near else f"Use one of: {', '.join(OPTIONS)}"
            raise InputError(f"{told}: unknown option {name}", hint=hint)
        read, form = OPTIONS[name]
        try:
            options = replace(options, **{name: read(text)})
        except ValueError as error:
            raise InputError(
                f"{told}: {name}={text} cannot be used", hint=f"Give {form}"
            ) from error
    return options
