"""Who may look at the live view, and what every answer carries."""

from __future__ import annotations

import pytest
from viewers import Viewer, ask, open_view, port_of

from edge.errors import InputError

TOKEN = "correct horse battery"
PATHS = ("/", "/page.js", "/events", "/pictures/0", "/nothing")


@pytest.fixture
def local():
    with open_view() as sink:
        yield sink


@pytest.fixture
def guarded():
    with open_view("0.0.0.0:0") as sink:
        yield sink


@pytest.mark.parametrize("path", ["/", "/page.css", "/events", "/pictures/0", "/nothing"])
def test_every_answer_carries_the_headers(local, path):
    headers = ask(local, path, method="HEAD").headers
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Server"] == "edge"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/", "/events", "/pictures/0"])
def test_nothing_but_reading_is_allowed(local, method, path):
    answer = ask(local, path, method=method)
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD"}


STRANGE_PATHS = [
    "/page", "/page/", "/page.html", "/../server.py", "/page/../server.py", "/%2e%2e/sink.py",
    "//etc/passwd", "/pictures/", "/pictures/-1", "/pictures/99999",
]  # fmt: skip


@pytest.mark.parametrize("path", STRANGE_PATHS)
def test_only_the_named_files_are_there(local, path):
    assert ask(local, path).status == 404


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:80", "LOCALHOST:8080", "127.0.0.1", "127.0.0.5:1", "[::1]:8080"],
)
def test_names_of_this_machine_are_answered(local, host):
    assert ask(local, "/", Host=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "192.0.2.9", "[", ""]
)
def test_stranger_name_that_points_here_is_refused(local, host):
    """A page elsewhere can let its own name point at 127.0.0.1 (DNS rebinding)."""
    for path in PATHS:
        assert ask(local, path, Host=host).status == 403


@pytest.mark.parametrize("path", PATHS)
def test_network_needs_the_token_for_everything(guarded, path):
    answer = ask(guarded, path)
    assert answer.status == 401
    assert "token" in answer.body.decode()
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("wrong", ["", "x", "%c3%a4", "%ff", "a&token=b"])
def test_wrong_token_is_refused(guarded, wrong):
    assert ask(guarded, f"/?token={wrong}").status == 401


def test_url_with_its_token_opens_the_page_and_leaves_a_cookie(guarded):
    token = guarded.url.split("?token=")[1]
    assert len(token) >= 32
    answer = ask(guarded, f"/?token={token}")
    assert answer.status == 200
    cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} == set(attributes)
    assert cookie.startswith(f"edge-{port_of(guarded)}=")
    assert token not in cookie
    assert ask(guarded, "/page.js", Cookie=cookie).status == 200
    assert ask(guarded, "/page.js", Cookie=f"{cookie}x").status == 401


def test_cookie_that_is_no_text_is_refused_as_any_other(guarded):
    assert ask(guarded, "/", Cookie=f"edge-{port_of(guarded)}=\xff").status == 401


def test_two_views_have_two_tokens(guarded):
    with open_view("0.0.0.0:0") as other:
        assert other.url.split("token=")[1] != guarded.url.split("token=")[1]


def test_token_of_a_person_is_needed_everywhere_and_not_printed():
    with open_view(token=TOKEN) as sink:
        assert "token" not in sink.url
        assert ask(sink, "/").status == 401
        answer = ask(sink, "/?token=correct+horse+battery")
        assert answer.status == 200
        with Viewer(sink, Cookie=answer.headers["Set-Cookie"].split(";")[0]) as viewer:
            assert viewer.wait_for("run")["model"] == "small"


def test_token_that_can_be_guessed_is_refused():
    with (
        pytest.raises(InputError, match="EDGE_WEB_TOKEN: shorter than 12"),
        open_view(token="hunter2"),
    ):
        pass
