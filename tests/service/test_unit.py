"""The unit as systemd's own tools see it, and what of it depends on the machine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.board import SysRoot
from edge.service.unit import HIDDEN, UnitOptions, keep_hidden, list_devices, list_groups, unit_text

MOST_EXPOSURE = 2.0
"""Of 10; `systemd-analyze security` calls all below 3.0 well guarded."""

FULL = UnitOptions(
    Path(sys.executable), ["video", "render"], ["/dev/nvmap", "/dev/dri/card0"],
    [Path("/home/me/edge it"), Path("/home/me/$1")], uses_argus=True, watchdog_s=60,
)  # fmt: skip
PLAIN = UnitOptions(Path(sys.executable))


def analyze(*words):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


@pytest.fixture(params=[PLAIN, FULL], ids=["plain", "full"])
def unit_file(request, tmp_path):
    path = tmp_path / "edge.service"
    path.write_text(unit_text(request.param))
    return path


def test_systemd_understands_every_line(unit_file):
    done = analyze("verify", "--man=no", unit_file)
    assert (done.returncode, done.stderr) == (0, "")


def test_exposure_is_small(unit_file):
    done = analyze("security", "--offline=true", "--no-pager", unit_file)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze rates running services only")
    rated = re.search(r"Overall exposure level for edge\.service: ([\d.]+)", done.stdout)
    assert float(rated[1]) <= MOST_EXPOSURE


def test_unit_says_what_it_was_asked_to():
    lines = unit_text(FULL).splitlines()
    for line in (
        f"ExecStart={sys.executable} -m edge -v service exec",
        "SupplementaryGroups=video render",
        "DeviceAllow=/dev/nvmap rw",
        'BindReadOnlyPaths="-/home/me/edge it"',
        'BindReadOnlyPaths="-/home/me/$1"',
        "BindPaths=-/tmp/argus_socket",
        "PartOf=nvargus-daemon.service",
        "WatchdogSec=60",
        "StandardError=journal",
    ):
        assert line in lines


def test_unit_has_no_argus_where_no_camera_needs_it():
    assert "argus" not in unit_text(PLAIN)


def test_groups_are_those_that_the_machine_has(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("root:x:0:\nvideo:x:44:me\nrender:x:999:\nvideos:x:5:\n")
    assert list_groups(SysRoot(tmp_path)) == ["video", "render"]
    assert list_groups(SysRoot(tmp_path / "absent")) == []


def test_devices_are_those_of_the_gpu_and_no_disk(tmp_path):
    here = ["nvmap", "nvhost-ctrl-gpu", "nvgpu/igpu0/ctrl", "dri/renderD128", "host1x-fence"]
    for name in [*here, "nvme0n1", "nvme0", "nvram", "sda", "video0", "dri/by-path/pci"]:
        path = tmp_path / "dev" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert list_devices(SysRoot(tmp_path)) == sorted(f"/dev/{name}" for name in here)


@pytest.mark.parametrize("top", HIDDEN, ids=str)
def test_paths_that_are_hidden_are_shown_once_and_others_not_at_all(top):
    clone, beside = top / "edge", top / "edge2"
    given = [clone / ".venv", beside, clone, Path("/usr"), Path(f"{top}s") / "edge"]
    assert keep_hidden(given) == [clone, beside]
