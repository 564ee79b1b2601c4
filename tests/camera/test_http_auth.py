"""Basic and Digest: the examples of the standards, and what cameras make of them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import QUICK

from edge.camera.http_auth import Login, authorize

NEW = Login("Mufasa", "Circle of Life")
OPAQUE = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"


def challenge(algorithm: str) -> str:
    return (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm},'
        f' nonce="{NONCE}", opaque="{OPAQUE}"'
    )


MD5, SHA256 = challenge("MD5"), challenge("SHA-256")


@pytest.mark.parametrize(
    ("offered", "response"),
    [
        ([MD5], "8ca523f5e9506fed4657c9700eebdbec"),
        ([SHA256], "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ([SHA256, MD5], "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        (['Basic realm="x"', MD5], "8ca523f5e9506fed4657c9700eebdbec"),
    ],
)
def test_digest_answers_as_the_example_of_rfc_7616(offered, response):
    header = authorize(offered, NEW, "/dir/index.html", CNONCE)
    assert f'response="{response}"' in header
    assert f'opaque="{OPAQUE}"' in header
    assert "qop=auth, nc=00000001" in header


def test_digest_without_qop_answers_as_the_example_of_rfc_2069():
    offered = (
        'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
        ' opaque="5ccc069c403ebaf9f0171e9517f40e41"'
    )
    header = authorize([offered], Login("Mufasa", "CircleOfLife"), "/dir/index.html", "x")
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in header
    assert "qop" not in header
    assert "algorithm" not in header


def test_basic_answers_as_the_example_of_rfc_7617():
    header = authorize(['Basic realm="WallyWorld"'], Login("Aladdin", "open sesame"), "/", "x")
    assert header == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


@pytest.mark.parametrize("offered", [[], ["Negotiate"], ["Digest nonce=x, algorithm=MD2"], [""]])
def test_unknown_ways_are_not_answered(offered):
    assert authorize(offered, NEW, "/", "x") is None


def test_login_is_not_printed():
    assert "Circle" not in repr(NEW)
    assert "Mufasa" not in repr(NEW)


def test_digest_gives_a_realm_back_byte_by_byte_and_hashes_the_same_bytes():
    """A camera that is named in its own language, and a user of that language."""
    realm, user, password = ("Küche 厨房".encode(), "josé".encode(), "pässwörd".encode())
    offered = b'Digest realm="%b", nonce="n"' % realm
    login = Login(user.decode(), password.decode())
    header = authorize([offered.decode("latin-1")], login, "/", "x").encode("latin-1")

    def hashed(text):
        return hashlib.md5(text, usedforsecurity=False).hexdigest().encode()

    response = hashed(hashed(user + b":" + realm + b":" + password) + b":n:" + hashed(b"GET:/"))
    assert b'username="%b", realm="%b"' % (user, realm) in header
    assert b'response="%b"' % response in header


AS_HTTP_GIVES_IT = st.text(st.characters(max_codepoint=255))


@QUICK
@given(AS_HTTP_GIVES_IT | AS_HTTP_GIVES_IT.map("Digest nonce=a, ".__add__))
def test_no_challenge_raises(offered):
    header = authorize([offered], NEW, "/", "x")
    assert header is None or header.startswith(("Basic ", "Digest "))
