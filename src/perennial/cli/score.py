"""``score`` puts a file through a version of a model, in this process: the same scorer the function and Spark use."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perennial.cli.output import Json, complain, show_json
from perennial.cli.registry import known, versions_of
from perennial.cli.score_terminal import progress_bar, terminable
from perennial.errors import DataError, NotFoundError
from perennial.serving.batch_job import OutputFormat
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store

if TYPE_CHECKING:
    from perennial.scoring.pictures.places import LocalPlaces
    from perennial.scoring.results import Refused, Summary
    from perennial.scoring.source import BytesSource, LocalSource
    from perennial.scoring.writing import QuarantineWriter
    from perennial.serving.predictor import Predictor

INTERRUPTED = 130
REASONS = 3
"""As many of the reasons for which rows were refused are shown."""


def register(app: typer.Typer) -> None:
    app.command()(score)


def score(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="CSV, JSON Lines (both also gzipped) or Parquet; told apart by content. For a model of pictures a "
            "folder or zip of them, one, or such a file as a listing of their paths.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where the rows go: NAME.csv or NAME.parquet.")],
    version: Annotated[str | None, typer.Option(help="Another version than the champion.")] = None,
    keep: Annotated[str, typer.Option(help="Columns of the input to copy beside the predictions: all, or a,b,c.")] = "",
    quarantine: Annotated[
        Path | None, typer.Option(help="Where rows that do not fit go; OUT's name with .quarantine.csv by default.")
    ] = None,
    output_format: Annotated[
        OutputFormat | None, typer.Option("--format", help="Where OUT's name does not say it.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads that parse and score; one a CPU by default.", min=1)
    ] = None,
    as_json: Json = False,
) -> None:
    """Score a file: every row comes back with its prediction, or goes to the quarantine with the reason."""
    from perennial.scoring.local import format_of, writable

    if data.parts[:1] == ("s3:",):
        remedy = f"Copy it here, or to {model}/batch/in/ of the bucket: then `perennial batches {model}` tells of it."
        raise DataError("is no file of this machine.", file=str(data).replace(":/", "://", 1), remedy=remedy)
    task = _Task(
        model=model, data=data, out=writable(out, data), format=format_of(out, output_format),
        quarantine=writable(quarantine or out.with_name(f"{out.stem}.quarantine.csv"), data, out),
        keep=True if keep.strip() == "all" else tuple(name.strip() for name in keep.split(",") if name.strip()),
        threads=threads,
    )  # fmt: skip
    started = time.monotonic()
    try:
        with terminable():
            done = _score(task, open_store(Settings.load()), version)
    except KeyboardInterrupt:
        typer.secho("Stopped; nothing was written.", fg=typer.colors.YELLOW, err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        show_json(done.told())
    else:
        _show(done, time.monotonic() - started)
    if done.summary.counts.rows and not done.summary.counts.scored:
        complain(DataError("holds no row that could be scored.", file=str(data), remedy=f"See {task.quarantine}."))


@dataclass(frozen=True)
class _Task:
    """What was asked for, checked."""

    model: str
    data: Path
    out: Path
    format: OutputFormat
    quarantine: Path
    keep: bool | tuple[str, ...]
    threads: int | None


@dataclass(frozen=True)
class _Done:
    """What came of it; ``reasons`` counts each (column, reason)."""

    task: _Task
    version: str
    summary: Summary
    reasons: Counter[tuple[str | None, str]]

    @property
    def quarantine(self) -> str | None:
        return str(self.task.quarantine) if self.summary.counts.quarantined else None

    def told(self) -> dict[str, Any]:
        """For programs."""
        return {
            "model": self.task.model, "version": self.version, "input": str(self.task.data),
            "output": str(self.task.out), "format": self.task.format, **self.summary.counts.model_dump(),
            "quarantine": self.quarantine, "warnings": list(self.summary.warnings),
            "reasons": [
                {"column": column, "reason": reason, "rows": rows}
                for (column, reason), rows in self.reasons.most_common(20)
            ],
        }  # fmt: skip


@dataclass(frozen=True)
class _Counted:
    """The quarantine, and how often each reason was given."""

    writer: QuarantineWriter
    reasons: Counter[tuple[str | None, str]] = field(default_factory=Counter)

    def write(self, refused: Sequence[Refused]) -> None:
        self.reasons.update((one.column, one.reason) for one in refused)
        self.writer.write(refused)


def _score(task: _Task, store: Store, version: str | None) -> _Done:
    with ThreadPoolExecutor(1) as aside:  # S3 answers while Arrow is imported
        coming = aside.submit(_load, store, task.model, version)
        from perennial.scoring.dialect import sniff
        from perennial.scoring.files import score_file
        from perennial.scoring.local import draft
        from perennial.scoring.scorer import Scorer
        from perennial.scoring.writing import QuarantineWriter, writer_of
    predictor = coming.result()
    version = predictor.manifest.version
    source = _source(task, predictor)
    dialect = sniff(source, predictor.manifest.spec)
    scorer = Scorer(predictor, names=dialect.columns, keep=task.keep, file=str(task.data))
    try:
        with draft(task.out) as rows, draft(task.quarantine) as refused, progress_bar(source.size) as progress:
            writer = writer_of(task.format, rows.sink, scorer.schema)
            counted = _Counted(QuarantineWriter(refused.sink))
            summary = score_file(
                scorer, source, dialect, writer, counted, progress=progress, threads=task.threads,
                places=_places(task, store) if dialect.column else None,
            )  # fmt: skip
            writer.close()
            counted.writer.close()
            if summary.counts.quarantined:
                refused.keep()
            else:
                task.quarantine.unlink(missing_ok=True)  # of an earlier run, whose rows these are not
            rows.keep()
    finally:
        source.close()
    return _Done(task, version, summary, counted.reasons)


def _source(task: _Task, predictor: Predictor) -> LocalSource | BytesSource:
    """What is read: the file, or of a folder a listing of what is in it. Raises DataError."""
    from perennial.scoring.source import LocalSource

    if not task.data.is_dir() or predictor.manifest.pixels is None:
        return LocalSource(task.data)
    from perennial.scoring.pictures.folder import folder_source

    return folder_source(task.data, leave_out=(task.out, task.quarantine))


def _places(task: _Task, store: Store) -> LocalPlaces:
    from perennial.scoring.pictures.places import LocalPlaces

    return LocalPlaces(task.data if task.data.is_dir() else task.data.parent, store, task.model)


def _load(store: Store, model: str, version: str | None) -> Predictor:
    """The version asked for, or the champion. Raises NotFoundError."""
    from perennial.registry.registry import Registry
    from perennial.serving.load import load

    registry = Registry(store)
    if version is None:
        head = registry.head(model)
        if head is None:
            there = versions_of(registry, model)
            raise NotFoundError(
                f"Model {model} has no champion yet.", remedy=f"Name a version by --version: {', '.join(there)}."
            )
        version = head.version
    else:
        known(registry, model, version)
    return load(store, model, version)


def _show(done: _Done, seconds: float) -> None:
    counts = done.summary.counts
    for warning in done.summary.warnings:
        typer.secho(f"warning: {warning}", fg=typer.colors.YELLOW, err=True)
    rate = f"{seconds:.1f} s, {counts.rows / max(seconds, 1e-3):,.0f} rows/s"
    typer.echo(f"Scored {counts.scored:,} of {counts.rows:,} rows by {done.task.model} {done.version} ({rate}).")
    typer.echo(f"  {done.task.out}")
    if done.quarantine:
        rows_that = "row that does" if counts.quarantined == 1 else "rows that do"
        typer.echo(f"  {done.quarantine}: {counts.quarantined:,} {rows_that} not fit")
        shown = done.reasons.most_common(REASONS)
        for (column, reason), rows in shown:
            typer.echo(f"    {rows:,}: {f'{column!r} ' if column else ''}{reason}")
        if others := counts.quarantined - sum(rows for _, rows in shown):
            typer.echo(f"    {others:,}: for {'another reason' if others == 1 else 'other reasons'}")
