"""The command line as a whole: help, versions, exit codes, and what a bug looks like."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import click
import pytest
from samples import ROOT

from edge import __version__
from edge.cli.app import COMMANDS, SUMMARIES, app


def all_commands(group=app, words=()):
    """Yield every command with the words that name it, groups included."""
    context = click.Context(group)
    yield words, group
    if isinstance(group, click.Group):
        for name in group.list_commands(context):
            yield from all_commands(group.get_command(context, name), (*words, name))


EVERY = dict(all_commands())
BY_NAME = [pytest.param(words, id=" ".join(("edge", *words))) for words in EVERY]


def examples(command):
    """Give the lines below "Example:" that a help text ends with."""
    lines = [line.strip() for line in command.help.rstrip().splitlines()]
    assert "Example:" in lines, "no example"
    return lines[lines.index("Example:") + 1 :]


def test_every_command_has_a_summary():
    assert set(SUMMARIES) == set(COMMANDS)
    assert {words[0] for words in EVERY if words} == set(COMMANDS)


@pytest.mark.parametrize("words", BY_NAME)
def test_help_text_ends_with_an_example_that_parses(words):
    for line in examples(EVERY[words]):
        program, *rest = shlex.split(line)
        assert program == "edge"
        named = max((found for found in EVERY if tuple(rest[: len(found)]) == found), key=len)
        assert named[: len(words)] == words, "the example is of another command"
        command = EVERY[named]
        assert not isinstance(command, click.Group), "the example does nothing"
        with command.make_context(line, rest[len(named) :]):
            pass


@pytest.mark.parametrize("words", BY_NAME)
def test_help_is_printed(edge, words):
    done = edge(*words, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: edge {' '.join(words)}".rstrip())
    assert "Example:\n" in done.stdout
    assert "\b" not in done.stdout
    assert "\\b" not in done.stdout


def test_version_is_printed(edge):
    done = edge("--version")
    assert (done.returncode, done.stdout) == (0, f"edge, version {__version__}\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["run"], "Missing argument 'SOURCE...'"),
        (["run", "--debug"], "Missing argument 'SOURCE...'"),
        (["run", "demo", "--nonsense"], "No such option"),
        (["run", "demo", "--seconds", "0"], "0.0 is not in the range"),
        (["run", "demo", "--seconds", "long"], "'long' is not a valid float"),
        (["run", "demo", "--top", "0"], "0 is not in the range"),
        (["models", "show"], "Missing argument 'MODEL'"),
        (["models", "import", "x.onnx"], "Missing option '-o'"),
        (["models", "import", "x", "-o", "y", "--order", "GBR"], "'GBR' is not one of"),
        (["quantize", "x", "-o", "y"], "Missing option '--calib'"),
    ],
)
def test_usage_error_exits_with_2(edge, words, said):
    done = edge(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback_wherever_it_stands(edge):
    for words in (["--debug", "run", "absent"], ["run", "absent", "--debug"]):
        done = edge(*words)
        assert done.returncode == 1
        assert "Traceback" in done.stderr
        assert "InputError: absent: no such source" in done.stderr


def test_verbose_says_which_picture_was_skipped(edge, picture_folder):
    (picture_folder / "bad.jpg").write_text("no picture")
    quiet = edge("run", picture_folder, "--engine", "null")
    said = edge("-v", "run", picture_folder, "--engine", "null")
    assert quiet.stderr == ""
    assert said.stderr.startswith(f"edge: {picture_folder / 'bad.jpg'}: not a picture")


@pytest.mark.parametrize("words", [["models", "pull", "squeezenet1.1"], ["doctor"]], ids=" ".join)
def test_user_folder_that_cannot_be_made_is_told_in_one_line(edge, tmp_path, monkeypatch, words):
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGE_HOME", str(tmp_path / "file"))
    done = edge(*words)
    folder = tmp_path / "file" / ("cache" if words == ["doctor"] else "models")
    assert done.returncode in {1, 3}
    assert f"{folder}: cannot be made (Not a directory)" in done.stderr + done.stdout
    assert "Set EDGE_HOME to a folder of yours" in done.stderr + done.stdout


def in_broken_edge(words):
    """Run the command line in a program of its own that has a bug."""
    script = (
        "import sys, edge.camera.url as url\n"
        "def broken(name): raise RuntimeError('wires crossed')\n"
        "url.parse_source = broken\n"
        "from edge.cli import main\n"
        "sys.argv = ['edge', *sys.argv[1:]]\n"
        "main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_bug_is_told_in_one_line_and_exits_with_70():
    done = in_broken_edge(["run", "demo", "--engine", "null"])
    assert (done.returncode, done.stdout) == (70, "")
    assert done.stderr == (
        "edge: a bug in edge (RuntimeError: wires crossed)."
        " Run it again with --debug and report what it prints.\n"
    )
    assert "Traceback" in in_broken_edge(["run", "demo", "--engine", "null", "--debug"]).stderr


@pytest.mark.parametrize("words", [["models", "list"], ["models", "show", "squeezenet8", "--json"]])
def test_printing_to_a_full_disk_is_told_in_one_line(edge, words):
    full = os.open("/dev/full", os.O_WRONLY)
    done = edge(*words, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    os.close(full)
    assert done.returncode == 1
    assert done.stderr == (
        "edge: stdout: no space left on the disk. Free some space, then run it again\n"
    )


def test_printing_to_a_reader_that_left_says_nothing(edge):
    reader, writer = os.pipe()
    os.close(reader)
    done = edge("models", "list", capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    "words",
    [
        "run demo --seconds",
        "run demo --idle",
        "bench --seconds",
        "power --hz",
        "build x --max-drop",
    ],
)
def test_nan_is_no_number_of_an_option(edge, words):
    """It is neither below a limit nor above one, and a run of nan seconds never ends."""
    done = edge(*words.split(), "nan")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'nan' is not a number" in done.stderr
