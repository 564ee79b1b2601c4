"""The service on a real systemd: it starts in its cage, comes back when it hangs, and goes."""

from __future__ import annotations

import shlex
import signal
import sys
import time

import pytest
from doubles import DEADLINE_S
from servers.booted import Booted, BootError, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

QUICK = "[Service]\nEnvironment=PYTHONPATH={}\nWatchdogSec=2\nRestartSec=100ms\n"


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    try:
        with Booted(tmp_path_factory.mktemp("machine")) as booted:
            yield booted
    except BootError as error:
        pytest.skip(str(error))


def service(machine, *words):
    return machine.run(sys.executable, "-m", "edge", "service", *words)


def shown(machine, name):
    return machine.run("systemctl", "show", "edge", "--value", "-p", name).stdout.strip()


def process_of(machine):
    return f"/proc/{shown(machine, 'MainPID')}"


def wait_for(is_so):
    """Ask again and again, for systemd tells nobody else."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_service_runs_in_its_cage_comes_back_when_it_hangs_and_leaves_no_trace(machine):
    drop_in = "/etc/systemd/system/edge.service.d/quick.conf"
    text = QUICK.format(machine.run("printenv", "PYTHONPATH").stdout.strip())
    machine.run("mkdir", "-p", drop_in.rpartition("/")[0])
    machine.run("bash", "-c", f"printf %s '{text}' > {drop_in}")
    strange = """gst:"a b" ! $x `y` \\z it's"""
    assert service(machine, "install", "--", strange).returncode == 0
    told = f"EDGE_RUN={shlex.join([strange])}\0"
    wait_for(lambda: told in machine.run("cat", f"{process_of(machine)}/environ").stdout)

    done = service(machine, "install", "--", "demo")  # OpenVINO, which writes code
    assert (done.returncode, done.stderr) == (0, "")
    started = machine.run("systemctl", "start", "edge")  # waits until it says that it is ready
    assert started.returncode == 0, machine.run("journalctl", "-u", "edge").stdout
    process = process_of(machine)
    held = dict(
        line.split(":\t", 1)
        for line in machine.run("cat", f"{process}/status").stdout.splitlines()
        if ":\t" in line
    )
    assert (held["NoNewPrivs"], held["Seccomp"], int(held["CapEff"], 16)) == ("1", "2", 0)
    assert held["Uid"].split()[0] != "0"
    assert machine.run("ls", process + "/root" + "/home").stdout == ""
    assert " frames, " in service(machine, "status").stdout

    machine.run("kill", f"-{signal.SIGSTOP}", process.rpartition("/")[2])
    wait_for(lambda: shown(machine, "NRestarts") != "0")
    wait_for(lambda: shown(machine, "ActiveState") == "active")

    assert service(machine, "remove").stdout == "edge.service: removed\n"
    left = machine.run("ls", "-d", "/etc/edge", "/var/lib/edge", "/var/lib/private/edge",
                       "/var/cache/edge", "/etc/systemd/system/edge.service")  # fmt: skip
    assert left.stdout == ""
    assert shown(machine, "ActiveState") == "inactive"
