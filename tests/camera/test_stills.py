"""Pictures as a source: sorted, named by their place, and honest about what is not a picture."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest
from samples import cut, make_picture

from edge.camera.base import open_source
from edge.errors import InputError


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
    cut(make_picture(picture_folder / "4.jpg"), 0.5)
    frames, unreadable = read_all(picture_folder)
    assert [frame.seq for frame in frames] == list(range(7))
    assert unreadable == 4


def test_folder_is_refused_when_it_holds_no_picture(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(InputError, match="holds no picture"):
        read_all(tmp_path)


def test_folder_is_refused_when_none_of_its_pictures_decodes(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_text("hello")
    with pytest.raises(InputError, match="none of its 3 pictures can be decoded"):
        read_all(tmp_path)


def test_single_picture_is_given_once(tmp_path):
    frames, _ = read_all(make_picture(tmp_path / "one.png", height=48, width=64))
    assert [(frame.file, frame.data.shape) for frame in frames] == [("one.png", (48, 64, 3))]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [("text.jpg", b"hello", "not a picture"), ("empty.png", b"", "not a picture")],
)
def test_single_picture_is_refused_when_it_is_none(tmp_path, file, content, said):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_all(tmp_path / file)


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
