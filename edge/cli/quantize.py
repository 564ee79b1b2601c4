"""`edge quantize`: an fp32 ONNX and a set of pictures become an INT8 ONNX."""

from __future__ import annotations

from pathlib import Path

import click

from edge.cli.quant_options import quant_options


@click.command()
@click.argument("model")
@click.option(
    "--calib",
    metavar="PICTURES",
    required=True,
    help="Folder of pictures like those that the camera will see, about 200; or a text file that"
    " lists them, or demo.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="ONNX to write."
)
@quant_options
def quantize(
    model: str,
    calib: str,
    output: Path,
    *,
    fast: bool,
    symmetric: bool,
    keep_float: tuple[str, ...],
) -> None:
    """Turn MODEL (a file or a name) into INT8.

    The result holds explicit Q/DQ nodes: symmetric int8, zero points 0, one scale a channel for
    weights. TensorRT builds it as it is, and the CPU engines run it.

    \b
    Example:
      edge quantize squeezenet8 --calib pictures/ -o squeezenet8-int8.onnx
    """
    from edge.cli.calibration import warn_of_doubts
    from edge.cli.progress import counting
    from edge.files import check_target
    from edge.model.onnx_file import load_model, save_model
    from edge.model.zoo import resolve_model
    from edge.quant.dataset import open_calibration_set
    from edge.quant.quantize import QuantOptions, check_model
    from edge.quant.quantize import quantize as quantize_model

    check_target(output)
    fp32 = load_model(resolve_model(model))
    pictures = open_calibration_set(calib)
    options = QuantOptions(fast=fast, all_levels=not symmetric, keep_float=keep_float)
    check_model(fp32)
    warn_of_doubts(calib, pictures, fp32)
    with counting("calibrating", len(pictures.files)) as progress:
        result = quantize_model(fp32, pictures, progress=progress, options=options)
    save_model(result.model, output)

    click.echo(
        f"{output}: {result.int8_convs} INT8 convolutions, {output.stat().st_size:,} bytes,"
        f" calibrated on {len(pictures.files)} pictures"
    )
    if pictures.unreadable:
        click.echo(f"skipped {pictures.unreadable} unreadable pictures")
    if pictures.copies:
        click.echo(f"left out {pictures.copies} copies of the same picture")
    for name, reason in result.float_ops.items():
        click.echo(f"stays float: {name} ({reason})")
