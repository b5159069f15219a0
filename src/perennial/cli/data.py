"""``init`` drafts a spec from a data file; ``land`` brings data files to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perennial.cli.output import Json, show_json
from perennial.errors import SpecError
from perennial.settings import Settings
from perennial.spec import load_spec
from perennial.store_opening import open_store


def register(app: typer.Typer) -> None:
    app.command()(init)
    app.command()(land)


def init(
    data: Annotated[Path, typer.Argument(help="A CSV or Parquet file, also gzipped CSV.")],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    name: Annotated[str, typer.Option(help="Name of the model, such as bike-sharing.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the spec.")] = Path("model.yaml"),
    id_column: Annotated[str | None, typer.Option("--id", help="Column that identifies a row.")] = None,
    time: Annotated[str | None, typer.Option(help="Time column: makes splits chronological.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing spec.")] = False,
    as_json: Json = False,
) -> None:
    """Draft model.yaml from a data file; read it before you use it."""
    from perennial.datasets.draft import draft_spec

    if output.exists() and not force:
        raise SpecError("already exists.", file=str(output), remedy="Name another with -o, or give --force.")
    draft = draft_spec(data, target=target, id_column=id_column, time_column=time, name=name)
    try:
        output.write_text(draft.text, encoding="utf-8")
    except OSError as error:
        problem = f"cannot be written ({error.strerror})."
        raise SpecError(problem, file=str(output), remedy="Name another with -o.") from error
    if as_json:
        show_json({"spec": str(output), "warnings": list(draft.warnings)})
        return
    for warning in draft.warnings:
        typer.secho(f"warning: {warning}", fg=typer.colors.YELLOW, err=True)
    typer.echo(f"Wrote {output}. Read it, then: perennial land {output} {data} && perennial cycle {output}")


def land(
    spec: Annotated[Path, typer.Argument(help="The model's model.yaml.")],
    files: Annotated[list[Path], typer.Argument(help="Data files to land; with --labels, label files.")],
    labels: Annotated[
        bool, typer.Option("--labels", help="The files hold ground truth by prediction_id or by the id column.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put data files into the model's landing folder in S3; with --labels, what turned out true of predictions."""
    from perennial.datasets.labels import LandedLabels, land_labels
    from perennial.datasets.landing import LandedFile
    from perennial.datasets.landing import land as land_file

    model = load_spec(spec)
    store = open_store(Settings.load())
    landed: list[LandedFile | LandedLabels] = [
        land_labels(store, model, file) if labels else land_file(store, model, file) for file in files
    ]
    if as_json:
        show_json([one.model_dump(mode="json") for one in landed])
        return
    for one in landed:
        told = f" ({one.labels:,} labels, {one.repeated:,} repeated)" if isinstance(one, LandedLabels) else ""
        typer.echo(f"{'landed' if one.new else 'already landed'}: {one.key}{told}")
