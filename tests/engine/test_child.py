"""A child process answers, tells its progress, passes errors on, and may die alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from doubles import die_while_answering
from samples import ROOT

from edge.engine.child import explain_death, run_in_child
from edge.errors import BuildError, InputError


def test_child_gives_its_answer():
    assert run_in_child(divmod, 17, 5) == (3, 2)


def test_child_is_another_process():
    assert run_in_child(os.getpid) != os.getpid()


def test_child_is_deaf_to_ctrl_c_from_its_first_moment():
    """In a process of its own: the first child of all is started otherwise."""
    program = (
        "import signal; from edge.engine.child import run_in_child\n"
        "ask = signal.pthread_sigmask, signal.SIG_BLOCK, ()\n"
        "print([signal.SIGINT in run_in_child(*ask) for _ in range(2)], ask[0](*ask[1:]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("[True, True] set()\n", "")


def test_child_ends_quietly_when_its_parent_is_gone():
    """A build of minutes would go on, and end in a traceback."""
    program = (
        "import os, signal; from doubles import work_for_a_parent\n"
        "from edge.engine.child import run_in_child\n"
        "run_in_child(work_for_a_parent, progress=lambda *_: os.kill(os.getpid(), signal.SIGKILL))"
    )
    paths = (str(ROOT / "tests"), os.environ.get("PYTHONPATH"))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (-9, "nobody listens\n", "")


def test_error_of_ours_crosses_whole(tmp_path):
    from edge.files import read_bytes

    with pytest.raises(InputError, match=r"absent: no such file or folder\. Check the path"):
        run_in_child(read_bytes, tmp_path / "absent")


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        (os.abort, (), "crashed (SIGABRT)"),
        (signal.raise_signal, (signal.SIGKILL,), "want of memory"),
        (os._exit, (3,), "without an answer (exit code 3)"),
        (sys.exit, (4,), "without an answer (exit code 4)"),
        (die_while_answering, (), "want of memory"),
    ],
)
def test_death_of_the_child_is_explained(function, arguments, said):
    with pytest.raises(BuildError) as error:
        run_in_child(function, *arguments)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [
        (-signal.SIGKILL, "want of memory"),
        (-signal.SIGSEGV, "crashed (SIGSEGV)"),
        (3, "without an answer (exit code 3)"),
    ],
)
def test_dead_builder_is_explained(exit_code, said):
    assert said in str(explain_death(exit_code))
