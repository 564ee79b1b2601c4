"""What a word on the command line means as a source, and that its password stays out of sight."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.camera.base import SOURCES
from edge.camera.url import SourceOptions, parse_source, redact
from edge.errors import InputError


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("demo", "demo"),
        ("0", "v4l2"),
        ("12", "v4l2"),
        ("/dev/video0", "v4l2"),
        ("/dev/video77", "v4l2"),
        ("v4l2:///dev/video3", "v4l2"),
        ("by-id", "v4l2"),
        ("csi://0", "csi"),
        ("rtsp://host/live", "rtsp"),
        ("rtsps://host:322/live", "rtsp"),
        ("HTTP://host/stream", "http"),
        ("https://host:8443/stream", "http"),
        ("gst:videotestsrc ! identity", "gst"),
        ("folder", "stills"),
        ("folder/.", "stills"),
        ("folder/*.jpg", "stills"),
        ("absent.JPG", "stills"),
        ("a.webp", "stills"),
        ("clip.mp4", "video"),
        ("clip[1].mp4", "video"),
        ("no-suffix", "video"),
        ("./demo", "stills"),
        ("./0", "video"),
    ],
)
def test_word_means_a_kind_of_source(name, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "demo").mkdir()
    (tmp_path / "by-id").symlink_to("/dev/null")
    for file in ("clip.mp4", "clip[1].mp4", "no-suffix", "0"):
        (tmp_path / file).touch()
    assert parse_source(name).kind == kind


@pytest.mark.parametrize("name", ["absent", "absent.mp4", "/dev/video", "/dev/null/x", "", " "])
def test_word_that_is_nothing_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such source"):
        parse_source(name)


@pytest.mark.parametrize("word", ["0", "/dev/video0", "v4l2:///dev/video0", "v4l2://0"])
def test_each_name_of_a_camera_means_its_device(word):
    url = parse_source(word)
    assert (url.target, url.name) == ("/dev/video0", "/dev/video0")


def test_options_are_read_with_their_types():
    url = parse_source("v4l2:///dev/video0?format=mjpg&size=1280x720&fps=30&timeout=2.5")
    assert url.options == SourceOptions(format="MJPG", size=(1280, 720), fps=30.0, timeout_s=2.5)
    assert parse_source("csi://1?flip=2&size=1920x1080").options.flip == 2


def test_query_of_a_network_address_is_the_cameras_own_and_ours_stands_behind_a_hash():
    url = parse_source("rtsp://host/live?channel=1#transport=udp&decoder=gstreamer&latency=20")
    assert url.target == "rtsp://host/live?channel=1"
    options = url.options
    assert (options.transport, options.decoder, options.latency_ms) == ("udp", "gstreamer", 20)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("v4l2:///dev/video0?formt=MJPG", "unknown option formt. Did you mean format?"),
        ("csi://0?format=MJPG", "unknown option format. Use one of: size, fps, flip, timeout"),
        ("csi://0?size=big", "size=big cannot be used. Give width and height, as in size=1280x720"),
        ("csi://0?size=0x720", "size=0x720 cannot be used"),
        ("csi://0?flip=9", "flip=9 cannot be used. Give a number from 0 to 7"),
        ("v4l2:///dev/video0?fps=-1", "fps=-1 cannot be used"),
        ("v4l2:///dev/video0?fps=nan", "fps=nan cannot be used"),
        ("rtsp://h/x#transport=smoke", "transport=smoke cannot be used. Give tcp or udp"),
        ("rtsp://h/x#latency=-1", "latency=-1 cannot be used"),
        ("csi://front", "names no camera"),
        ("csi://1#fps=30", "do not stand behind a #. Put them behind a ?, as in csi://1?fps=30"),
        ("v4l2:///dev/video0#fps=30", "as in v4l2:///dev/video0?fps=30"),
        ("/dev/video0?size=640x480", "is written as a URL. Give v4l2:///dev/video0?size=640x480"),
        ("2?fps=30", "Give v4l2:///dev/video2?fps=30"),
        ("v4l2:///dev/sda", "names no camera"),
        ("rtsp:///live", "names no host"),
        ("rtsp://host:99999/live", "Port out of range"),
        ("ftp://host/film.mp4", "ftp:// is no source that edge reads"),
        ("gst:", "gst: names no pipeline"),
        ("gst:  ", "gst: names no pipeline"),
    ],
)
def test_what_cannot_be_used_is_named(word, said):
    with pytest.raises(InputError) as refused:
        parse_source(word)
    assert said in str(refused.value)


SECRET = st.text("abcXYZ019.~-+@:% '\"", min_size=4, max_size=12).map(lambda text: f"S3{text}cr")


@given(SECRET, st.sampled_from(["rtsp", "rtsps", "http", "https"]))
def test_password_of_an_address_is_never_printed(secret, scheme):
    url = parse_source(f"{scheme}://admin:{secret}@cam.local:554/live")
    assert secret in url.target
    assert secret not in f"{url} {url!r} {url.name}"
    assert "admin" not in url.name
    assert url.name == f"{scheme}://cam.local:554/live"


@pytest.mark.parametrize(
    "word",
    [
        "http://cam/stream?user=a&password=S3cret&channel=1",
        "http://cam/stream?token=S3cret",
        "http://cam/stream?token=ab/S3cret+/c==",
        "http://cam/videostream.cgi?loginuse=admin&loginpas=S3cret",
        "http://cam/stream?usr=admin&pw=S3cret",
        "rtsp://cam:554/user=admin_password=S3cret_channel=1_stream=0.sdp",
        "gst:rtspsrc location=rtsp://admin:S3cret@cam/live ! decodebin",
        "gst:rtspsrc location=rtsp://cam/live user-id=admin user-pw=S3cret ! decodebin",
        'gst:rtspsrc user-pw="S3cret" location=rtsp://cam/live ! decodebin',
        "rtsp://admin:S3cret@cam/x#transport=smoke",
        "rtsp://admin:S3cret@cam:99999/x",
        "rtsp://admin:a S3cret@cam:99999/x",
        "ftp://admin:S3cret@cam/x",
    ],
)
def test_secret_is_left_out_wherever_it_stands(word):
    try:
        told = repr(parse_source(word))
    except InputError as error:
        told = f"{error} {error!r}"
    assert "S3cret" not in told
    assert "cam" in told


@pytest.mark.parametrize(
    "word",
    [
        "rtsp://admin:S3/cret@cam/x",
        "rtsp://admin:S3?cret@cam/x",
        "http://admin:S3#cret@cam/x",
        "http://admin:12#S3cret@cam/x",
        "http://ad@min:S3/cr@et@cam/x",
    ],
)
def test_password_that_is_not_percent_encoded_is_not_printed_either(word):
    with pytest.raises(InputError) as refused:
        parse_source(word)
    assert str(refused.value) == (
        f"{word[:7]}cam/x: its user or password holds a /, ? or # as it is."
        " Write %2F for /, %3F for ?, %23 for #"
    )


def test_what_is_no_secret_is_kept():
    text = "rtsp://host/live?channel=1&subtype=0 ! decodebin name=author"
    assert redact(text) == text


@given(st.text(max_size=200))
def test_no_word_makes_the_reader_fail(word):
    with suppress(InputError):
        assert parse_source(word).kind in SOURCES
