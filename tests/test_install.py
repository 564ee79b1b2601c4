"""install.sh with a real Python, venv and pip, on a shelf of stub wheels and on faked boards."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TOOLS = [
    "awk",
    "bash",
    "cat",
    "df",
    "dirname",
    "grep",
    "mktemp",
    "readlink",
    "realpath",
    "rm",
    "sed",
    "tail",
]

# cv2 of the stub opencv-python: needs a desktop library that the test can take away.
CV2 = """import os
if "NO_LIBGL" in os.environ:
    raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
"""
# Leaves the board's Python, and each venv that sees its packages, with what the test gave it.
SITECUSTOMIZE = """import sys
sys.path[:] = [
    path for path in sys.path
    if not (path.startswith(sys.base_prefix) and path.endswith("-packages"))
]
"""
# A build backend that hands out a ready wheel, keeps the environment it saw, and can be held.
BACKEND = """import json, os, pathlib, shutil, signal
WHEEL = pathlib.Path({wheel!r})
def build_wheel(out, *_, **__):
    pathlib.Path(os.environ["HOME"], WHEEL.name + ".json").write_text(json.dumps(dict(os.environ)))
    if "HOLD" in os.environ:
        pathlib.Path(os.environ["HOLD"]).write_text("building")
        signal.pause()
    shutil.copy(WHEEL, out)
    return WHEEL.name
build_editable = build_wheel
"""
IN_TREE = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def write_wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    files: Mapping[str, str] | None = None,
    requires: Sequence[str] = (),
) -> Path:
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    contents = {
        **(files or {}),
        f"{info}/METADATA": head + "".join(f"{line}\n" for line in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*contents, f"{info}/RECORD"])
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


def write_script(path: Path, body: str) -> Path:
    assert not path.is_symlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def edge_requirements() -> dict[str, list[str]]:
    """Give pyproject's requirements by extra, those of edge itself under ""."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stub wheel for each requirement of pyproject.toml, pycuda as an sdist."""
    folder = tmp_path_factory.mktemp("shelf")
    for line in chain.from_iterable(edge_requirements().values()):
        name, version = re.match(r"([\w-]+)(?:\[.*\])?(?:.*?[>=]=([\d.]+))?", line).groups()
        if name not in ("edge", "opencv-python", "pycuda"):
            write_wheel(folder, name, version)
        elif name == "opencv-python":
            write_wheel(folder, name, version, files={"cv2/__init__.py": CV2})
            write_wheel(folder, f"{name}-headless", version, files={"cv2/__init__.py": ""})
        elif name == "pycuda":
            source = folder.parent / f"pycuda-{version}"
            source.mkdir()
            wheel = write_wheel(source, name, version, files={"pycuda/driver.py": ""})
            (source / "backend.py").write_text(BACKEND.format(wheel=str(wheel)))
            (source / "pyproject.toml").write_text(IN_TREE)
            (source / "PKG-INFO").write_text(
                f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            )
            with tarfile.open(folder / f"{source.name}.tar.gz", "w:gz") as archive:
                archive.add(source, source.name)
    write_wheel(folder, "numpy", "2.1.0")
    return folder


@dataclass
class Machine:
    """A clone of edge in a folder of its own, with the few tools that install.sh may call."""

    home: Path
    env: dict[str, str]
    prefix: tuple[str, ...] = ()

    @property
    def clone(self) -> Path:
        return self.home / "clone"

    @property
    def venv(self) -> Path:
        return self.clone / ".venv"

    @property
    def packages(self) -> dict[str, str]:
        """What lies in the venv's own site-packages, version by name."""
        infos = self.venv.glob("lib/python3*/site-packages/*.dist-info")
        return {
            name.replace("_", "-"): version
            for name, version in (info.stem.split("-") for info in infos)
        }

    def command(self, *arguments: str) -> list[str]:
        return [
            *self.prefix,
            str(self.home / "bin/bash"),
            str(self.clone / "install.sh"),
            *arguments,
        ]

    def install(
        self, *arguments: str, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=cwd or self.clone,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def fake_board(self) -> Path:
        """Make this machine a Jetson with CUDA's headers and a compiler; give its root folder."""
        board = self.home / "board"
        for file in ("etc/nv_tegra_release", "usr/local/cuda/include/cuda.h"):
            (board / file).parent.mkdir(parents=True)
            (board / file).touch()
        base = Path(sys.base_prefix, "bin", f"python{PYTHON}")
        write_script(board / "usr/bin/python3", f'exec "{base}" "$@"')
        write_script(self.home / "bin/g++", "exit 1")
        (self.home / "dist-packages").mkdir()
        (self.home / "dist-packages/sitecustomize.py").write_text(SITECUSTOMIZE)
        self.env["PYTHONPATH"] = str(self.home / "dist-packages")
        self.env["EDGE_ROOT"] = str(board)
        return board

    def fake_jetpack_modules(self) -> None:
        """Put JetPack's modules where both the board's Python and a venv of it see them."""
        for module in ("cv2", "tensorrt", "numpy"):
            (self.home / f"dist-packages/{module}.py").write_text('__version__ = "1.21.5"\n')


def make_machine(home: Path, shelf: Path) -> Machine:
    (home / "bin").mkdir()
    (home / "tmp").mkdir()
    for tool in TOOLS:  # scripts, since a fake written over a link would land in /usr/bin
        write_script(home / "bin" / tool, f'exec "{shutil.which(tool)}" "$@"')
    write_script(home / "bin/python3", f'exec "{sys.executable}" "$@"')

    clone = home / "clone"
    clone.mkdir()
    shutil.copy(ROOT / "install.sh", clone)
    requires = []
    for extra, lines in edge_requirements().items():
        for line in lines:
            name, _, marker = line.partition(";")
            markers = [marker.strip(), extra and f'extra == "{extra}"']
            clause = " and ".join(filter(None, markers))
            requires.append(f"Requires-Dist: {name}" + (f"; {clause}" if clause else ""))
    wheel = write_wheel(home, "edge", "0.1.0", requires=requires)
    (clone / "backend.py").write_text(BACKEND.format(wheel=str(wheel)))
    (clone / "pyproject.toml").write_text(IN_TREE)

    return Machine(
        home,
        {
            "PATH": str(home / "bin"),
            "HOME": str(home),
            "TMPDIR": str(home / "tmp"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(shelf),
        },
    )


@pytest.fixture
def machine(tmp_path: Path, shelf: Path) -> Machine:
    return make_machine(tmp_path, shelf)


def names(*extras: str) -> set[str]:
    """Give the packages that edge with these extras wants under this Python."""
    lines = chain.from_iterable(edge_requirements()[extra] for extra in ("", *extras))
    found = {re.match(r"[\w-]+", line)[0] for line in lines}
    return found - ({"tomli"} if sys.version_info >= (3, 11) else set()) - {"edge"}


OWN = {"edge", "pip", "setuptools"}  # setuptools: venv brings it before Python 3.12


def test_install_brings_the_demo_when_run_from_another_folder(
    machine: Machine, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    (elsewhere / "random.py").write_text("raise SystemExit('the caller's folder was imported')")

    done = machine.install(cwd=elsewhere)

    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines() == [
        f"install: creating {machine.venv} with Python {PYTHON}",
        "install: installing edge with demo report",
        f"install: installing {len(names('demo', 'report'))} requirements",
        f"install: done. Try {machine.venv}/bin/edge run demo",
    ]
    assert machine.packages.keys() - OWN == names("demo", "report")
    assert machine.packages["numpy"] == "2.1.0"
    assert "true" not in (machine.venv / "pyvenv.cfg").read_text()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_install_updates_the_same_venv_when_run_again(machine: Machine) -> None:
    first = machine.install("--minimal")
    minimal = machine.packages
    born = machine.venv.stat().st_ino

    done = machine.install("--dev")

    assert first.stdout.endswith("install: done. Try .venv/bin/edge --help\n")
    assert minimal.keys() - OWN == names()
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.startswith(f"install: using .venv with Python {PYTHON}\n")
    assert done.stdout.endswith("install: done. Try .venv/bin/edge run demo\n")
    assert machine.packages.keys() - OWN == names("demo", "onnxruntime", "report", "dev")
    assert machine.venv.stat().st_ino == born


def test_install_takes_the_headless_opencv_once_when_libgl_is_missing(machine: Machine) -> None:
    first = machine.install("--minimal", NO_LIBGL="1")
    assert (first.stderr, first.returncode) == ("", 0)
    assert first.stdout.count("libGL.so.1 is missing: taking the headless OpenCV") == 1
    after_first = machine.packages

    second = machine.install("--minimal", NO_LIBGL="1")

    assert (second.stderr, second.returncode) == ("", 0)
    assert "headless" not in second.stdout
    assert after_first == machine.packages
    assert machine.packages.keys() - OWN == names() - {"opencv-python"} | {"opencv-python-headless"}


def test_install_hides_nothing_of_jetpack_when_on_a_jetson(machine: Machine) -> None:
    board = machine.fake_board()
    machine.fake_jetpack_modules()

    done = machine.install()

    assert (done.stderr, done.returncode) == ("", 0)
    assert "install: keeping JetPack's OpenCV\n" in done.stdout
    assert machine.packages.keys() - OWN == names("demo", "report", "jetson") - {"opencv-python"}
    assert machine.packages["numpy"].startswith("1.26")
    assert "include-system-site-packages = true" in (machine.venv / "pyvenv.cfg").read_text()
    [seen] = machine.home.glob("pycuda-*.json")
    build_env = json.loads(seen.read_text())
    assert build_env["CUDA_ROOT"] == f"{board}/usr/local/cuda"
    assert build_env["CPATH"] == f"{board}/usr/local/cuda/include"
    assert build_env["LIBRARY_PATH"].startswith(f"{board}/usr/local/cuda/lib64:")
    assert f"{board}/usr/local/cuda/bin:" in build_env["PATH"]


def test_install_on_a_jetson_leans_on_nothing_in_the_users_home(
    machine: Machine, shelf: Path
) -> None:
    """Edge as a service sees no home, though its venv sees JetPack's packages."""
    machine.fake_board()
    own = machine.home / f".local/lib/python{PYTHON}/site-packages"
    [click] = shelf.glob("click-*.whl")
    zipfile.ZipFile(click).extractall(own)

    done = machine.install("--minimal", PIP_USER="1")

    assert (done.stderr, done.returncode) == ("", 0)
    assert "click" in machine.packages


def test_install_gives_way_to_jetpacks_opencv_when_it_comes_later(machine: Machine) -> None:
    machine.fake_board()
    without = machine.install("--minimal")
    assert (without.stderr, without.returncode) == ("", 0)
    assert "no OpenCV from JetPack: CSI cameras through OpenCV are off" in without.stdout
    assert "TensorRT is not in" in without.stdout
    assert "opencv-python" in machine.packages
    assert machine.packages["numpy"] == "2.1.0"

    machine.fake_jetpack_modules()
    later = machine.install("--minimal")

    assert (later.stderr, later.returncode) == ("", 0)
    assert "TensorRT" not in later.stdout
    assert "opencv-python" not in machine.packages
    assert machine.packages["numpy"].startswith("1.26")


def test_install_removes_its_venv_when_the_network_is_down(machine: Machine) -> None:
    machine.env.pop("PIP_NO_INDEX")
    closed_port = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}

    done = machine.install("--minimal", PIP_FIND_LINKS="", **closed_port)

    assert done.returncode == 1
    assert re.fullmatch(
        r"install: pip cannot fetch \S+\. "
        r"Check the network and 'pip config list', then run again\.\n",
        done.stderr,
    )
    assert not machine.venv.exists()
    assert list((machine.home / "tmp").iterdir()) == []


def test_install_keeps_an_older_venv_and_the_log_when_pip_fails(machine: Machine) -> None:
    subprocess.run([sys.executable, "-m", "venv", machine.venv], check=True)
    (machine.clone / "backend.py").write_text("def build_editable(*_): raise RuntimeError('odd')")

    done = machine.install()

    assert done.returncode == 1
    [log] = (machine.home / "tmp").iterdir()
    assert done.stderr == (
        f"install: 'pip install --no-deps --editable {machine.clone}' failed. The log is {log}.\n"
    )
    assert "RuntimeError: odd" in log.read_text()
    assert (machine.venv / "bin/python").exists()


def test_install_removes_its_venv_when_interrupted(machine: Machine) -> None:
    fifo = machine.home / "held"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen(
        machine.command(),
        env={**machine.env, "HOLD": str(fifo)},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        ready, _, _ = select.select([reader], [], [], 120)
        existed = machine.venv.exists()
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    os.close(reader)

    assert ready
    assert existed
    assert (stderr, process.returncode) == (b"", 130)
    assert not machine.venv.exists()


def assert_refused(machine: Machine, line: str, *arguments: str, status: int = 1) -> None:
    """Check that the line is all that install.sh says, and that the clone is as it was."""
    before = sorted(machine.clone.rglob("*"))
    done = machine.install(*arguments)
    assert (done.stdout, done.stderr, done.returncode) == ("", f"install: {line}\n", status)
    assert sorted(machine.clone.rglob("*")) == before
    assert list((machine.home / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--nonsense"], "unknown argument --nonsense. Try --help."),
        (["here"], "unknown argument here. Try --help."),
        (["--python"], "--python needs a value. Try --help."),
        (["--venv", ""], "--venv needs a value. Try --help."),
    ],
)
def test_install_exits_with_two_when_used_wrongly(
    machine: Machine, arguments: list[str], line: str
) -> None:
    assert_refused(machine, line, *arguments, status=2)


def test_install_names_each_option_when_asked_for_help(machine: Machine) -> None:
    done = machine.install("--help")
    assert (done.stderr, done.returncode) == ("", 0)
    assert {"--minimal", "--dev", "--python", "--venv"} <= set(done.stdout.split())


@pytest.mark.parametrize("version", ["3.6", "3.8"])
@pytest.mark.parametrize(
    ("sign", "content"),
    [
        ("etc/nv_tegra_release", "# R35 (release), REVISION: 5.0\n"),
        ("proc/device-tree/compatible", "nvidia,p3448-0000\0nvidia,tegra210\0"),
    ],
)
def test_install_asks_for_jetpack_6_when_jetpacks_python_is_older(
    machine: Machine, sign: str, content: str, version: str
) -> None:
    board = machine.home / "board"
    write_script(board / "usr/bin/python3", f"echo {version}")
    (board / sign).parent.mkdir(parents=True)
    (board / sign).write_text(content)
    machine.env["EDGE_ROOT"] = str(board)

    assert_refused(
        machine,
        f"JetPack's Python is {version}, edge needs 3.10 or newer. Flash JetPack 6 or newer.",
    )


NO_PYTHON = (
    "no Python 3.10 to 3.13 found. "
    "Install one (sudo apt install python3 python3-venv), or name one with --python."
)


def test_install_says_how_to_get_python_when_there_is_none(machine: Machine) -> None:
    (machine.home / "bin/python3").unlink()
    assert_refused(machine, NO_PYTHON)


def test_install_says_how_to_get_python_when_none_suits(machine: Machine) -> None:
    write_script(machine.home / "bin/python3", "echo 3.9")
    write_script(machine.home / "bin/python3.13", "echo 3.14")
    write_script(machine.home / "bin/python3.12", "echo no such version >&2; exit 127")
    assert_refused(machine, NO_PYTHON)


def test_install_passes_over_a_shim_when_a_later_python_runs(machine: Machine) -> None:
    (machine.home / "bin/python3").rename(machine.home / "bin/python3.10")
    write_script(machine.home / "bin/python3", "exit 127")
    write_script(machine.home / "bin/df", "echo; echo fs 4096 1024 3072 25% /")  # ends the run

    done = machine.install()

    assert re.search(r"has 3 MB free", done.stderr)


def test_install_refuses_the_python_named_when_it_does_not_suit(machine: Machine) -> None:
    old = write_script(machine.home / "old", "echo 3.9")
    assert_refused(
        machine,
        f"{old} (Python 3.9) is no Python 3.10 to 3.13 that runs. Name another with --python.",
        "--python",
        "../old",
    )


def test_install_names_the_package_when_ensurepip_is_missing(machine: Machine) -> None:
    (machine.home / "ensurepip.py").write_text("raise ModuleNotFoundError('ensurepip')")
    machine.env["PYTHONPATH"] = str(machine.home)
    assert_refused(
        machine,
        f"Python {PYTHON} cannot create environments. sudo apt install python{PYTHON}-venv.",
    )


@pytest.mark.parametrize(
    ("missing", "line"),
    [
        (
            "board/usr/local/cuda/include/cuda.h",
            "cuda.h is missing. sudo apt install nvidia-jetpack.",
        ),
        (
            "bin/g++",
            "g++ or Python.h is missing. sudo apt install build-essential python3-dev.",
        ),
    ],
)
def test_install_names_the_package_when_pycuda_cannot_be_built(
    machine: Machine, missing: str, line: str
) -> None:
    machine.fake_board()
    (machine.home / missing).unlink()
    assert_refused(machine, line)


def test_install_asks_for_room_when_the_disk_is_small(machine: Machine) -> None:
    write_script(
        machine.home / "bin/df",
        "echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'\n"
        "echo '/dev/mmcblk0p1 14384136 12287000 2097100 86% /'",
    )
    assert_refused(
        machine,
        f"{machine.home} has 2047 MB free, edge needs 2048. "
        "Free some, or choose another disk with --venv.",
        "--venv",
        "../deep/er/venv",
    )


def test_install_leaves_a_folder_alone_when_it_is_no_venv(machine: Machine) -> None:
    (machine.home / "photos").mkdir()
    (machine.home / "photos/cat.jpg").touch()
    assert_refused(
        machine,
        f"{machine.home}/photos is no environment with pip and Python 3.10 to 3.13. "
        "Remove it, or choose another with --venv.",
        "--venv",
        "../photos",
    )
    assert (machine.home / "photos/cat.jpg").exists()


def close_folder(machine: Machine, folder: Path) -> None:
    """Take the right to write from everybody, root included."""
    folder.chmod(0o555)
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if not setpriv:
            pytest.skip("root may write everywhere, and setpriv is not here to change that")
        machine.prefix = (setpriv, "--bounding-set=-dac_override")


def test_install_says_so_when_the_clone_cannot_be_written_to(machine: Machine) -> None:
    close_folder(machine, machine.clone)
    assert_refused(
        machine,
        f"{machine.clone} cannot be written to. "
        "Check its owner and mode, or choose another folder with --venv.",
    )


def test_install_says_so_when_the_venv_is_somebody_elses(machine: Machine) -> None:
    subprocess.run([sys.executable, "-m", "venv", machine.venv], check=True)
    close_folder(machine, machine.venv)
    assert_refused(
        machine,
        ".venv cannot be written to. Run this as its owner, or choose another with --venv.",
    )


def test_install_refuses_an_old_venv_when_it_hides_jetpack(machine: Machine) -> None:
    machine.fake_board()
    subprocess.run([sys.executable, "-m", "venv", machine.venv], check=True)
    assert_refused(
        machine,
        ".venv does not see JetPack's packages. Remove it, or choose another with --venv.",
    )


def install_here(cwd: Path, venv: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run this checkout's own install.sh, with the registry that the user has configured."""
    return subprocess.run(
        [ROOT / "install.sh", "--minimal", "--python", sys.executable, "--venv", venv],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.install
@pytest.mark.timeout(600)
def test_install_run_twice_from_elsewhere_makes_real_opencv_load_when_libgl_is_broken(
    tmp_path: Path,
) -> None:
    """An empty libGL.so.1 first in the loader's path: the real opencv-python fails over it."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/libGL.so.1").touch()
    broken = {"LD_LIBRARY_PATH": str(tmp_path / "lib")}

    first = install_here(tmp_path, Path("venv"), **broken)
    second = install_here(tmp_path, Path("venv"), **broken)

    for verb, done in (("creating", first), ("using", second)):
        assert (done.stderr, done.returncode) == ("", 0)
        assert done.stdout.startswith(f"install: {verb} venv with Python {PYTHON}\n")
    assert "taking the headless OpenCV" in first.stdout
    assert "taking the headless OpenCV" not in second.stdout
    version, _ = (
        subprocess.run(
            [tmp_path / "venv/bin" / words[0], *words[1:]],
            cwd=tmp_path,
            env={**os.environ, **broken},
            capture_output=True,
            text=True,
            check=True,
        )
        for words in (("edge", "--version"), ("python", "-c", "import cv2"))
    )
    assert re.search(r"\d+\.\d+\.\d+", version.stdout)
