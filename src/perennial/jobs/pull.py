"""Pulling a SQL source: what to ask the database, and landing those rows of its answer that are not there yet.

The query runs between the two steps, by Airflow and its connection. What has been pulled is read from the landed files
themselves, and a file is put under the next number only if that is free: so a step that is killed, repeated, or run
twice at once loses no row and brings none twice.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perennial import keys
from perennial.datasets.arrow import arrow_schema
from perennial.datasets.pulled import PulledFiles
from perennial.datasets.text import holds_single_values
from perennial.errors import AlreadyExistsError, ConflictError, DataError, NotFoundError, SettingsError
from perennial.jobs.results import StepResult
from perennial.jobs.workspace import Workspace
from perennial.spec import SqlSource

ATTEMPTS = 20


class PullQuery(StepResult):
    """What to ask the database, and where its answer goes as Parquet.

    ``parameters`` are those of ``sql``, in the style ``%(since)s``: None at the first pull, which takes all rows.
    """

    source: str
    sql: str
    parameters: dict[str, str | None]
    bucket: str
    key: str


class PullLand(StepResult):
    """What came of an answer of ``rows`` rows: ``landed`` of them as the file ``key``, None where none was new.

    ``seen`` were there before. ``without_watermark`` are left out until they have one. ``newest`` is the newest
    watermark seen so far (ISO 8601), None where there is none.
    """

    source: str
    rows: int
    landed: int
    seen: int
    without_watermark: int
    key: str | None
    newest: str | None


def pull_query(w: Workspace, source: str) -> PullQuery:
    """Say what to ask a source for: rows from ``late`` behind the newest seen, or all of them at first.

    Raises:
        NotFoundError: the spec has no such source.
        SettingsError: the workspace has a store but names no bucket.
        DataError: the watermark is not the column it was.
    """
    asked = _source(w, source)
    if w.settings is None:
        raise SettingsError("No bucket is named for the answer of a query.", remedy="Set PERENNIAL_BUCKET.")
    reached = PulledFiles(w.store, w.spec, source).watermark()
    since = reached.text(asked.late, by=w.now()) if reached else None
    w.progress(f"source {source}: rows from {since} on" if since else f"source {source}: all rows, for the first time")
    return PullQuery(
        source=source,
        sql=statement(asked),
        parameters={"since": since},
        bucket=w.settings.bucket,
        key=keys.pull_staging(w.spec.name, source, w.run),
    )


def statement(source: SqlSource) -> str:
    """The query of a source, for the rows from the parameter ``since`` on, or all where that is NULL.

    Rows without a watermark come too. Names are those that the spec admits, quoted; no value is written into it.
    """
    if source.table is not None:
        rows = ".".join(f'"{part}"' for part in source.table.split("."))
    else:
        rows = f"(\n{(source.query or '').strip().rstrip(';')}\n)"
    rows = rows.replace("%", "%%")  # as a statement with parameters has its percent signs
    column = f'"{source.watermark}"'
    # The comparison comes first: by it the server knows the type of the parameter, which NULL has none of.
    condition = f"{column} >= %(since)s OR {column} IS NULL OR %(since)s IS NULL"
    return f"SELECT * FROM {rows} AS pulled WHERE {condition}"  # noqa: S608 - the spec's own words


def pull_land(w: Workspace, source: str) -> PullLand:
    """Land the new rows of what the query of this run gave.

    Raises:
        NotFoundError: the spec has no such source, or its query did not run.
        DataError: a column of the spec is missing; names source and column.
        ConflictError: other pulls were faster again and again.
    """
    watermark = _source(w, source).watermark
    answer = _staged(w, source)
    rows = answer.filter(pc.is_valid(answer.column(watermark))).sort_by(watermark)
    files = PulledFiles(w.store, w.spec, source)
    for _ in range(ATTEMPTS):
        numbers = files.numbers()
        reached = files.watermark()
        fresh = files.fresh(rows, numbers) if rows.num_rows else rows
        number = numbers[-1] + 1 if numbers else 1
        try:
            after = files.add(fresh, number, reached) if fresh.num_rows else reached
        except AlreadyExistsError:
            continue
        landed = PullLand(
            source=source,
            rows=answer.num_rows,
            landed=fresh.num_rows,
            seen=rows.num_rows - fresh.num_rows,
            without_watermark=answer.num_rows - rows.num_rows,
            key=keys.pulled(w.spec.name, source, number) if fresh.num_rows else None,
            newest=after.text() if after else None,
        )
        w.progress(
            f"source {source}: {landed.landed} new rows, {landed.seen} seen before, "
            f"{landed.without_watermark} without a {watermark}"
        )
        return landed
    raise ConflictError(f"Other pulls of source {source} keep landing files.", remedy="Try again.")


def _source(w: Workspace, name: str) -> SqlSource:
    if name not in w.spec.sources:
        has = ", ".join(w.spec.sources) or "none"
        raise NotFoundError(f"{w.spec.name} has no source {name}.", remedy=f"Its sources: {has}.")
    return w.spec.sources[name]


def _staged(w: Workspace, source: str) -> pa.Table:
    """The answer of the query, with every column that the spec and the source name."""
    key = keys.pull_staging(w.spec.name, source, w.run)
    found = w.store.find(key)
    if found is None:
        raise NotFoundError(f"{key} does not exist.", remedy="Run the source's query first.")
    try:
        table = pq.read_table(pa.BufferReader(found.data))
    except pa.ArrowException as error:
        raise DataError("is no Parquet.", file=key, remedy="Run the source's query again.") from error
    for column in (w.spec.sources[source].watermark, *arrow_schema(w.spec).names):
        if column not in table.column_names:
            raise DataError(
                "is missing in what the source gives.",
                file=f"source {source}",
                column=column,
                remedy=f"Name it so in the table or by AS in the query, which gives {', '.join(table.column_names)}.",
            )
        if not holds_single_values(table.column(column)):
            raise DataError(
                "holds nested values or bytes.",
                file=f"source {source}",
                column=column,
                remedy="Take a column of plain values; a query can make one.",
            )
    return table
