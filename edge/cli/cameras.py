"""`edge cameras`: which cameras are here, in which modes, and how to run each."""

from __future__ import annotations

import json
import shlex
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from edge.camera.listing import Camera
    from edge.camera.v4l2_node import Mode

LIST_VERSION = 1
SIZES_EACH = 4
RATES_EACH = 5
"""How many sizes of a format and rates of a size the table shows; --json has all."""

NOTHING = (
    "No camera here. edge run also takes rtsp://, http://, csi://0, a video, pictures or demo."
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every mode.")
@click.option(
    "--root", type=click.Path(path_type=Path), default="/", envvar="EDGE_ROOT", hidden=True
)
def cameras(as_json: bool, root: Path) -> None:
    """List the cameras of this machine, their modes, and how to run each.

    The modes stand best first. The second nodes of USB cameras, which give metadata alone, are
    left out.

    \b
    Example:
      edge cameras
    """
    from edge.board import SysRoot
    from edge.camera.listing import list_cameras

    found = list_cameras(SysRoot(root))
    if as_json:
        rows = [_to_row(camera) for camera in found]
        click.echo(json.dumps({"version": LIST_VERSION, "cameras": rows}, indent=2))
    elif found:
        _print_table(found)
    else:
        click.echo(NOTHING)


def _to_row(camera: Camera) -> dict[str, object]:
    return {
        "device": camera.device,
        "card": camera.card,
        "driver": camera.driver,
        "bus": camera.bus,
        "source": camera.source,
        "fastest": camera.fastest,
        "problem": camera.problem or None,
        "modes": [
            {
                "format": mode.format,
                "width_px": mode.size[0],
                "height_px": mode.size[1],
                "fps": list(mode.fps),
            }
            for mode in camera.modes
        ],
    }


def _print_table(found: list[Camera]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    with console.capture() as drawn:
        console.print(_make_table(found))
    for line in drawn.get().splitlines():
        click.echo(line.rstrip())
    troubled = [camera for camera in found if camera.problem]
    if troubled:
        click.echo()
    for camera in troubled:  # not in the table, which would break the command that mends it
        click.echo(f"{camera.device}: {camera.problem}")
    words = [word for camera in found if not camera.problem for word in _sources(camera)]
    if words:
        click.echo("\nRun one with:")
    for word in words:
        click.echo(f"  edge run {shlex.quote(word)}")


def _sources(camera: Camera) -> Iterator[str]:
    yield camera.source
    if camera.fastest is not None:
        yield camera.fastest


def _make_table(found: list[Camera]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Device", no_wrap=True)
    table.add_column("Camera", overflow="fold")
    table.add_column("Format", no_wrap=True)
    table.add_column("Size", no_wrap=True)
    table.add_column("Frames a second", no_wrap=True)
    for number, camera in enumerate(found):
        if number:
            table.add_row()
        about = [camera.card or "cannot be asked", camera.driver, camera.bus]
        modes = list(_mode_rows(camera.modes))
        columns = ["\n".join(column) for column in zip(*modes, strict=True)]
        texts = [camera.device, "\n".join(filter(None, about)), *columns]
        table.add_row(*(Text(text) for text in texts))
    return table


def _mode_rows(modes: tuple[Mode, ...]) -> Iterator[tuple[str, str, str]]:
    """Give format, size and rates, a row each; the format is said once."""
    for name, group in groupby(modes, key=lambda mode: mode.format):
        same = list(group)
        for place, mode in enumerate(same[:SIZES_EACH]):
            rates = " ".join(f"{rate:g}" for rate in mode.fps[:RATES_EACH])
            more = " ..." if len(mode.fps) > RATES_EACH else ""
            yield name if place == 0 else "", f"{mode.size[0]}x{mode.size[1]}", rates + more
        if len(same) > SIZES_EACH:
            yield "", f"{len(same) - SIZES_EACH} more", ""
