"""Environments of their own for the tools that ours is compared with, and running them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PATIENCE_S = 3600


class PeerError(Exception):
    """A tool cannot be installed, or fails; the text is its last word."""


def environment(folder: Path, requirements: Sequence[str]) -> Path:
    """Give the Python of a tool's own environment; it is made and filled where it is not yet.

    Raises:
        PeerError: the registry or the tool does not allow it.
    """
    python = folder / "bin" / "python"
    filled = folder / "installed.json"
    if not filled.is_file() or json.loads(filled.read_text("utf-8")) != list(requirements):
        log = folder.with_suffix(".log")
        run([sys.executable, "-m", "venv", folder], log)
        run([python, "-m", "pip", "install", "--quiet", *requirements], log)
        filled.write_text(json.dumps(list(requirements)), "utf-8")
    return python


def run(
    command: Sequence[str | Path], log: Path, variables: Mapping[str, str] | None = None
) -> None:
    """Run a command with its words in a log file.

    Args:
        command: the program and its words.
        log: overwritten.
        variables: added to the environment.

    Raises:
        PeerError: it fails or does not end; says the last line of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("w", encoding="utf-8") as words:
            subprocess.run(  # noqa: S603 - our own commands
                command,
                check=True,
                stdout=words,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE_S,
                env={**os.environ, **(variables or {})},
            )
    except subprocess.SubprocessError as error:
        raise PeerError(last_line(log.read_text("utf-8")) or str(error)) from error


def last_line(text: str) -> str:
    """Give the last line that says something; empty where none does."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
