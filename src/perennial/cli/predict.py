"""``predict`` asks the champion for one record, in this process: the same predictor the API uses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from perennial.cli.output import Json, show_json
from perennial.errors import DataError, NotFoundError
from perennial.settings import Settings
from perennial.store_opening import open_store

MAX_BYTES = 1_000_000


def register(app: typer.Typer) -> None:
    app.command()(predict)


def predict(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    record: Annotated[str, typer.Argument(help="One record as JSON; @file reads a file, - standard input.")],
    version: Annotated[str | None, typer.Option(help="Another version than the champion.")] = None,
    as_json: Json = False,
) -> None:
    """Predict one record."""
    from perennial.registry.registry import Registry
    from perennial.serving.load import load

    store = open_store(Settings.load())
    if version is None:
        head = Registry(store).head(model)
        if head is None:
            raise NotFoundError(f"Model {model} has no champion.", remedy="See `perennial models`.")
        version = head.version
    predictor = load(store, model, version)
    answer = predictor.predict([predictor.schema.validate_json(_body(record))])[0]
    if as_json:
        show_json({"prediction": answer.prediction, "probabilities": answer.probabilities, "version": version})
        return
    typer.echo(answer.prediction)
    for name, probability in sorted((answer.probabilities or {}).items(), key=lambda pair: -pair[1]):
        typer.echo(f"  {probability:7.2%}  {name}")


def _body(record: str) -> bytes:
    if record == "-":
        return sys.stdin.buffer.read(MAX_BYTES)
    if not record.startswith("@"):
        if "{" not in record and len(record) < 256 and Path(record).is_file():
            raise DataError("is a file, not a record.", file=record, remedy=f"Write @{record} to read it.")
        return record.encode("utf-8", "surrogateescape")
    try:
        return Path(record[1:]).read_bytes()[:MAX_BYTES]
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror}).", file=record[1:]) from error
