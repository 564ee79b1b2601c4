"""What an MQTT address means, and that no part of it tells a password."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import QUICK

from edge.errors import InputError
from edge.sinks.mqtt_url import BrokerOptions, parse_broker

LEVELS = st.text(
    st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters="/+#"), min_size=1
)
HOSTS = st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9]{0,8}){0,2}", fullmatch=True)


def parse(address, **environment):
    return parse_broker(address, environment)


@given(
    encrypted=st.booleans(),
    host=HOSTS,
    port=st.none() | st.integers(1, 65535),
    levels=st.lists(LEVELS, min_size=1, max_size=4),
    user=st.none() | st.text(st.characters(blacklist_categories=("Cs",)), min_size=1),
    options=st.builds(
        BrokerOptions,
        qos=st.integers(0, 1),
        buffer=st.integers(1, 1_000_000),
        discovery=st.sampled_from([None, "homeassistant"]),
    ),
)
@QUICK
def test_address_that_is_put_together_is_taken_apart_again(
    encrypted, host, port, levels, user, options
):
    topic = "/".join(levels)
    scheme = "mqtts" if encrypted else "mqtt"
    query = f"qos={options.qos}&buffer={options.buffer}"
    query += f"&discovery={options.discovery}" if options.discovery else ""
    who = f"{quote(user, safe='')}@" if user else ""
    where = host if port is None else f"{host}:{port}"
    if topic.startswith("$"):
        return
    broker = parse(f"{scheme}://{who}{where}/{quote(topic)}?{query}")
    assert (broker.encrypted, broker.host, broker.topic) == (encrypted, host, topic)
    assert broker.port == (port or (8883 if encrypted else 1883))
    assert (broker.user, broker.options) == (user, options)
    if port not in {1883, 8883}:
        assert broker.name == f"{scheme}://{where}/{topic}"


@given(
    st.sampled_from(["{}", "mqtt://{}", "mqtt://user:{password}@{}"]),
    st.text(),
    st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=8),
)
@QUICK
def test_any_text_is_an_address_or_refused_in_one_line_that_keeps_its_password(
    form, text, password
):
    try:
        broker = parse(form.format(text, password=password))
    except InputError as refused:
        told = str(refused)
    else:
        told = f"{broker} {broker!r}"
        assert broker.topic.strip("/")
        assert not set("+#\0") & set(broker.topic)
    assert "\n" not in told
    assert password in text or password not in told


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "is no address of an MQTT broker"),
        ("host/topic", "is no address"),
        ("http://host/topic", "is no address"),
        ("mqtt:host/topic", "is no address"),
        ("mqtt://host", "mqtt://host: names no topic. Give it as in mqtt://host/topic"),
        ("mqtt://host/", "names no topic"),
        ("mqtt:///topic", "names no host"),
        ("mqtt://a..b/topic", "mqtt://a..b/topic: no name of a host can be so. Give it as in"),
        (f"mqtt://{'a' * 64}/topic", "no name of a host can be so"),
        ("mqtt://host:0/topic", "port 0 is none"),
        ("mqtt://host:99999/topic", "mqtt://host:99999/topic: Port out of range"),
        ("mqtt://host:a/topic", "Port could not be cast"),
        ("mqtt://ho[st/topic", "mqtt://ho"),
        ("mqtt://host/a/#", "# cannot be in a topic"),
        ("mqtt://host/a#b", "# cannot be in a topic"),
        ("mqtt://host/a%23", "+ and # cannot be in a topic"),
        ("mqtt://host/+/a", "+ and # cannot be in a topic"),
        ("mqtt://host/$SYS/a", "nor $ at its start"),
        ("mqtt://host/a//b", "a level of the topic is empty"),
        ("mqtt://host/a%00b", "cannot be a topic"),
        ("mqtt://host/%ff", "cannot be a topic"),
        ("mqtt://host/" + "a" * 65_001, "cannot be a topic"),
        ("mqtt://host/a?qos=2", "qos=2 cannot be used. Give 0 or 1"),
        ("mqtt://host/a?buffer=0", "buffer=0 cannot be used"),
        ("mqtt://host/a?discovery=openhab", "discovery=openhab cannot be used"),
        ("mqtt://host/a?discover=homeassistant", "unknown option discover. Did you mean discovery"),
        ("mqtt://host/a?x=1", "Use one of: qos, buffer, discovery"),
    ],
)
def test_bad_address_is_refused_and_says_why(address, said):
    with pytest.raises(InputError) as refused:
        parse(address)
    assert said in str(refused.value)
    assert len(str(refused.value)) < 250


def test_password_in_the_address_is_refused_and_not_told():
    with pytest.raises(InputError) as refused:
        parse("mqtt://me:S3cret@host/door")
    assert str(refused.value) == (
        "mqtt://host/door: a password in the address can be read by everyone on this machine."
        " Put it into the environment as EDGE_MQTT_PASSWORD"
    )


def test_user_password_and_certificates_come_from_the_environment_and_are_not_printed():
    broker = parse(
        "mqtts://host/door", EDGE_MQTT_USERNAME="me", EDGE_MQTT_PASSWORD="S3cret",
        EDGE_MQTT_CA="ca.pem", EDGE_MQTT_CERT="me.pem", EDGE_MQTT_KEY="me.key",
    )  # fmt: skip
    assert (broker.user, broker.password) == ("me", "S3cret")
    assert (broker.ca, broker.cert, broker.key) == ("ca.pem", "me.pem", "me.key")
    assert "S3cret" not in f"{broker} {broker!r}"


@pytest.mark.parametrize(
    ("address", "name", "mend"),
    [
        ("mqtt://host/door", "EDGE_MQTT_PASSWORD", "Name its user in EDGE_MQTT_USERNAME"),
        ("mqtts://host/door", "EDGE_MQTT_KEY", "Name its certificate in EDGE_MQTT_CERT"),
        ("mqtt://host/door", "EDGE_MQTT_CA", "Use mqtts://"),
        ("mqtt://host/door", "EDGE_MQTT_CERT", "Use mqtts://"),
    ],
)
def test_variable_that_would_not_be_obeyed_is_refused(address, name, mend):
    with pytest.raises(InputError) as refused:
        parse(address, **{name: "S3cret"})
    assert str(refused.value) == (
        f"{address}: {name} is set and would not be obeyed. {mend}, or unset it"
    )


def test_user_in_the_address_goes_before_the_environment():
    broker = parse("mqtt://you@host/door", EDGE_MQTT_USERNAME="me")
    assert (broker.user, broker.name) == ("you", "mqtt://host/door")


def test_address_of_ipv6_keeps_its_brackets_where_it_is_told():
    broker = parse("mqtt://[::1]:1884/door")
    assert (broker.host, broker.port, broker.name) == ("::1", 1884, "mqtt://[::1]:1884/door")
