"""``backbone`` adds frozen extractors of pictures, which specs name, and lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from perennial.cli.output import Json, show_json, show_table
from perennial.errors import DataError, ExportError, SettingsError
from perennial.settings import Settings
from perennial.store_opening import open_store

LARGEST = 1_000_000_000


def register(app: typer.Typer) -> None:
    commands = typer.Typer(
        name="backbone", help="Add frozen extractors of pictures, which specs name, or list them.", no_args_is_help=True
    )
    commands.command()(add)
    commands.command("list")(list_)
    app.add_typer(commands)


def add(
    name: Annotated[str, typer.Argument(help="What specs are to call it, such as mobilenetv2-035.")],
    file: Annotated[Path, typer.Argument(help="The extractor's graph, one ONNX file.")],
    layout: Annotated[str, typer.Option(help="NHWC: channels last, or NCHW: channels first.")],
    size: Annotated[int, typer.Option(help="Pixels a side that it takes.")],
    range_: Annotated[str, typer.Option("--range", help="What black and white become, such as -1:1.")] = "0:1",
    color: Annotated[str, typer.Option(help="Order of its channels: RGB or BGR.")] = "RGB",
    mean: Annotated[str | None, typer.Option(help="Taken away then, by channel: 0.485,0.456,0.406.")] = None,
    std: Annotated[str | None, typer.Option(help="What is left is divided by: 0.229,0.224,0.225.")] = None,
    output: Annotated[str | None, typer.Option(help="Value that holds the features, where it has several.")] = None,
    as_json: Json = False,
) -> None:
    """Add a graph from pictures to features: checked, brought to one form, run, and stored under a name for good."""
    from perennial.export.backbones import add_backbone
    from perennial.export.preparation import Preparation

    given = {
        "layout": layout.upper(),
        "size": size,
        "color": color.upper(),
        "range": _numbers("--range", range_, ":", 2),
        "output": output,
        **({"mean": _numbers("--mean", mean, ",", 3)} if mean is not None else {}),
        **({"std": _numbers("--std", std, ",", 3)} if std is not None else {}),
    }
    try:
        how = Preparation.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        option = f"--{first['loc'][0]}: " if first["loc"] else "--"
        raise SettingsError(f"{option}{first['msg'].removeprefix('Value error, ')}.") from error
    source = _read(file)
    try:
        added = add_backbone(open_store(Settings.load()), name, source, how)
    except ExportError as error:
        raise ExportError(f"{file}: {error.message}", remedy=error.remedy) from error
    found = added.backbone
    if as_json:
        show_json({"new": added.new, **found.model_dump(mode="json")})
        return
    told = "added" if added.new else "already added"
    typer.echo(f"{told}: {name}, {found.width:,} features of {size} x {size} pixels, {found.size:,} bytes")


def list_(as_json: Json = False) -> None:
    """List the extractors that specs can name."""
    from perennial.export.backbones import list_backbones

    rows = [
        {
            "name": one.name,
            "pixels": one.preparation.size,
            "features": one.width,
            "bytes": one.size,
            "layout": one.preparation.layout,
            "color": one.preparation.color,
            "digest": one.digest,
            "source": one.source,
        }
        for one in list_backbones(open_store(Settings.load()))
    ]
    show_table(rows, ("name", "pixels", "features", "bytes", "layout", "color", "digest"), as_json, "No backbones yet.")


def _numbers(option: str, text: str, separator: str, count: int) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(separator))
    except ValueError:
        found = ()
    if len(found) != count:
        example = separator.join(("-1", "1") if count == 2 else ("0.485", "0.456", "0.406"))
        raise SettingsError(f"{option}: {text!r} is not {count} numbers.", remedy=f"Write {example}.")
    return found


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > LARGEST:
            raise DataError("is too large for an extractor.", file=str(file), remedy="Name a smaller one.")
        return file.read_bytes()
    except OSError as error:
        problem = f"cannot be read ({error.strerror})."
        raise DataError(problem, file=str(file), remedy="Name the file of a graph.") from error
