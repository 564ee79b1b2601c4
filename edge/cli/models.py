"""`edge models`: what there is by name, what a file says of itself, and how to get more."""

from __future__ import annotations

import json
from pathlib import Path

import click

LIST_VERSION = 1


@click.group()
def models() -> None:
    """List, show, fetch and import models.

    \b
    Example:
      edge models list
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(as_json: bool) -> None:
    """List the models that edge knows by name.

    \b
    Example:
      edge models list
    """
    from edge.model.zoo import list_models

    rows = [
        {
            "name": entry.name,
            "here": entry.is_here(),
            "size_bytes": entry.size_bytes,
            "licence": entry.licence,
            "summary": entry.summary,
        }
        for entry in list_models()
    ]
    if as_json:
        click.echo(json.dumps({"version": LIST_VERSION, "models": rows}, indent=2))
        return
    width = max(len(str(row["name"])) for row in rows)
    for row in rows:
        state = "here" if row["here"] else "pull"
        click.echo(f"{row['name']:{width}}  {state}  {row['size_bytes']:>9,} B  {row['summary']}")


@models.command("show")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every label.")
def show_command(model: str, as_json: bool) -> None:
    """Show the preprocessing, labels and licence in MODEL (a file or a name).

    \b
    Example:
      edge models show squeezenet8
    """
    from edge.model.onnx_file import load_model
    from edge.model.zoo import resolve_model

    path = resolve_model(model)
    loaded = load_model(path)
    contract = loaded.contract
    if as_json:
        facts = {
            "version": LIST_VERSION,
            "file": str(path),
            "sha256": loaded.sha256(),
            "parameters": loaded.parameters,
            "precision": "int8" if loaded.is_int8 else "fp32",
            "contract": json.loads(contract.to_json()),
        }
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    height, width = contract.input_hw
    resize = (
        f"short side to {contract.resize_short_px}, middle {height} x {width}"
        if contract.resize == "short"
        else f"stretched to {height} x {width}"
    )
    labels = ", ".join(contract.labels[:8]) + (", ..." if len(contract.labels) > 8 else "")
    rows = {
        "name": contract.name,
        "file": f"{path} ({path.stat().st_size:,} bytes)",
        "precision": "int8" if loaded.is_int8 else "fp32",
        "parameters": f"{loaded.parameters:,}",
        "input": f"{resize}, {contract.channel_order}, mean {contract.mean}, std {contract.std}",
        "output": f"{len(contract.labels)} {contract.output}",
        "labels": labels,
        "licence": contract.licence,
        "source": contract.source,
    }
    for key, value in rows.items():
        click.echo(f"{key:11}{value}")


@models.command("pull")
@click.argument("name")
@click.option("--url", help="Mirror to use instead of the public origin; the sha256 stays pinned.")
def pull_command(name: str, url: str | None) -> None:
    """Fetch model NAME from its public origin, check its sha256 and import it.

    \b
    Example:
      edge models pull squeezenet1.0
    """
    from edge.cli.progress import downloading
    from edge.model.pull import pull_model

    with downloading(name) as progress:
        path = pull_model(name, url=url, progress=progress)
    click.echo(f"{path}: ready. Use it with: edge run demo --model {name}")


@models.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="ONNX to write."
)
@click.option("--labels", type=click.Path(path_type=Path), help="Class names, one a line, or CSV.")
@click.option("--size", type=click.IntRange(1), help="Side of the square input in pixels.")
@click.option(
    "--resize-short", type=click.IntRange(1), help="Short side after the resize, before the crop."
)
@click.option(
    "--resize",
    type=click.Choice(["short", "stretch"]),
    help="Resize the short side and crop, or stretch.",
)
@click.option(
    "--order", type=click.Choice(["BGR", "RGB"]), help="Channel order of the network's input."
)
@click.option(
    "--mean", type=float, nargs=3, help="Mean of each channel, in that order; pixels are 0 to 255."
)
@click.option("--std", type=float, nargs=3, help="Standard deviation of each, likewise.")
@click.option(
    "--scores", type=click.Choice(["logits", "probabilities"]), help="What the network gives."
)
@click.option("--licence", help="Licence of the weights.")
@click.option("--source", help="Where the weights come from.")
def import_command(
    file: Path,
    output: Path,
    labels: Path | None,
    size: int | None,
    resize_short: int | None,
    resize: str | None,
    order: str | None,
    mean: tuple[float, float, float] | None,
    std: tuple[float, float, float] | None,
    scores: str | None,
    licence: str | None,
    source: str | None,
) -> None:
    """Turn FILE into an ONNX that carries its preprocessing and labels.

    FILE is the author's compressed SqueezeNet 1.0 (.net), ncnn's float16 SqueezeNet 1.1 (.bin),
    or any image classifier's ONNX with --labels. An ONNX is taken to want what torchvision's
    models want, unless options say otherwise: RGB, ImageNet's mean and deviation, and a short
    side of 8/7 of the input (256 for 224).

    \b
    Example:
      edge models import compressed_SqueezeNet.net -o squeezenet1.0.onnx
    """
    from edge.model.importers import ContractFlags, import_model, read_labels
    from edge.model.onnx_file import save_model

    flags = ContractFlags(
        labels=read_labels(labels) if labels else None,
        size_px=size,
        resize_short_px=resize_short,
        resize=resize,  # type: ignore[arg-type] # Click checked the choice
        channel_order=order,  # type: ignore[arg-type] # Click checked the choice
        mean=mean,
        std=std,
        output=scores,  # type: ignore[arg-type] # Click checked the choice
        licence=licence,
        source=source,
    )
    model = import_model(file, flags)
    save_model(model, output)
    click.echo(
        f"{output}: {model.contract.name}, {model.parameters:,} parameters,"
        f" {len(model.contract.labels)} classes, {output.stat().st_size:,} bytes"
    )
