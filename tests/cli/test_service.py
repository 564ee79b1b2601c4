"""`edge service`: installed into a folder that plays a machine, looked at, removed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from doubles import DEADLINE_S
from samples import make_picture
from servers.notify import NotifySocket

from edge.board import SysRoot
from edge.cli.service import _check_root
from edge.errors import UnavailableError
from edge.service.settings import parse_settings
from edge.service.systemd import parse_status

SOURCE = "rtsp://me:S3cret@127.0.0.1/live"
needs_systemctl = pytest.mark.skipif(
    shutil.which("systemctl") is None, reason="systemctl is not here"
)


@pytest.fixture
def machine(tmp_path):
    """Give a folder that plays a machine with systemd."""
    root = tmp_path / "machine"
    (root / "etc/systemd/system").mkdir(parents=True)
    (root / "etc/group").write_text("video:x:44:\n")
    return root


def files_of(root):
    found = sorted(path for path in root.rglob("*") if not path.is_dir() or path.is_symlink())
    return {str(path.relative_to(root)): path for path in found}


def texts_of(root):
    """Give what is in each file; a link is what it points to."""
    return {
        name: str(path.readlink()) if path.is_symlink() else path.read_text()
        for name, path in files_of(root).items()
    }


@needs_systemctl
def test_service_is_installed_and_removed_without_a_trace(edge, machine):
    before = files_of(machine)
    done = edge("service", "install", "--root", machine, "--", SOURCE, "--engine=null")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "edge.service: installed. It starts at the next boot\n"
    new = {name: path for name, path in files_of(machine).items() if name not in before}
    assert set(new) == {
        "etc/edge/edge.env",
        "etc/systemd/system/edge.service",
        "etc/systemd/system/multi-user.target.wants/edge.service",
    }
    assert new["etc/edge/edge.env"].stat().st_mode & 0o777 == 0o600
    settings = new["etc/edge/edge.env"].read_text()
    assert parse_settings(settings) == [SOURCE, "--engine", "null"]
    unit = new["etc/systemd/system/edge.service"].read_text()
    assert "S3cret" not in unit
    assert "SupplementaryGroups=video\n" in unit
    assert edge("service", "remove", "--root", machine).stdout == "edge.service: removed\n"
    assert files_of(machine) == before
    assert not (machine / "etc/edge").exists()
    again = edge("service", "remove", "--root", machine)
    assert (again.returncode, again.stdout) == (0, "edge.service: was not installed\n")


@needs_systemctl
def test_folders_of_its_user_are_removed_too(edge, machine):
    edge("service", "install", "--root", machine, "--", "demo")
    for kind in ("lib", "cache"):
        (machine / f"var/{kind}/private/edge").mkdir(parents=True)
        (machine / f"var/{kind}/edge").symlink_to("private/edge")
    edge("service", "remove", "--root", machine)
    assert [name for name in files_of(machine) if name.startswith("var")] == []
    assert list(machine.glob("var/*/private/*")) == []


@needs_systemctl
def test_second_install_changes_nothing_and_keeps_what_a_person_wrote(edge, machine):
    edge("service", "install", "--root", machine, "--", "demo")
    settings = machine / "etc/edge/edge.env"
    with settings.open("a") as file:
        file.write("EDGE_MQTT_PASSWORD=S3cret\n")
    texts = texts_of(machine)
    for words in ([], ["--", "demo"]):
        done = edge("service", "install", "--root", machine, *words)
        assert done.stdout.startswith("edge.service: is up to date.")
        assert texts_of(machine) == texts
    edge("service", "install", "--root", machine, "--", "demo", "--engine", "null")
    assert parse_settings(settings.read_text()) == ["demo", "--engine", "null"]
    assert "EDGE_MQTT_PASSWORD=S3cret\n" in settings.read_text()
    assert settings.stat().st_mode & 0o777 == 0o600


@needs_systemctl
def test_files_are_found_from_another_folder(edge, machine, tmp_path):
    make_picture(tmp_path / "one.png")
    edge("service", "install", "--root", machine, "--", "one.png", "night/*.png", "--engine=null")
    assert parse_settings((machine / "etc/edge/edge.env").read_text()) == [
        str(tmp_path / "one.png"), str(tmp_path / "night/*.png"), "--engine", "null",
    ]  # fmt: skip


def test_unit_sees_what_its_arguments_name_and_starts_without_what_is_gone(edge, machine, tmp_path):
    make_picture(tmp_path / "one.png")
    (tmp_path / "my.plan").touch()
    words = ("one.png", "night/cam*/?.png", "--model", tmp_path / "my.plan", "--engine=null")
    done = edge("service", "install", "--print", "--root", machine, "--", *words)
    shown = re.findall(rf"^BindReadOnlyPaths=(-{tmp_path}\S*)$", done.stdout, re.MULTILINE)
    names = ("my.plan", "my.plan.json", "night", "one.png")
    assert shown == [f"-{tmp_path / name}" for name in names]


@pytest.mark.parametrize(
    ("source", "watchdog", "argus"),
    [("demo", 30, False), ("csi://0?timeout=20", 60, True), ("gst:videotestsrc", 30, True)],
)
def test_unit_is_printed_and_nothing_is_changed(edge, machine, source, watchdog, argus):
    before = files_of(machine)
    done = edge("service", "install", "--print", "--root", machine, "--", source)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"WatchdogSec={watchdog}\n" in done.stdout
    assert ("argus" in done.stdout) == argus
    assert files_of(machine) == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 1, "edge: edge service install: nothing says what to run. Give it as in: edge"),
        (["absent.mp4"], 1, "edge: absent.mp4: no such source."),
        (["demo", "--show"], 1, "edge: --show: a service has no screen. Leave it away\n"),
        (["demo", "--json", "-"], 1, "edge: --json -: a service has no stdout. Name a file\n"),
        (["demo", "--json", "/home/me/rows"], 1, "edge: --json /home/me/rows: a service writes"),
        (
            ["demo", "--csv", "../rows"],
            1,
            "below /var/lib/edge alone. Give the file's name without",
        ),
        (["demo", "--sow"], 2, "No such option"),
    ],
)
def test_what_a_service_cannot_run_is_refused_before_anything_is_written(
    edge, machine, words, code, said
):
    before = files_of(machine)
    done = edge("service", "install", "--print", "--root", machine, "--", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert files_of(machine) == before


def test_service_runs_what_its_settings_say_and_its_process_does_not_show_it(tmp_path):
    address = str(tmp_path / "notify")
    with NotifySocket(address) as systemd:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge", "-v", "service", "exec"],
            env={**os.environ, "NOTIFY_SOCKET": address, "EDGE_RUN": "demo --engine null"},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert "demo" not in Path(f"/proc/{process.pid}/cmdline").read_text()
        assert systemd.hear_until("READY")
        process.send_signal(signal.SIGTERM)
        assert systemd.hear_until("STOPPING")
        assert process.communicate(timeout=DEADLINE_S) == (None, "")
    assert process.returncode == 0


def test_service_without_settings_says_how_to_get_some(edge):
    done = edge("service", "exec")
    assert done.returncode == 1
    assert done.stderr == (
        "edge: EDGE_RUN: holds no arguments of edge run."
        " Write them again with: edge service install -- SOURCE\n"
    )


def test_machine_without_systemd_is_told(edge, tmp_path):
    for command in ("install", "remove", "status"):
        done = edge("service", command, env={**os.environ, "PATH": str(tmp_path)})
        assert done.returncode == 1
        assert done.stderr == (
            "edge: systemd: does not run this machine."
            " Start `edge run` from whatever starts programs here\n"
        )


def test_user_who_is_not_root_gets_the_command_without_the_password(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UnavailableError) as refused:
        _check_root(SysRoot(Path("/")), "install", [SOURCE, "--model", "my own.plan"])
    assert str(refused.value) == (
        "edge service install: only root may. Put the password back that is left out here."
        f" Run: sudo {sys.executable} -m edge service install"
        " -- rtsp://127.0.0.1/live --model 'my own.plan'"
    )


ACTIVE = """\
LoadState=loaded
ActiveState=active
SubState=running
NRestarts=2
StatusText=29.9 fps, 75 frames, 0 dropped
ActiveEnterTimestamp=Wed 2026-11-25 13:00:01 UTC
Result=success
UnitFileState=enabled
"""
FAILED = ACTIVE.replace("active\n", "failed\n", 1).replace("running", "failed")
FAILED = re.sub(r"Result=.*", "Result=watchdog", FAILED)
ABSENT = "LoadState=not-found\nActiveState=inactive\nSubState=dead\nNRestarts=0\n"


@pytest.fixture
def systemctl(tmp_path):
    """Give a function that makes a systemctl which prints a text, and its environment."""

    def make(text):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "said").write_text(text)
        (folder / "systemctl").write_text(f"#!/bin/sh\ncat {folder}/said\n")
        (folder / "systemctl").chmod(0o755)
        return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "EDGE_ROOT": str(tmp_path)}

    return make


def test_status_tells_what_systemd_tells(edge, systemctl):
    done = edge("service", "status", env=systemctl(ACTIVE))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "edge.service: active (running) since Wed 2026-11-25 13:00:01 UTC, 2 restarts,"
        " starts at boot\n  29.9 fps, 75 frames, 0 dropped\n  log: journalctl -u edge -n 20\n"
    )


def test_status_of_a_service_that_fell_is_the_answer_no(edge, systemctl):
    done = edge("service", "status", env=systemctl(FAILED))
    assert done.returncode == 3
    assert done.stdout.startswith("edge.service: failed (failed), 2 restarts, starts at boot\n")
    assert done.stderr == (
        "edge: edge.service: not active (watchdog). See: journalctl -u edge -n 20\n"
    )


def test_status_of_no_service_says_how_to_install_it(edge, systemctl):
    done = edge("service", "status", env=systemctl(ABSENT))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "edge: edge.service: not installed."
        f" Install it with: sudo {sys.executable} -m edge service install -- SOURCE\n"
    )


def test_status_is_json_for_programs(edge, systemctl):
    row = json.loads(edge("service", "status", "--json", env=systemctl(ACTIVE)).stdout)
    assert (row["version"], row["active"], row["restarts"], row["enabled"]) == (1, True, 2, True)


@pytest.mark.parametrize("text", ["", "=\nNRestarts=x\n", "LoadState=loaded\nStatusText=a=b\n"])
def test_status_is_read_whatever_is_missing(text):
    status = parse_status(text)
    assert (status.active, status.restarts) == (False, 0)
    assert status.text == ("a=b" if "a=b" in text else "")
