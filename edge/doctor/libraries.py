"""Checks of the libraries that edge runs on: whether each loads, and why not."""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.board import multiplies_int8_exactly
from edge.doctor.check import Check
from edge.doctor.probe import Broken, Library, probe
from edge.engine.child import run_in_child
from edge.engine.cuda import GPU, describe_gpu
from edge.engine.trt_api import INSTALL_TENSORRT, PACKAGES
from edge.errors import BuildError, EdgeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.check import Place, Status

    Probes = dict[str, Library | Broken | None]

NEEDED = {
    "NumPy": ("numpy", "numpy"),
    "OpenCV": ("cv2", "opencv-python"),
    "OpenVINO": ("openvino", "openvino"),
    "ONNX": ("onnx", "onnx"),
    "PyAV": ("av", "av"),
    "simplejpeg": ("simplejpeg", "simplejpeg"),
}
"""Title to module and package; edge declares each."""
OPTIONAL = {"ONNX Runtime": ("onnxruntime", "onnxruntime")}
OLDEST_TENSORRT = (8, 6)

_MENDS = (
    (re.compile(r"libGL\.so"), "Run: sudo apt install libgl1"),
    (
        re.compile(r"static TLS block"),
        "Run: export LD_PRELOAD=/usr/lib/aarch64-linux-gnu/libGLdispatch.so.0",
    ),
    (re.compile(r"NumPy 1"), f"Run: {sys.executable} -m pip install 'numpy<2'"),
    (
        re.compile(r"libnvdla_compiler"),
        "Run: sudo apt install nvidia-l4t-dla-compiler",
    ),
)
"""What mends a library that does not load, by what it says."""


@dataclass(frozen=True, slots=True)
class Graphics:
    """What runs plans here.

    Attributes:
        gpu: the GPU that answers; None where none does.
        tensorrt: version of each product that loads, by its package.
    """

    gpu: GPU | None
    tensorrt: dict[str, str]


def probe_libraries() -> Probes:
    """Load every library, each in a process of its own, some at a time."""
    modules = [module for module, _ in (*NEEDED.values(), *OPTIONAL.values())]
    names = [*modules, *PACKAGES.values()]
    with ThreadPoolExecutor(max_workers=4) as pool:
        return dict(zip(names, pool.map(probe, names), strict=True))


def check_libraries(place: Place, probes: Probes) -> Iterator[Check]:
    """Judge what the CPU needs."""
    for title, (module, package) in (NEEDED | OPTIONAL).items():
        found = probes[module]
        if found is None and title in OPTIONAL:
            continue
        if isinstance(found, Library):
            yield Check(title, "ok", _describe(place, module, found))
        elif found is None:
            yield Check(title, "broken", "not installed", _install(package))
        else:
            yield Check(title, "broken", found.reason, _mend(found.reason, package))


def _describe(place: Place, module: str, found: Library) -> str:
    detail = found.version or "no version"
    if module == "openvino":
        how = "" if multiplies_int8_exactly(place.root) else "; INT8 in float: no VNNI"
        return f"{detail.partition('-')[0]}, runs on {found.told['devices']}{how}"
    if module != "cv2":
        return detail
    has = "with" if found.told["gstreamer"] == "yes" else "without"
    detail += f", {has} GStreamer"
    jetpack = place.root.glob("usr/lib/python3*/dist-packages/cv2")
    if jetpack and "dist-packages" not in found.file:
        detail += "; hides JetPack's OpenCV"
    return detail


def _install(package: str) -> str:
    return f"Run: {sys.executable} -m pip install {package}"


def _mend(reason: str, package: str) -> str:
    known = (mend for pattern, mend in _MENDS if pattern.search(reason))
    return next(known, f"Run: {sys.executable} -m pip install --force-reinstall {package}")


def look_at_gpu(place: Place, probes: Probes) -> tuple[Graphics, list[Check]]:
    """Judge TensorRT, CUDA and the GPU; left out where nothing of them is expected."""
    versions: dict[str, str] = {}
    checks: list[Check] = []
    for package in PACKAGES.values():
        found = probes[package]
        if isinstance(found, Library):
            versions[package] = found.version
        checks += _check_tensorrt(place, package, found)
    gpu = None
    if versions or place.has_tensorrt_8_6:
        if place.board is not None:
            checks.append(_check_toolkit(place))
        gpu, check = _check_gpu(place)
        checks.append(check)
    return Graphics(gpu, versions), checks


def _check_tensorrt(place: Place, package: str, found: Library | Broken | None) -> Iterator[Check]:
    title = "TensorRT" if package == "tensorrt" else "TensorRT-RTX"
    if isinstance(found, Library):
        numbers = tuple(int(part) for part in re.findall(r"\d+", found.version)[:2])
        if package == "tensorrt" and numbers < OLDEST_TENSORRT:
            detail = f"{found.version} is too old, edge wants 8.6 or newer"
            yield Check(title, "warning", detail, "Flash JetPack 6 or newer")
        else:
            yield Check(title, "ok", f"{found.version}, {found.file.rpartition('/')[0]}")
    elif isinstance(found, Broken):
        default = "Run: sudo apt install --reinstall python3-libnvinfer"
        known = (mend for pattern, mend in _MENDS if pattern.search(found.reason))
        yield Check(title, "broken", found.reason, next(known, default))
    elif package == "tensorrt" and place.has_tensorrt_8_6:
        yield _explain_missing_tensorrt(place, title)
    elif package == "tensorrt" and place.board is None:
        yield Check(title, "ok", "not here; the CPU runs the networks")


def _explain_missing_tensorrt(place: Place, title: str) -> Check:
    """Say why a Jetson's TensorRT is not seen: not installed, hidden, or of another Python."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = place.root.glob("usr/lib/python3*/dist-packages/tensorrt")
    pythons = [path.parts[-3].removeprefix("python") for path in found]
    if not pythons:
        return Check(title, "broken", "not installed", INSTALL_TENSORRT)
    if here not in pythons:
        detail = f"is for Python {', '.join(pythons)}, this is {here}"
        mend = "Run: ./install.sh --python /usr/bin/python3"
    elif _hides_system_packages():
        detail = f"is hidden from this environment ({sys.prefix})"
        mend = "Remove that folder, then run: ./install.sh"
    else:
        detail = f"is not on the path of {sys.executable}"
        mend = "Run: ./install.sh --python /usr/bin/python3"
    return Check(title, "broken", f"JetPack's {detail}", mend)


def _hides_system_packages() -> bool:
    """Tell whether this Python is an environment that hides the system's packages."""
    if sys.prefix == sys.base_prefix:
        return False
    try:
        said = (Path(sys.prefix) / "pyvenv.cfg").read_text()
    except OSError:
        return False
    return "include-system-site-packages = true" not in said.lower()


def _check_toolkit(place: Place) -> Check:
    cuda = "usr/local/cuda"
    try:
        told = json.loads(place.root.read_text(f"{cuda}/version.json") or "")["cuda"]["version"]
    except (ValueError, KeyError, TypeError):
        told = None
    if not (place.root.path / cuda / "include/cuda.h").exists():
        detail = "cuda.h is missing, without which pycuda cannot be installed"
        return Check("CUDA", "warning", detail, "Run: sudo apt install nvidia-jetpack")
    return Check("CUDA", "ok", f"{told or 'version not told'}, /{cuda}")


def _check_gpu(place: Place) -> tuple[GPU | None, Check]:
    status: Status = "broken" if place.board is not None else "warning"
    try:
        gpu = run_in_child(describe_gpu)
    except BuildError as error:  # the child died, before TensorRT came into it
        detail = str(error.args[0]).removeprefix("TensorRT: ")
        return None, Check("GPU", "broken", f"asking for it {detail}", error.hint)
    except EdgeError as error:
        return None, Check("GPU", status, str(error.args[0]), error.hint)
    detail = f"{gpu.name}, compute capability {gpu.compute_capability}, driver for CUDA {gpu.cuda}"
    return gpu, Check("GPU", "ok", detail)
