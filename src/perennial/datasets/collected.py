"""Files of labelled predictions in landing: rows as any other, with the id of the prediction in their last column.

Such a file is the archive of what was collected: the object itself is the commit, and what it holds is not collected
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from perennial import keys
from perennial.datasets.arrow import arrow_schema
from perennial.datasets.parts import part_bytes
from perennial.datasets.unpack import is_parquet
from perennial.errors import IntegrityError
from perennial.spec import ModelSpec
from perennial.store import Store

CollectedKind = Literal["feedback", "labels"]
KINDS: tuple[CollectedKind, ...] = ("labels", "feedback")
"""Those of label files first: where both tell the truth of a prediction, they are believed."""

PREDICTION_ID = "prediction_id"
_RUN, _AT = b"perennial.run", b"perennial.at"


@dataclass(frozen=True)
class CollectedFile:
    """One collected file: its key and number, the run that collected it and when, and the predictions it holds.

    ``ids`` are those of their records, row by row, where the spec names an id.
    """

    key: str
    kind: CollectedKind
    number: int
    run: str
    at: datetime | None
    predictions: tuple[str, ...]
    ids: tuple[str | None, ...]


def collected_bytes(spec: ModelSpec, rows: pa.Table, predictions: pa.ChunkedArray, run: str, at: datetime) -> bytes:
    """A file of ``rows``, which have the columns of ``arrow_schema(spec)``; the same bytes from the same input."""
    table = rows.append_column(_column_name(arrow_schema(spec).names), predictions)
    return part_bytes(table, {_RUN: run.encode(), _AT: at.isoformat().encode()})


def read_collected(store: Store, spec: ModelSpec, kind: CollectedKind) -> Iterator[CollectedFile]:
    """Every file collected of a kind, by number. Raises IntegrityError for one that is damaged."""
    prefix = keys.landing(spec.name, f"{kind}/")
    for entry in store.list(prefix):
        name = entry.key.removeprefix(prefix).removesuffix(".parquet")
        if name.isdigit() and entry.key == keys.collected(spec.name, kind, int(name)):
            predictions, ids, said = _read(entry.key, store.get(entry.key).data, spec.id)
            at = said.get(_AT)
            yield CollectedFile(
                key=entry.key,
                kind=kind,
                number=int(name),
                run=said.get(_RUN, b"").decode(),
                at=datetime.fromisoformat(at.decode()) if at else None,
                predictions=predictions,
                ids=ids,
            )


def read_predictions(store: Store, key: str) -> tuple[str, ...]:
    """The predictions that a file of landing holds; none where another tool put it there.

    Raises:
        IntegrityError: it is damaged.
    """
    return _read(key, store.get(key).data)[0]


def prediction_column(names: Iterable[str]) -> str | None:
    """Which column of a file holds prediction ids, if one does."""
    last = list(names)[-1:]
    return last[0] if last and last[0].lstrip("_") == PREDICTION_ID else None


def _read(
    key: str, data: bytes, id_column: str | None = None
) -> tuple[tuple[str, ...], tuple[str | None, ...], Mapping[bytes, bytes]]:
    """The prediction ids, the ids of the records, and what is said of the file."""
    if not is_parquet(data):
        return (), (), {}
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        names = file.schema_arrow.names
        column = prediction_column(names)
        if column is None:
            return (), (), {}
        table = file.read(columns=[name for name in (column, id_column) if name in names])
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(f"{key} is damaged.", remedy="Restore it from a backup.") from error
    ids = table.column(id_column).to_pylist() if id_column in names else []
    return tuple(table.column(column).to_pylist()), tuple(ids), file.metadata.metadata or {}


def _column_name(taken: Iterable[str]) -> str:
    """``prediction_id``, out of the way of a spec that has a column of that name."""
    used, name = set(taken), PREDICTION_ID
    while name in used:
        name = f"_{name}"
    return name
