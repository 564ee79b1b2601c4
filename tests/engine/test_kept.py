"""Networks kept on disk: the same scores from the second start on, whatever lies there."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from networks import make_views
from samples import make_contract

from edge.assets import user_folder
from edge.engine.kept import open_kept
from edge.errors import ModelError
from edge.model.onnx_file import save_model
from edge.model.squeezenet import build_squeezenet, random_weights

VIEWS = make_views(4, seed=32)


@pytest.fixture
def file(tmp_path, small_model):
    path = tmp_path / "small.onnx"
    save_model(small_model, path)
    return path


def scores_of(file, aim="latency"):
    with open_kept(file, aim) as (engine, contract):
        scores = []
        for view in VIEWS:
            slot = engine.acquire()
            slot.pixels[...] = view
            engine.submit(slot)
            scores.append(engine.collect().values)
        return np.stack(scores), contract, engine.info


def kept():
    return sorted(user_folder("cache").glob("*.openvino"))


def test_second_start_gives_the_same_scores_contract_and_info(file):
    first = scores_of(file)
    (path,) = kept()
    written = path.stat().st_mtime_ns
    second = scores_of(file)
    np.testing.assert_array_equal(first[0], second[0])
    assert np.ptp(first[0]) > 0
    assert first[1:] == second[1:]
    assert path.stat().st_mtime_ns == written, "written again"


def test_second_start_does_without_onnx(file):
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from edge.engine.kept import open_kept\n"
        "with open_kept(Path(sys.argv[1]), 'latency'): pass\n"
        "print('onnx' in sys.modules)\n"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", script, file], capture_output=True, text=True, check=True
        ).stdout.strip()
        for _ in range(2)
    ]
    assert told == ["True", "False"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "no head", "other head"])
def test_damaged_network_is_compiled_again(file, damage):
    first, *_ = scores_of(file)
    (path,) = kept()
    whole = path.read_bytes()
    path.write_bytes(
        {
            "cut": whole[: len(whole) // 2],
            "flipped": whole[:-9] + bytes([whole[-9] ^ 255]) + whole[-8:],
            "empty": b"",
            "no head": whole.partition(b"\n")[2],
            "other head": b"[]\n" + whole.partition(b"\n")[2],
        }[damage]
    )
    np.testing.assert_array_equal(scores_of(file)[0], first)
    mended = path.stat().st_mtime_ns
    scores_of(file)
    assert path.stat().st_mtime_ns == mended, "written again"


def test_each_aim_is_kept_and_an_old_one_of_the_same_file_goes(file):
    scores_of(file)
    (path,) = kept()
    old = path.with_name(path.name.replace(path.stem[-8:], "0" * 8))
    path.rename(old)
    scores_of(file, "throughput")
    scores_of(file)
    assert len(kept()) == 2
    assert not old.exists()


def test_changed_model_is_not_taken_for_the_old_one(file):
    first, *_ = scores_of(file)
    other = build_squeezenet("1.1", make_contract(), random_weights("1.1", 5, seed=9))
    save_model(other, file)
    assert not np.array_equal(scores_of(file)[0], first)


def test_model_is_compiled_each_time_where_nothing_can_be_kept(file, monkeypatch):
    blocker = file.with_name("blocker")
    blocker.write_text("a file where a folder should be")
    monkeypatch.setenv("EDGE_HOME", str(blocker / "home"))
    np.testing.assert_array_equal(scores_of(file)[0], scores_of(file)[0])


def test_file_that_is_no_model_is_refused_and_not_kept(tmp_path):
    (tmp_path / "x.onnx").write_text("no model")
    with pytest.raises(ModelError), open_kept(tmp_path / "x.onnx", "latency"):
        pass
    assert kept() == []


def test_commands_share_what_is_kept(edge, file, tmp_path):
    """The live command line keeps it below EDGE_HOME."""
    env = {**os.environ, "EDGE_HOME": str(tmp_path / "home")}
    for _ in range(2):
        done = edge("run", "demo", "--model", file, "--seconds", 0.3, env=env)
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "home" / "cache").glob("*.openvino"))) == 1
