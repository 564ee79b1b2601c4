"""The set that comes with edge: the same pictures everywhere, made of the demo's photographs."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from samples import make_picture

from edge.camera.demo import list_photographs
from edge.errors import InputError
from edge.files import sha256_file
from edge.model.onnx_file import load_model
from edge.model.zoo import resolve_model
from edge.quant.dataset import DEMO, open_calibration_set
from edge.quant.doubts import find_doubts
from edge.quant.picture import Picture

SHA256 = "799dc04c691d1321fc5797b7b20415e24baa3d1b24b730127e699448d0553aaf"
"""Of the 135 pictures; another one says that models calibrated on the demo change."""


@pytest.fixture(scope="module")
def demo():
    return open_calibration_set(DEMO)


def test_demo_is_the_same_set_everywhere(demo):
    assert (len(demo.pictures), demo.copies, demo.unreadable) == (135, 0, 0)
    assert (demo.source, demo.sha256) == (DEMO, SHA256)
    assert len({path.name for path in demo.files}) == len(list_photographs())


def test_demo_shows_squares_that_lie_inside_their_photographs(demo):
    for picture in demo.pictures[::7]:
        assert picture.decode().shape == (picture.box[2], picture.box[3], 3)


def test_demo_leaves_no_doubt_for_the_default_model(demo):
    assert find_doubts(demo, load_model(resolve_model("squeezenet8"))) == []


def test_folder_named_demo_is_a_folder(picture_folder, tmp_path, monkeypatch):
    picture_folder.rename(tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    assert open_calibration_set("./demo").source == str(tmp_path / "demo")


def test_demo_says_what_to_install_when_the_photographs_are_missing(edge, tmp_path):
    """A module of that name that cannot be found: `find_spec` meets None."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['skimage'] = None\n")
    paths = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    done = edge(
        "quantize", "squeezenet8", "--calib", "demo", "-o", "out.onnx",
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "edge: scikit-image: not installed."
        f" Install it with: {sys.executable} -m pip install 'edge[demo]'\n"
    )
    assert not (tmp_path / "out.onnx").exists()


def test_part_of_a_picture_is_cut_and_lit(tmp_path):
    path = make_picture(tmp_path / "a.png")
    whole, part = Picture(path), Picture(path, (10, 20, 30, 40), 1.5)
    wanted = whole.decode()[10:40, 20:60].astype(float) * 1.5
    got = part.decode()
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got, np.minimum(wanted, 255), atol=0.5)


def test_picture_has_a_hash_of_all_that_makes_it(tmp_path):
    path = make_picture(tmp_path / "a.png")
    pictures = [Picture(path), Picture(path, (0, 0, 9, 9)), Picture(path, None, 0.5)]
    hashes = [picture.sha256() for picture in pictures]
    assert hashes[0] == sha256_file(path)
    assert len(set(hashes)) == 3
    with pytest.raises(InputError):
        Picture(tmp_path / "none.png").sha256()
