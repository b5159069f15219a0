"""``predict`` asks the champion for one record or picture, in this process: the same predictor the API uses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perennial.cli.output import Json, show_json
from perennial.errors import DataError, InvalidPicture, NotFoundError
from perennial.settings import Settings
from perennial.store_opening import open_store

if TYPE_CHECKING:
    from perennial.images.record import ImageRecord
    from perennial.serving.explain import Explanation
    from perennial.serving.predictor import Prediction, Predictor

MAX_BYTES = 1_000_000
_SHADES = " ░▒▓█"


def register(app: typer.Typer) -> None:
    app.command()(predict)


def predict(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    record: Annotated[
        str, typer.Argument(help="One record as JSON, or the file of a picture; @file reads a file, - standard input.")
    ],
    version: Annotated[str | None, typer.Option(help="Another version than the champion.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Of a picture, say where the model looked.")] = False,
    as_json: Json = False,
) -> None:
    """Predict one record or picture."""
    from perennial.registry.registry import Registry
    from perennial.serving.load import load

    store = open_store(Settings.load())
    if version is None:
        head = Registry(store).head(model)
        if head is None:
            raise NotFoundError(f"Model {model} has no champion.", remedy="See `perennial models`.")
        version = head.version
    predictor = load(store, model, version)
    if predictor.manifest.pixels is None:
        if explain:
            raise DataError("--explain is for models of pictures.", remedy=f"Leave it out: {model} takes records.")
        answer, explanation = predictor.predict([predictor.schema.validate_json(_body(record))])[0], None
    else:
        answer, explanation = _of_picture(predictor, _picture(record), explained=explain)
    if as_json:
        content = {"prediction": answer.prediction, "probabilities": answer.probabilities, "version": version}
        show_json(content if explanation is None else {**content, "explanation": explanation.content()})
        return
    typer.echo(answer.prediction)
    for name, probability in sorted((answer.probabilities or {}).items(), key=lambda pair: -pair[1]):
        typer.echo(f"  {probability:7.2%}  {name}")
    if explanation is not None:
        typer.echo(_drawn(explanation))


def _of_picture(predictor: Predictor, record: ImageRecord, *, explained: bool) -> tuple[Prediction, Explanation | None]:
    from perennial.serving.explain import explain

    pixels = predictor.frame(record)
    [answer] = predictor.predict_framed([pixels])
    return answer, explain(predictor, pixels, answer) if explained else None


def _picture(given: str) -> ImageRecord:
    from perennial.images.decode import MAX_BYTES as MAX_PICTURE_BYTES
    from perennial.images.record import read_record

    name = given.removeprefix("@")
    if given == "-":
        data = sys.stdin.buffer.read(MAX_PICTURE_BYTES + 1)
    else:
        try:
            with Path(name).open("rb") as file:
                data = file.read(MAX_PICTURE_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no file can be called so"
            raise DataError(f"cannot be read ({reason}).", file=name[:256], remedy="Name a picture.") from error
    try:
        return read_record(data)
    except InvalidPicture as error:
        raise DataError(error.message, file=name, remedy=error.remedy) from error


def _drawn(explanation: Explanation) -> str:
    """The grid in shades: the darker, the more the answer depends on that part of the picture."""
    most = max(max(row) for row in explanation.drops)
    lines = [
        "".join(2 * _SHADES[round(max(0.0, drop) / most * (len(_SHADES) - 1)) if most > 0 else 0] for drop in row)
        for row in explanation.drops
    ]
    title = f"What makes it {explanation.label}: covering a cell costs up to {max(most, 0.0):.2%}."
    return "\n".join([title, *(f"  |{line}|" for line in lines)])


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
