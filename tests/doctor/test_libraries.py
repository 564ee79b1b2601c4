"""Why a library does not load, and what mends it, on machines played by folders."""

from __future__ import annotations

import platform
import sys

import pytest
from board_states import make_whole_board, write
from hypothesis import given
from hypothesis import strategies as st

from edge.board import SysRoot, detect_board
from edge.doctor.check import Place
from edge.doctor.libraries import NEEDED, check_libraries, look_at_gpu
from edge.doctor.probe import Broken, Library, explain_end, probe
from edge.engine.trt_api import PACKAGES

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHER = "3.9"
NOTHING = dict.fromkeys(["onnxruntime", *PACKAGES.values()])
WELL = NOTHING | {
    module: Library("1.2.3", f"/x/{module}.py", {"gstreamer": "no", "devices": "CPU"})
    for module, _ in NEEDED.values()
}


def place_of(root: SysRoot) -> Place:
    return Place(root, detect_board(root), {})


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Give a function that puts a module of this text where a child finds it."""

    def put(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)

    return put


def test_library_that_loads_tells_its_version(shelf):
    shelf("loads", "print('hello')\n__version__ = '7.1'\n")
    found = probe("loads")
    assert isinstance(found, Library)
    assert (found.version, found.file.rpartition("/")[2]) == ("7.1", "loads.py")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
         "crashes when it is loaded (SIGSEGV)"),
        ("raise ImportError('libGL.so.1: cannot open')", "ImportError: libGL.so.1: cannot open"),
        ("import os; os._exit(7)", "ends with code 7 when it is loaded"),
        ("import sys; print('compiled using NumPy 1.x cannot run', file=sys.stderr); 1 / 0",
         "was built for NumPy 1 and does not load beside NumPy 2"),
    ],
)  # fmt: skip
def test_library_that_does_not_load_is_a_line(shelf, text, reason):
    shelf("trouble", text)
    assert probe("trouble") == Broken(reason)


def test_library_that_is_not_there_is_none():
    assert probe("no_such_library") is None


def test_folder_of_the_person_does_not_reach_the_library(tmp_path, monkeypatch):
    """A json.py in the current folder would break any import."""
    (tmp_path / "json.py").write_text("raise RuntimeError('not yours')")
    monkeypatch.chdir(tmp_path)
    assert isinstance(probe("decimal"), Library)


@given(st.integers(0, 255), st.text(max_size=200))
def test_every_end_is_explained_in_one_line(code, said):
    text = explain_end(code, said)
    assert text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("reason", "mend"),
    [
        ("ImportError: libGL.so.1: cannot open", "Run: sudo apt install libgl1"),
        ("ImportError: x: cannot allocate memory in static TLS block", "LD_PRELOAD"),
        ("was built for NumPy 1 and does not load beside NumPy 2", "'numpy<2'"),
        ("crashes when it is loaded (SIGILL)", "--force-reinstall opencv-python"),
    ],
)
def test_broken_library_names_what_mends_it(tmp_path, reason, mend):
    probes = WELL | {"cv2": Broken(reason)}
    (check,) = (one for one in check_libraries(place_of(SysRoot(tmp_path)), probes)
                if one.status != "ok")  # fmt: skip
    assert (check.name, check.status, check.detail) == ("OpenCV", "broken", reason)
    assert mend in check.mend


def test_missing_library_is_broken_unless_it_is_optional(tmp_path):
    checks = {one.name: one for one in check_libraries(place_of(SysRoot(tmp_path)),
                                                       WELL | {"av": None})}  # fmt: skip
    assert checks["PyAV"].status == "broken"
    assert checks["PyAV"].mend == f"Run: {sys.executable} -m pip install av"
    assert "ONNX Runtime" not in checks


@pytest.mark.skipif(platform.machine() != "x86_64", reason="ARM multiplies int8 exactly")
def test_cpu_whose_int8_is_no_faster_is_told(tmp_path):
    def detail(flags):
        write(tmp_path, {"proc/cpuinfo": f"flags\t\t: fpu avx2 {flags}\n"})
        checks = check_libraries(place_of(SysRoot(tmp_path)), WELL)
        return next(one.detail for one in checks if one.name == "OpenVINO")

    assert detail("") == f"{detail('avx_vnni')}; INT8 in float: no VNNI"


def test_opencv_of_pip_is_said_to_hide_that_of_jetpack(tmp_path):
    root = make_whole_board(tmp_path, "orin_nano")
    write(tmp_path, {"usr/lib/python3.10/dist-packages/cv2/__init__.py": ""})
    checks = {one.name: one.detail for one in check_libraries(place_of(root), WELL)}
    assert checks["OpenCV"] == "1.2.3, without GStreamer; hides JetPack's OpenCV"


def gpu_checks(root, **found):
    _, checks = look_at_gpu(place_of(root), WELL | found)
    return {check.name: check for check in checks}


@pytest.mark.parametrize(
    ("pythons", "detail", "mend"),
    [
        ((), "not installed", "sudo apt install nvidia-jetpack"),
        ((OTHER,), f"JetPack's is for Python {OTHER}, this is {HERE}", "--python /usr/bin/python3"),
        ((OTHER, HERE), "JetPack's is ", "./install.sh"),
    ],
)
def test_tensorrt_that_is_not_seen_on_a_jetson_says_why(tmp_path, pythons, detail, mend):
    root = make_whole_board(tmp_path, "orin_nano")
    for python in pythons:
        write(tmp_path, {f"usr/lib/python{python}/dist-packages/tensorrt/__init__.py": ""})
    check = gpu_checks(root)["TensorRT"]
    assert check.status == "broken"
    assert check.detail.startswith(detail)
    assert mend in check.mend


def test_tensorrt_that_does_not_load_is_broken_everywhere(tmp_path):
    reason = "ImportError: libnvinfer.so.10: cannot open shared object file"
    check = gpu_checks(SysRoot(tmp_path), tensorrt=Broken(reason))["TensorRT"]
    assert (check.status, check.detail) == ("broken", reason)
    assert "python3-libnvinfer" in check.mend


def test_tensorrt_that_is_too_old_is_warned_of(tmp_path):
    found = gpu_checks(SysRoot(tmp_path), tensorrt=Library("8.5.2.2", "/x/tensorrt.py", {}))
    assert found["TensorRT"].status == "warning"
    assert "8.6 or newer" in found["TensorRT"].detail


@pytest.mark.parametrize("name", ["nano", "xavier_nx", "agx_orin"])
def test_older_jetpack_is_not_asked_for_tensorrt(tmp_path, name):
    assert gpu_checks(make_whole_board(tmp_path, name)) == {}


def test_cuda_of_a_jetson_is_read_below_its_root(tmp_path):
    root = make_whole_board(tmp_path, "orin_nano")
    assert gpu_checks(root)["CUDA"].status == "warning"
    told = '{"cuda": {"version": "12.6.11"}}'
    cuda = "usr/local/cuda"
    write(tmp_path, {f"{cuda}/include/cuda.h": "", f"{cuda}/version.json": told})
    check = gpu_checks(root)["CUDA"]
    assert (check.status, check.detail) == ("ok", "12.6.11, /usr/local/cuda")
