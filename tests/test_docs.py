"""The documents and the program say the same."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import click
import pytest
from samples import ROOT

from edge.cli.app import app

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"```(?:sh|console|text)?\n(.*?)```|((?:^    .*\n)+)", re.DOTALL | re.MULTILINE)


def documented_commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in FENCE.finditer(page.read_text()):
            for line in (block[1] or block[2]).replace("\\\n", " ").splitlines():
                for part in re.split(r"&&|\|", line.split("#")[0]):
                    words = part.strip().removeprefix("$ ").removeprefix(".venv/bin/")
                    if words.startswith("edge ") and "..." not in words:
                        found.append((page.name, words))
    return found


@pytest.mark.parametrize(("page", "line"), documented_commands())
def test_documented_command_parses(page, line):
    """Every `edge ...` in a code block names commands and options that exist."""
    words = shlex.split(line)[1:]
    command: click.Command = app
    context = click.Context(app, info_name="edge")
    while isinstance(command, click.Group):
        _, command, words = command.resolve_command(context, words)
        assert command is not None, f"{page}: {line}"
    with command.make_context(command.name, words, parent=context):
        pass


def test_command_reference_is_what_the_program_says(tmp_path):
    written = tmp_path / "cli.md"
    subprocess.run(
        [sys.executable, ROOT / "tools" / "write_cli_docs.py", "-o", written], check=True, cwd=ROOT
    )
    assert (ROOT / "docs" / "cli.md").read_text() == written.read_text(), (
        "run: python tools/write_cli_docs.py"
    )


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_rooms_of_the_architecture_page_exist():
    page = (ROOT / "docs" / "architecture.md").read_text()
    for path in re.findall(r"`(edge/(?!_data)[\w/.]+)`", page):
        assert (ROOT / path).exists(), path
