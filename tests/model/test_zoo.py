"""Models by name: what ships is what the catalogue says, what is fetched is what was pinned."""

from __future__ import annotations

import os
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from networks import told

from edge.assets import user_folder
from edge.errors import InputError, ModelError, UnavailableError
from edge.files import sha256_file
from edge.model.download import download
from edge.model.onnx_file import load_model
from edge.model.pull import pull_model
from edge.model.zoo import find_model, list_models, resolve_model

DEADLINE_S = 30
DATA = np.random.default_rng(0).bytes(300_000)
FILES = {"squeezenet1.0": "squeezenet1.0-deepcompression.net"}
FILES["squeezenet1.1"] = "squeezenet1.1.ncnn.bin"


def silent(done: int, total: int) -> None:
    """Take the progress and show nothing."""


@dataclass
class Origin:
    """A web server on this machine, and how it is to behave.

    `cut_after` ends each answer after so many bytes: the line is closed, or, once the client says
    that it has `received` something, reset as a router does that forgot it.
    """

    data: bytes = DATA
    status: int = 200
    knows_ranges: bool = True
    cut_after: int | None = None
    received: threading.Event | None = None
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""


class Answers(BaseHTTPRequestHandler):
    """Answers as the server's `origin` says."""

    def do_GET(self) -> None:
        origin: Origin = self.server.origin
        asked = self.headers.get("Range")
        origin.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if not origin.knows_ranges:
            start = 0
        if origin.status == 200 and start >= len(origin.data):
            self.send_error(416)
        elif origin.status != 200:
            self.send_error(origin.status)
        else:
            self.send(origin, start)

    def send(self, origin: Origin, start: int) -> None:
        body = origin.data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: origin.cut_after])
        if origin.cut_after is not None and origin.received is not None:
            assert origin.received.wait(DEADLINE_S)
            at_once = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            os.close(self.connection.detach())

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def origin(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.origin = Origin(url=f"http://127.0.0.1:{server.server_port}/model.bin")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.origin
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def part(tmp_path):
    return tmp_path / "model.part"


def refusal(origin, part, kind=UnavailableError) -> str:
    with pytest.raises(kind) as caught:
        download(origin.url, part, len(DATA), silent)
    return told(caught)


def test_download_takes_the_whole_file_and_counts_up_to_its_size(origin, part):
    seen = []
    download(origin.url, part, len(DATA), lambda done, total: seen.append((done, total)))
    assert part.read_bytes() == DATA
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (len(DATA), len(DATA))
    assert origin.ranges == [None]


def test_download_asks_only_for_the_missing_bytes_when_a_part_is_there(origin, part):
    part.write_bytes(DATA[:123_456])
    download(origin.url, part, len(DATA), silent)
    assert part.read_bytes() == DATA
    assert origin.ranges == ["bytes=123456-"]


def test_download_asks_nothing_when_the_file_is_whole(origin, part):
    part.write_bytes(DATA)
    download(origin.url, part, len(DATA), silent)
    assert origin.ranges == []


AGAIN = "Check the network and run it again, it goes on where it stopped"


def test_download_keeps_its_part_when_the_line_is_closed_and_goes_on_next_time(origin, part):
    origin.cut_after = 100_000
    line = refusal(origin, part)
    assert line == f"{origin.url}: stopped after 100,000 of 300,000 bytes. {AGAIN}"
    assert part.read_bytes() == DATA[:100_000]
    origin.cut_after = None
    download(origin.url, part, len(DATA), silent)
    assert part.read_bytes() == DATA
    assert origin.ranges == [None, "bytes=100000-"]


def test_download_keeps_its_part_when_the_line_is_reset_and_goes_on_next_time(origin, part):
    """A fault of the line in the middle of a piece must not be told as one of the disk."""
    origin.cut_after, origin.received = 100_000, threading.Event()
    with pytest.raises(UnavailableError) as caught:
        download(origin.url, part, len(DATA), lambda *_: origin.received.set())
    assert told(caught).startswith(f"{origin.url}: cannot be reached (")
    assert told(caught).endswith(f"reset by peer). {AGAIN}")
    kept = part.read_bytes()
    assert kept
    assert DATA.startswith(kept)
    origin.cut_after = None
    download(origin.url, part, len(DATA), silent)
    assert part.read_bytes() == DATA
    assert origin.ranges == [None, f"bytes={len(kept)}-"]


def test_download_begins_anew_when_the_origin_knows_no_ranges(origin, part):
    part.write_bytes(b"x" * 1000)
    origin.knows_ranges = False
    download(origin.url, part, len(DATA), silent)
    assert part.read_bytes() == DATA


def test_download_takes_no_more_than_the_size_it_was_told(origin, part):
    download(origin.url, part, 70_000, silent)
    assert part.read_bytes() == DATA[:70_000]


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (500, "500 Internal")])
def test_download_names_the_answer_when_the_origin_refuses(origin, part, status, words):
    part.write_bytes(DATA[:10])
    origin.status = status
    assert f"{origin.url}: answered {words}" in refusal(origin, part)
    assert part.read_bytes() == DATA[:10]


def test_download_drops_a_part_that_is_longer_than_the_origins_file(origin, part):
    """Kept, it would be answered with 416 for ever."""
    part.write_bytes(b"x" * 2000)
    origin.data = DATA[:1000]
    assert "answered 416" in refusal(origin, part)
    origin.data = DATA
    download(origin.url, part, len(DATA), silent)
    assert part.read_bytes() == DATA


def test_download_names_the_address_when_nobody_listens(part):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UnavailableError) as caught:
        download(f"http://127.0.0.1:{port}/m", part, 10, silent)
    assert told(caught).startswith(f"http://127.0.0.1:{port}/m: cannot be reached (")
    assert "refused" in told(caught)


@pytest.mark.parametrize(
    "url", ["", "model.onnx", "file:///etc/passwd", "ftp://host/m", "http://[::1", "http://.x/m"]
)
def test_download_refuses_what_is_no_web_address(part, url):
    with pytest.raises(InputError) as caught:
        download(url, part, 10, silent)
    assert told(caught).startswith(f"{url}: not a web address")
    assert not part.exists()


def test_download_names_the_file_when_it_cannot_be_written(origin, tmp_path):
    line = refusal(origin, tmp_path / "none" / "m.part", InputError)
    assert line.startswith(f"{tmp_path}/none/m.part: no such file or folder. ")


@pytest.mark.shared_data
@pytest.mark.parametrize("name", sorted(FILES))
def test_pull_fetches_checks_and_imports_a_model_from_a_mirror(origin, shared_data, name):
    origin.data = (shared_data / "models" / FILES[name]).read_bytes()
    path = pull_model(name, url=origin.url, progress=silent)
    assert path == resolve_model(name) == find_model(name).path()
    assert load_model(path).contract.name == name
    assert [item.name for item in user_folder("models").iterdir()] == [f"{name}.onnx"]


def test_pull_deletes_and_names_what_has_another_hash(origin):
    name = "squeezenet1.0"
    origin.data = bytes(find_model(name).size_bytes)
    with pytest.raises(ModelError) as caught:
        pull_model(name, url=origin.url, progress=silent)
    line = told(caught)
    assert line.startswith(f"{name}: what {origin.url} sent has another sha256 than edge expects")
    assert list(user_folder("models").iterdir()) == []


def test_pull_leaves_its_part_and_no_model_when_the_line_is_cut(origin):
    origin.cut_after = 1000
    with pytest.raises(UnavailableError):
        pull_model("squeezenet1.1", url=origin.url, progress=silent)
    (left,) = user_folder("models").iterdir()
    assert left.read_bytes() == DATA[:1000]
    with pytest.raises(ModelError):
        resolve_model("squeezenet1.1")


@pytest.mark.parametrize("url", [None, "mirror"])
def test_pull_gives_a_bundled_model_without_asking_anybody(origin, url):
    path = pull_model("squeezenet8", url=url and origin.url, progress=silent)
    assert path == find_model("squeezenet8").path()
    assert origin.ranges == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("squeezenet8-int", "Did you mean squeezenet8-int8?"),
        ("squeezent1.0", "Did you mean squeezenet1.0?"),
        ("yolo", "See: edge models list"),
    ],
)
def test_find_suggests_the_nearest_name(name, hint):
    for search in (find_model, resolve_model):
        with pytest.raises(ModelError) as caught:
            search(name)
        assert told(caught) == f"{name}: no such model file or name. {hint}"


def test_resolve_tells_the_pull_command_when_a_model_is_not_here_yet():
    with pytest.raises(ModelError) as caught:
        resolve_model("squeezenet1.0")
    assert told(caught) == (
        "squeezenet1.0: not on this machine yet. Run: edge models pull squeezenet1.0"
    )


def test_resolve_gives_a_path_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yolo").write_bytes(b"")
    for name in ("yolo", "none.onnx", "folder/squeezenet8"):
        assert str(resolve_model(name)) == name


@pytest.mark.parametrize("entry", list_models(), ids=lambda entry: entry.name)
def test_catalogue_entry_is_complete_and_true(entry):
    assert entry.licence
    assert entry.summary
    assert (entry.file is None) != (entry.url is None)
    if entry.url:
        assert entry.url.startswith("https://")
        assert len(entry.sha256) == 64
    else:
        assert entry.path().stat().st_size == entry.size_bytes
        assert sha256_file(entry.path()) == entry.sha256
        model = load_model(entry.path())
        assert model.contract.name == entry.name
        assert model.contract.licence == entry.licence
        assert model.is_int8 == entry.name.endswith("-int8")
