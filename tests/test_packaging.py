"""The wheel: what is in it, and that it runs outside the clone."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import pytest
from samples import ROOT

pytestmark = pytest.mark.install

DATA = {
    "edge/_data/calib/demo.toml",
    "edge/_data/engines/imagenet-labels.txt",
    "edge/_data/engines/imagenet-wnids.txt",
    "edge/_data/engines/models.toml",
    "edge/_data/engines/selftest.json",
    "edge/_data/engines/squeezenet8-int8.onnx",
    "edge/_data/engines/squeezenet8.onnx",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", folder, ROOT]
    subprocess.run(command, check=True)
    return next(folder.glob("edge-*.whl"))


def test_wheel_holds_the_code_and_the_named_data_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    code = {str(path.relative_to(ROOT)) for path in (ROOT / "edge").rglob("*.py")}
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == code | DATA | {"edge/py.typed"}


def test_wheel_runs_the_demo_outside_the_clone(wheel, tmp_path):
    """The bundled model, labels and manifest are found in an installed package."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", venv], check=True)
    python = venv / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True)
    site = subprocess.run(
        [sys.executable, "-c", "import site; print(site.getsitepackages()[0])"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    run = subprocess.run(
        [venv / "bin" / "edge", "run", "demo", "--seconds", "2"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": site},
    )  # fmt: skip
    where = subprocess.run(
        [python, "-c", "import edge; print(edge.__file__)"],
        capture_output=True, text=True, check=True, cwd=tmp_path, env={"HOME": str(tmp_path)},
    ).stdout  # fmt: skip
    assert str(venv) in where
    assert run.returncode == 0, run.stderr
    assert "chelsea.png" in run.stdout
