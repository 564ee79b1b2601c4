"""The demo: three real photographs, and a camera that moves over them at 30 frames a second."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys

import numpy as np
import pytest

from edge.camera.demo import FRAMES_EACH, DemoSource, list_photographs, photograph_path
from edge.camera.url import parse_source

SAY = """
from edge.camera.base import open_source
from edge.errors import EdgeError
try:
    with open_source("demo"):
        pass
except EdgeError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def views() -> list[list[np.ndarray]]:
    """Give every view of every photograph, drawn without waiting for its time."""
    source = DemoSource(parse_source("demo"))
    return [
        [source._view(number, step / FRAMES_EACH) for step in range(0, FRAMES_EACH, 10)]
        for number in range(len(list_photographs()))
    ]


def test_manifest_names_three_photographs_with_hash_and_licence():
    photographs = list_photographs()
    assert [photo.label for photo in photographs] == ["cat", "motorbike", "person"]
    for photo in photographs:
        assert len(photo.sha256) == 64
        assert photo.licence
        assert photo.source
        assert photograph_path(photo).is_file()


def test_demo_stamps_its_frames_30_times_a_second():
    source = DemoSource(parse_source("demo"))
    stamps_ns = [source.read().captured_ns for _ in range(4)]
    for number, stamp_ns in enumerate(stamps_ns):
        assert stamp_ns - source._first_ns >= number * 1_000_000_000 // 30
    assert source.info.fps == 30.0
    assert source.info.live


def test_demo_names_the_photograph_of_each_frame():
    source = DemoSource(parse_source("demo"))
    source._seq = FRAMES_EACH - 1  # its start lies far back, so nothing waits
    files = [source.read().file for _ in range(2)]
    source._seq = 3 * FRAMES_EACH
    files.append(source.read().file)
    assert files == ["chelsea.png", "motorcycle_left.png", "chelsea.png"]


def test_view_has_the_stated_size(views):
    width, height = DemoSource(parse_source("demo")).info.size
    assert {view.shape for turn in views for view in turn} == {(height, width, 3)}


def test_view_moves_between_frames(views):
    for turn in views:
        for before, after in itertools.pairwise(turn):
            assert np.abs(before.astype(int) - after).mean() > 1


def test_view_is_a_part_of_the_photograph_and_not_its_edge(views):
    """A reflected border would show the network a picture that nobody took."""
    for turn in views:
        for view in turn:
            assert not np.array_equal(view[1], view[2])
            assert view.std() > 20


def test_view_is_the_same_each_time(views):
    again = DemoSource(parse_source("demo"))
    for number, turn in enumerate(views):
        for step, view in enumerate(turn):
            assert np.array_equal(again._view(number, step * 10 / FRAMES_EACH), view)


def test_demo_names_the_extra_when_scikit_image_is_missing():
    """Its folder is hidden from a program of its own."""
    script = (
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Hidden(PathFinder):\n"
        "    @classmethod\n"
        "    def find_spec(cls, name, path=None, target=None):\n"
        "        return None if name == 'skimage' else super().find_spec(name, path, target)\n"
        "sys.meta_path[sys.meta_path.index(PathFinder)] = Hidden\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script + SAY], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "MissingExtraError scikit-image: not installed."
        f" Install it with: {sys.executable} -m pip install 'edge[demo]'\n"
    )


def test_demo_refuses_a_photograph_that_is_another_one(tmp_path):
    """A package skimage with changed pictures stands before the real one."""
    data = tmp_path / "skimage" / "data"
    data.mkdir(parents=True)
    (tmp_path / "skimage" / "__init__.py").touch()
    for photo in list_photographs():
        shutil.copy(photograph_path(photo), data)
    changed = data / list_photographs()[1].file
    changed.write_bytes(changed.read_bytes() + b"\0")
    script = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", script + SAY], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        f"InputError {changed}: not the photograph that the demo expects. Install scikit-image"
        " again: pip install --force-reinstall scikit-image\n"
    )
