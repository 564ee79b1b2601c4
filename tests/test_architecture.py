"""The floors of the house: a broken arrow between rooms turns plain pytest red."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from samples import ROOT

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "edge").rglob("*.py")
    if path.name != "__main__.py"
)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [program, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_floors_hold():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "named"),
    [
        ("edge/frame.py", "import edge.loop", "edge.frame -> edge.loop"),
        ("edge/camera/base.py", "import edge.engine.base", "edge.camera.base -> edge.engine.base"),
        ("edge/loop.py", "import cv2", "edge.loop -> cv2"),
        ("edge/utils.py", "", "edge.utils"),
    ],
)
def test_floors_break_when_a_room_reaches_up_sideways_or_outside(tmp_path, file, line, named):
    """The contract can fail: each kind of wrong import is named."""
    import shutil

    shutil.copytree(ROOT / "edge", tmp_path / "edge", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a") as module:
        module.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert named in done.stdout


def test_every_module_says_first_why_it_exists():
    for module in MODULES:
        path = ROOT / Path(*module.split(".")).with_suffix(".py")
        text = (path if path.exists() else path.with_suffix("") / "__init__.py").read_text()
        first = text.split("\n", 1)[0]
        assert first.startswith('"""'), module
        assert first.rstrip('"').endswith((".", "`")), module


def test_no_file_is_longer_than_400_lines():
    for folder in ("edge", "tools", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 400, path


HEAVY = ("cv2", "openvino", "onnxruntime", "onnx", "rich", "numpy", "skimage")


@pytest.mark.parametrize("words", [("--help",), ("--version",), ("run", "--help")])
def test_help_imports_nothing_heavy(words):
    """`edge --help` answers at once on a slow board."""
    script = (
        "import sys; sys.argv = ['edge', *sys.argv[1:]]\n"
        "from edge.cli import main\n"
        "try: main()\n"
        f"finally: print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"
