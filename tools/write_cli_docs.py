"""Write docs/cli.md from the commands' own help.

python tools/write_cli_docs.py [-o docs/cli.md]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = 90
PREAMBLE = """# Command line

Written by `tools/write_cli_docs.py` from `edge --help` and its kin. Exit codes: 0 done; 1 what was
given cannot be used, or this machine lacks something (one line says what to do); 2 usage; 3 it ran,
and the answer is no; 70 a bug in edge; 130 interrupted.
"""


def commands(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Yield (command line, help text) for a command and everything below it."""
    context = click.Context(
        command,
        parent=parent,
        info_name=name,
        terminal_width=COLUMNS,
        max_content_width=COLUMNS,
        **command.context_settings,
    )
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for inner_name in command.list_commands(context):
            inner = command.get_command(context, inner_name)
            if inner is not None and not inner.hidden:
                yield from commands(inner, inner_name, context)


def render() -> str:
    """Give the whole page."""
    pages = [f"\n## {words}\n\n```text\n{text}\n```\n" for words, text in commands(app, "edge")]
    return PREAMBLE + "".join(pages)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/cli.md"))
    parser.parse_args().output.write_text(render())


if __name__ == "__main__":
    main()
