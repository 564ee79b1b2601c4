"""`edge quantize`: an fp32 ONNX and a set of pictures become an INT8 ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge.cli.quant_options import quant_options, read_quant_options, say_cost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edge.model.onnx_file import Model
    from edge.quant.dataset import CalibrationSet
    from edge.quant.gate import Gate
    from edge.quant.measure import Measured
    from edge.quant.quantize import Quantized, QuantOptions

SHOWN = 6
"""Layers of the report that are shown at once."""

USUAL_TENSORRT = "10.3.0"
"""The one of JetPack 6, named in a cache; edge build puts its own in that place."""


@click.command()
@click.argument("model")
@click.option(
    "--calib",
    metavar="PICTURES",
    required=True,
    help="Folder of pictures like those that the camera will see, about 200; or a text file that"
    " lists them, or demo.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="ONNX to write.")
@click.option(
    "--tensorrt-cache",
    type=click.Path(path_type=Path),
    help="TensorRT's calibration cache to write, for edge build --calibrator; alone or beside -o.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write report.html and report.json there: what INT8 costs, layer by layer, on --held-out"
    " or every fifth picture of --calib.",
)
@quant_options
def quantize(
    model: str,
    calib: str,
    output: Path | None,
    tensorrt_cache: Path | None,
    report: Path | None,
    *,
    table: Path | None,
    fast: bool,
    symmetric: bool,
    keep_float: tuple[str, ...],
    max_drop: float | None,
    held_out: str | None,
) -> None:
    """Turn MODEL (a file or a name) into INT8.

    The result holds explicit Q/DQ nodes: symmetric int8, zero points 0, one scale a channel for
    weights. TensorRT builds it as it is, and the CPU engines run it. What the pictures decided is
    kept beside it, in a file that ends in .calib.json, and used again for the same model, pictures
    and options.

    \b
    Example:
      edge quantize squeezenet8 --calib pictures/ -o squeezenet8-int8.onnx
    """
    from edge.cli.calibration import warn_of_doubts
    from edge.engine.trt_cache import format_cache
    from edge.files import check_target, check_target_folder, write_atomic
    from edge.model.onnx_file import load_model
    from edge.model.zoo import resolve_model
    from edge.quant.dataset import open_calibration_set
    from edge.quant.gate import choose_held_out
    from edge.quant.quantize import check_model
    from edge.quant.table import find_measured, table_key, table_path

    of_int8 = {
        "--table": table is not None, "--report": report is not None, "--fast": fast,
        "--symmetric": symmetric, "--keep-float": bool(keep_float),
        "--max-drop": max_drop is not None, "--held-out": held_out is not None,
    }  # fmt: skip
    _check_usage(output, tensorrt_cache, of_int8)
    options, gate = read_quant_options(
        fast=fast, symmetric=symmetric, keep_float=keep_float, max_drop=max_drop
    )
    for path in filter(None, (output, tensorrt_cache)):
        check_target(path)
    beside = table_path(output) if output else None
    if beside is not None:
        check_target(beside)
    if report is not None:
        check_target_folder(report)
    fp32 = load_model(resolve_model(model))
    pictures = open_calibration_set(calib)
    check_model(fp32)
    used, judged_by = pictures, open_calibration_set(held_out) if held_out else None
    if report is not None or gate is not None or judged_by is not None:
        used, judged_by = choose_held_out(pictures, judged_by)
    known = find_measured(beside, table, table_key(fp32, used, options))
    warn_of_doubts(calib, pictures, fp32)
    scales = _measure(fp32, pictures) if tensorrt_cache else {}
    if output is not None:
        _write_int8(_Job(fp32, used, options, judged_by, gate, known), output, report)
        if known is not None:
            click.echo(f"measured before: {table or beside}")
    if tensorrt_cache is not None:
        write_atomic(tensorrt_cache, format_cache(scales, USUAL_TENSORRT))
        click.echo(
            f"{tensorrt_cache}: scales of {len(scales)} tensors, for edge build --calibrator"
        )
    if pictures.unreadable:
        click.echo(f"skipped {pictures.unreadable} unreadable pictures")
    if pictures.copies:
        click.echo(f"left out {pictures.copies} copies of the same picture")


def _check_usage(
    output: Path | None, tensorrt_cache: Path | None, of_int8: Mapping[str, bool]
) -> None:
    if output is not None:
        return
    if tensorrt_cache is None:
        raise click.UsageError("Give -o, --tensorrt-cache or both.")
    for option, is_given in of_int8.items():
        if is_given:
            raise click.UsageError(f"Give -o too: {option} is of the INT8 model.")


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """What is to be quantised, how, and by what it is judged."""

    fp32: Model
    pictures: CalibrationSet
    options: QuantOptions
    held_out: CalibrationSet | None
    gate: Gate | None
    known: Measured | None


def _write_int8(job: _Job, output: Path, report: Path | None) -> None:
    """Quantise, then write the model and what the pictures decided beside it."""
    from edge.cli.progress import counting
    from edge.files import write_atomic
    from edge.model.onnx_file import save_model
    from edge.quant.table import format_table, table_key, table_path

    count = len(job.pictures.files)
    with counting("calibrating", count) as progress:
        result, options = _quantize(job, progress)
    save_model(result.model, output)
    beside = table_path(output)
    if beside is not None:
        key = table_key(job.fp32, job.pictures, options)
        write_atomic(beside, format_table(key, result.measured))
    click.echo(
        f"{output}: {result.int8_convs} INT8 convolutions, {output.stat().st_size:,} bytes,"
        f" calibrated on {count} pictures"
    )
    if result.quality is not None:
        click.echo(say_cost(result.quality.figures()))
    if report is not None and result.quality is not None and job.held_out is not None:
        _write_report(job, job.held_out, result, report)
    for name, reason in result.float_ops.items():
        click.echo(f"stays float: {name} ({reason})")


def _quantize(job: _Job, progress: Callable[[int], None]) -> tuple[Quantized, QuantOptions]:
    from edge.quant.gate import quantize_within
    from edge.quant.quantize import quantize as quantize_model

    if job.gate is not None and job.held_out is not None:
        return quantize_within(
            job.fp32, (job.pictures, job.held_out), job.gate,
            options=job.options, measured=job.known, progress=progress,
        )  # fmt: skip
    made = quantize_model(
        job.fp32, job.pictures, progress=progress, options=job.options,
        held_out=job.held_out, measured=job.known,
    )  # fmt: skip
    return made, job.options


def _write_report(job: _Job, held_out: CalibrationSet, result: Quantized, folder: Path) -> None:
    """Write both files, and show the layers that hurt most."""
    from edge.files import write_atomic
    from edge.quant.report import Origin, to_html, to_json

    origin = Origin(
        model=job.fp32.contract.name,
        model_sha256=job.fp32.sha256(),
        calibrated_on=_describe(job.pictures),
        judged_on=_describe(held_out),
    )
    folder.mkdir(exist_ok=True)
    write_atomic(folder / "report.json", f"{to_json(result, origin)}\n".encode())
    write_atomic(folder / "report.html", to_html(result, origin).encode())
    worst = result.quality.worst()[:SHOWN] if result.quality else ()
    width = max(len(layer.label) for layer in worst)
    click.echo(f"{'the layers that hurt most':{width}}  signal to noise  harm alone")
    for layer in worst:
        click.echo(f"{layer.label:{width}}  {layer.sqnr_db:12.1f} dB  {layer.harm_nats:.5f} nats")
    click.echo(f"report: {folder / 'report.html'}")


def _describe(pictures: CalibrationSet) -> str:
    return f"{len(pictures.files)} pictures of {pictures.source}"


def _measure(fp32: Model, pictures: CalibrationSet) -> dict[str, float]:
    from edge.cli.progress import counting
    from edge.model.fold import fold
    from edge.quant.implicit import measure_scales

    with counting("measuring", len(pictures.files)) as progress:
        return measure_scales(fold(fp32), pictures, progress)
