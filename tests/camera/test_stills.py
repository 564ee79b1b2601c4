"""Pictures as a source: sorted, named by their place, and honest about what is not a picture."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest
from doubles import DEADLINE_S
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import cut, make_picture
from strategies import QUICK

from edge.camera.base import open_source
from edge.camera.jpeg_head import read_plain_jpeg
from edge.errors import InputError
from edge.image import decode, to_pixels


def read_all(name):
    with open_source(str(name)) as source:
        frames = []
        while (frame := source.read()) is not None:
            frames.append(frame)
        return frames, source.unreadable


def test_folder_gives_its_pictures_sorted_and_named_below_it(tmp_path):
    for name in ("b/2.png", "a.JPG", "b/10.bmp", "b/c/1.webp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        make_picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    frames, unreadable = read_all(tmp_path)
    assert [frame.file for frame in frames] == ["a.JPG", "b/10.bmp", "b/2.png", "b/c/1.webp"]
    assert unreadable == 0


def test_folder_gives_the_pictures_pixels(tmp_path):
    for seed in range(3):
        make_picture(tmp_path / f"{seed}.png", seed=seed)
    frames, _ = read_all(tmp_path)
    for seed, frame in enumerate(frames):
        assert np.array_equal(frame.data, cv2.imread(str(tmp_path / f"{seed}.png")))


def test_folder_skips_and_counts_what_does_not_decode(picture_folder):
    (picture_folder / "0-text.jpg").write_text("hello")
    (picture_folder / "2-empty.png").touch()
    (picture_folder / "9-folder.jpg").mkdir()
    cut(make_picture(picture_folder / "4.webp"), 0.5)
    frames, unreadable = read_all(picture_folder)
    assert [frame.seq for frame in frames] == list(range(7))
    assert unreadable == 4


def test_folder_does_not_wait_for_a_named_pipe(edge, picture_folder):
    os.mkfifo(picture_folder / "0.jpg")
    done = edge("run", picture_folder, "--engine", "null", timeout=DEADLINE_S)
    assert " 0 dropped, 1 unreadable in" in done.stdout, done.stderr


def test_folder_leaves_a_damaged_jpeg_to_whoever_decodes_it(tmp_path):
    cut(make_picture(tmp_path / "4.jpg"), 0.7)
    frames, unreadable = read_all(tmp_path)
    assert (len(frames), unreadable) == (2, 0)
    with pytest.raises(InputError, match="damaged"):
        to_pixels(frames[1].data)


def test_folder_is_refused_when_it_holds_no_picture(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(InputError, match="holds no picture"):
        read_all(tmp_path)


def test_folder_without_a_picture_that_decodes_gives_nothing_and_counts(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_text("hello")
    assert read_all(tmp_path) == ([], 3)


def test_glob_gives_the_pictures_it_matches_sorted_and_named_below_its_folder(tmp_path):
    for name in ("b/2.png", "b/10.png", "a/1.jpg", "c/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        make_picture(tmp_path / name)
    (tmp_path / "b" / "notes.txt").write_text("no picture")
    assert files_of(tmp_path / "[ab]" / "*") == ["a/1.jpg", "b/10.png", "b/2.png"]
    assert files_of(tmp_path / "b" / "?.png") == ["2.png"]
    assert files_of(tmp_path / "**" / "*.png") == ["b/10.png", "b/2.png", "c/3.png"]


def test_glob_counts_from_here_when_it_names_no_folder(tmp_path, monkeypatch):
    make_picture(tmp_path / "one.png")
    monkeypatch.chdir(tmp_path)
    assert files_of("*.png") == ["one.png"]


def files_of(pattern) -> list[str]:
    frames, _ = read_all(pattern)
    return [frame.file for frame in frames]


@pytest.mark.parametrize("pattern", ["*.jpg", "absent/*", "*.txt", "[", "**"])
def test_glob_is_refused_when_it_matches_no_picture(tmp_path, pattern):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(InputError, match=r"matches no picture\. Give a pattern in quotes"):
        read_all(tmp_path / pattern)


def test_folder_and_file_with_brackets_in_their_names_are_no_globs(tmp_path):
    (tmp_path / "[ab]").mkdir()
    picture = make_picture(tmp_path / "[ab]" / "one*.png")
    assert files_of(picture.parent) == files_of(picture) == ["one*.png"]


def write_jpeg(path, mode="RGB", **options):
    """Write a JPEG of many edges as Pillow does, which knows more of the format than OpenCV."""
    rng = np.random.default_rng(0)
    gray = mode == "L"
    coarse = rng.integers(0, 256, (12, 16) if gray else (12, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(cv2.resize(coarse, (203, 150))).convert(mode)
    picture.save(path, **{"quality": 90, **options})
    return path


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


PLAIN = {
    "baseline": {},
    "progressive": {"progressive": True},
    "gray": {"mode": "L"},
    "no subsampling": {"subsampling": "4:4:4"},
    "half subsampling": {"subsampling": "4:2:2"},
    "upright": {"exif": exif(1)},
    "restarts": {"restart_marker_blocks": 3},
}
OTHERS = {
    **{f"orientation {turn}": {"exif": exif(turn)} for turn in range(2, 9)},
    "CMYK": {"mode": "CMYK"},
    "RGB": {"keep_rgb": True},
}


@pytest.mark.parametrize("options", PLAIN.values(), ids=PLAIN)
def test_plain_jpeg_is_given_coded_and_decodes_to_the_same_pixels(tmp_path, options):
    path = write_jpeg(tmp_path / "one.jpg", **options)
    (frame,), _ = read_all(tmp_path)
    assert frame.data.coded == path.read_bytes()
    assert frame.size == (203, 150)
    assert np.array_equal(to_pixels(frame.data), decode(path))


@pytest.mark.parametrize("options", OTHERS.values(), ids=OTHERS)
def test_other_jpeg_is_decoded_whole(tmp_path, options):
    path = write_jpeg(tmp_path / "one.jpg", **options)
    (frame,), _ = read_all(tmp_path)
    assert np.array_equal(frame.data, decode(path))


def test_jpeg_that_promises_more_pixels_than_there_can_be_is_counted(tmp_path):
    coded = bytearray(write_jpeg(tmp_path / "one.jpg").read_bytes())
    at = coded.index(b"\xff\xc0")
    coded[at + 5 : at + 9] = b"\xff\xdc" * 2
    (tmp_path / "one.jpg").write_bytes(coded)
    assert read_all(tmp_path) == ([], 1)


@QUICK
@given(st.data())
def test_damaged_head_of_a_jpeg_never_raises(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "turned.jpg"
    coded = bytearray(write_jpeg(path, exif=exif(6)).read_bytes()[:700])
    for at, value in data.draw(st.dictionaries(st.integers(0, 699), st.integers(0, 255))).items():
        coded[at] = value
    jpeg = read_plain_jpeg(bytes(coded[: data.draw(st.integers(0, 700))]))
    assert jpeg is None or (jpeg.height > 0 and jpeg.width > 0)


def test_single_picture_is_given_once(tmp_path):
    frames, _ = read_all(make_picture(tmp_path / "one.png", height=48, width=64))
    assert [(frame.file, frame.data.shape) for frame in frames] == [("one.png", (48, 64, 3))]


def test_single_jpeg_is_decoded_at_once_and_only_once(tmp_path):
    path = write_jpeg(tmp_path / "one.jpg")
    pixels = decode(path)
    with open_source(str(path)) as source:
        path.unlink()
        frame = source.read()
        assert np.array_equal(frame.data, pixels)
        assert frame.decode_ns > 0
        assert source.read() is None


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [("text.jpg", b"hello", "not a picture"), ("empty.png", b"", "not a picture")],
)
def test_single_picture_is_refused_when_it_is_none(tmp_path, file, content, said):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_all(tmp_path / file)


def test_damaged_jpeg_is_refused_alone_as_it_is_in_a_folder(edge, tmp_path):
    """OpenCV would show what is left of it, and libjpeg would write to stderr itself."""
    path = write_jpeg(tmp_path / "one.jpg")
    coded = path.read_bytes()
    path.write_bytes(coded[: len(coded) // 2] + coded[len(coded) * 2 // 3 :])
    done = edge("run", path.name, "--engine", "null")
    assert done.stderr == (
        "edge: one.jpg: not a picture, or a damaged one. Give a JPEG, PNG, WebP or BMP file\n"
    )
    (frame,), _ = read_all(tmp_path)
    with pytest.raises(InputError):
        to_pixels(frame.data)


def test_single_picture_is_refused_when_it_is_absent(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_all(tmp_path / "absent.jpg")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff", "webp", "bmp"])
def test_cut_picture_is_refused_in_one_line_when_run(edge, tmp_path, suffix):
    """libpng and OpenCV would write to stderr themselves."""
    short = cut(make_picture(tmp_path / f"photo.{suffix}"), 0.6)
    done = edge("run", short.name, "--engine", "null")
    assert done.returncode == 1
    assert done.stderr == (
        f"edge: {short.name}: not a picture, or a damaged one. Give a JPEG, PNG, WebP or BMP file\n"
    )


def test_gray_and_transparent_pictures_become_bgr(tmp_path):
    cv2.imwrite(str(tmp_path / "gray.png"), np.full((20, 30), 77, np.uint8))
    cv2.imwrite(str(tmp_path / "alpha.png"), np.full((20, 30, 4), 99, np.uint8))
    frames, _ = read_all(tmp_path)
    assert [frame.data.shape for frame in frames] == [(20, 30, 3)] * 2
    assert (frames[1].data == 77).all()


def test_picture_with_a_name_that_is_no_text_is_classified(edge, tmp_path):
    """Old cameras and other systems leave names that are not UTF-8."""
    (tmp_path / "photos").mkdir()
    plain = make_picture(tmp_path / "photos" / "plain.png")
    plain.rename(plain.with_name(os.fsdecode(b"\xe9t\xe9.png")))
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = edge("run", "photos", "--engine", "null", "--json", "out.jsonl", env=strict)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\udce9t\\udce9.png: " in done.stdout
    row = json.loads((tmp_path / "out.jsonl").read_bytes())
    assert os.fsencode(row["file"]) == b"\xe9t\xe9.png"
