"""``init`` drafts a spec from a data file or a folder of pictures; ``land`` brings data to a model."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perennial.cli.output import Json, progress, show_json
from perennial.errors import DataError, SpecError
from perennial.settings import Settings
from perennial.spec import load_spec
from perennial.store_opening import open_store

if TYPE_CHECKING:
    from perennial.datasets.draft import Draft
    from perennial.datasets.labels import LandedLabels
    from perennial.datasets.landing import LandedFile
    from perennial.datasets.listing import Failure

SHOWN = 20
"""How many failures are told one by one."""


def register(app: typer.Typer) -> None:
    app.command()(init)
    app.command()(land)


def init(
    data: Annotated[
        Path, typer.Argument(help="A CSV or Parquet file, also gzipped CSV; or a folder of class folders.")
    ],
    target: Annotated[str, typer.Option(help="Column to predict; of pictures, what to call their class.")],
    name: Annotated[str, typer.Option(help="Name of the model, such as bike-sharing.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the spec.")] = Path("model.yaml"),
    id_column: Annotated[str | None, typer.Option("--id", help="Column that identifies a row.")] = None,
    time: Annotated[str | None, typer.Option(help="Time column: makes splits chronological.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing spec.")] = False,
    as_json: Json = False,
) -> None:
    """Draft model.yaml from a data file or a folder of pictures; read it before you use it."""
    if output.exists() and not force:
        raise SpecError("already exists.", file=str(output), remedy="Name another with -o, or give --force.")
    draft = _draft(data, target, id_column, time, name)
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


def _draft(data: Path, target: str, id_column: str | None, time: str | None, name: str) -> Draft:
    if not data.is_dir():
        from perennial.datasets.draft import draft_spec

        return draft_spec(data, target=target, id_column=id_column, time_column=time, name=name)
    from perennial.datasets.draft_pictures import draft_picture_spec

    if id_column is not None or time is not None:
        raise SpecError("Pictures have neither an id nor a time column.", remedy="Leave --id and --time away.")
    return draft_picture_spec(data, target, name)


def land(
    spec: Annotated[Path, typer.Argument(help="The model's model.yaml.")],
    files: Annotated[
        list[Path],
        typer.Argument(help="Data files; of pictures, folders of class folders or listings; with --labels, labels."),
    ],
    labels: Annotated[
        bool, typer.Option("--labels", help="The files hold ground truth by prediction_id or by the id column.")
    ] = False,
    failures: Annotated[
        Path | None, typer.Option(help="Write the pictures that could not be landed to this CSV file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put data files or pictures into the model's landing in S3; with --labels, what turned out true of predictions."""
    from perennial.datasets.labels import land_labels
    from perennial.datasets.landing import land as land_file

    model = load_spec(spec)
    store = open_store(Settings.load())
    landed: list[LandedFile | LandedLabels] = [
        land_labels(store, model, file) if labels else land_file(store, model, file, progress=progress)
        for file in files
    ]
    if failures is not None:
        _write_failures(failures, landed)
    if as_json:
        show_json([one.model_dump(mode="json") for one in landed])
        return
    for one in landed:
        typer.echo(f"{'landed' if one.new else 'already landed'}: {one.key}{_told(one)}")
        _tell_failures(_failed(one), failures)


def _told(one: LandedFile | LandedLabels) -> str:
    """What landed, beside its key."""
    from perennial.datasets.labels import LandedLabels
    from perennial.datasets.landing import LandedPictures

    match one:
        case LandedLabels():
            return f" ({one.labels:,} labels, {one.repeated:,} repeated)"
        case LandedPictures():
            return f" ({one.pictures:,} pictures, {one.known:,} known before, {len(one.failures):,} failed)"
        case _:
            return ""


def _failed(one: LandedFile | LandedLabels) -> tuple[Failure, ...]:
    from perennial.datasets.landing import LandedPictures

    return one.failures if isinstance(one, LandedPictures) else ()


def _tell_failures(failed: Sequence[Failure], written: Path | None) -> None:
    for one in failed[:SHOWN]:
        row = f", row {one.row}" if one.row is not None else ""
        typer.secho(f"  failed: {one.file}{row}: {one.reason}", fg=typer.colors.YELLOW, err=True)
    if len(failed) > SHOWN:
        where = f"all are in {written}" if written else "--failures FILE or --json lists all"
        typer.secho(f"  and {len(failed) - SHOWN:,} more; {where}", fg=typer.colors.YELLOW, err=True)


def _write_failures(path: Path, landed: Sequence[LandedFile | LandedLabels]) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as sink:
            lines = csv.writer(sink)
            lines.writerow(("file", "row", "reason"))
            lines.writerows((one.file, one.row, one.reason) for each in landed for one in _failed(each))
    except OSError as error:
        problem = f"cannot be written ({error.strerror})."
        raise DataError(problem, file=str(path), remedy="Name another with --failures.") from error
