"""What a SQL source has brought so far: its numbered files in landing, each of which is a commit.

A file says in its Parquet metadata how far the source had been read when it was written, itself included. So the
newest file alone tells where to go on, and files older than a given moment need not be looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from perennial import keys
from perennial.canonical import canonical
from perennial.datasets.arrow import arrow_schema
from perennial.datasets.text import text_of
from perennial.datasets.watermark import Watermark, watermarks
from perennial.errors import DataError, IntegrityError
from perennial.spec import ModelSpec, SqlSource
from perennial.store import Store

NOTE = b"perennial.watermark"


@dataclass(frozen=True)
class PulledFiles:
    """The files that the source ``name`` of a model has brought."""

    store: Store
    spec: ModelSpec
    name: str

    @property
    def source(self) -> SqlSource:
        return self.spec.sources[self.name]

    def numbers(self) -> list[int]:
        """Numbers of the files that are there, ascending."""
        paths = [PurePosixPath(entry.key) for entry in self.store.list(keys.pulled_files(self.spec.name, self.name))]
        return sorted(int(path.stem) for path in paths if path.suffix == ".parquet" and path.stem.isdigit())

    def watermark(self) -> Watermark | None:
        """How far the source has been read, or None before the first file.

        Raises:
            IntegrityError: its newest file is none that a pull wrote.
            DataError: its watermark was another column then.
        """
        numbers = self.numbers()
        return self._open(numbers[-1])[1] if numbers else None

    def fresh(self, rows: pa.Table, numbers: Sequence[int]) -> pa.Table:
        """The rows that none of the files ``numbers`` has. Each of ``rows`` has a watermark.

        A row is known by the model's id and its watermark, so one that changed since is new; where there is no id, by
        all columns of the spec. Of rows that cannot be told apart, those beyond the number there was before are new.
        """
        moments = self._moments(rows)
        since = pc.min(moments).as_py()
        earlier = list(self._back_to(since, numbers))
        columns = self._identity([rows.column_names, *(file.schema_arrow.names for file in earlier)])
        seen: Counter[tuple[str | None, ...]] = Counter()
        for file in earlier:
            table = file.read([*columns, self.source.watermark])
            table = table.filter(pc.greater_equal(self._moments(table), since))
            seen.update(self._told_apart(table, columns))
        if not seen:
            return rows
        new = []
        for row in self._told_apart(rows, columns):
            new.append(not seen[row])
            seen[row] -= bool(seen[row])
        return rows.filter(pa.array(new, pa.bool_()))

    def add(self, rows: pa.Table, number: int, before: Watermark | None) -> Watermark:
        """Put rows as the file ``number``, which commits them, and return how far the source is read by now.

        Raises:
            AlreadyExistsError: another pull was faster; look at its file and take another number.
            DataError: the watermark's column does not hold what it held before.
        """
        kind, moments = watermarks(rows.column(self.source.watermark), self.source.watermark, self.name)
        if before and before.kind != kind:
            raise self._changed(f"holds a {kind}, but held a {before.kind} before.")
        newest = max(pc.max(moments).as_py(), before.newest if before else pc.max(moments).as_py())
        after = Watermark(column=self.source.watermark, kind=kind, newest=newest)
        sink = pa.BufferOutputStream()
        pq.write_table(rows.replace_schema_metadata({NOTE: canonical(after.model_dump(mode="json"))}), sink)
        self.store.put_new(keys.pulled(self.spec.name, self.name, number), sink.getvalue().to_pybytes())
        return after

    def _back_to(self, since: int, numbers: Sequence[int]) -> Iterator[pq.ParquetFile]:
        """The files that may hold a row of ``since`` (microseconds) or later, newest first."""
        for number in reversed(numbers):
            file, watermark = self._open(number)
            if watermark.newest < since:
                return
            yield file

    def _open(self, number: int) -> tuple[pq.ParquetFile, Watermark]:
        key = keys.pulled(self.spec.name, self.name, number)
        try:
            file = pq.ParquetFile(pa.BufferReader(self.store.get(key).data))
            watermark = Watermark.model_validate_json((file.schema_arrow.metadata or {})[NOTE])
        except (pa.ArrowException, KeyError, ValidationError) as error:
            raise IntegrityError(f"{key} is none that a pull wrote.", remedy="Move it to another folder.") from error
        if watermark.column != self.source.watermark:
            raise self._changed(f"is the watermark, but '{watermark.column}' was it before.")
        return file, watermark

    def _moments(self, table: pa.Table) -> pa.Array:
        return watermarks(table.column(self.source.watermark), self.source.watermark, self.name)[1]

    def _identity(self, tables: Sequence[Sequence[str]]) -> list[str]:
        """The columns that, with the watermark, tell rows apart in all of the tables."""
        common = set.intersection(*map(set, tables)) - {self.source.watermark}
        if self.spec.id in common:
            return [self.spec.id] if self.spec.id else []
        return [column for column in arrow_schema(self.spec).names if column in common]

    def _told_apart(self, table: pa.Table, columns: Sequence[str]) -> Iterator[tuple[str | None, ...]]:
        """Each row by its watermark and these columns, as the texts that a dataset reads them as."""
        texts = [text_of(table.column(column).combine_chunks()).to_pylist() for column in columns]
        return zip(self._moments(table).to_pylist(), *texts, strict=True)

    def _changed(self, problem: str) -> DataError:
        return DataError(
            problem,
            file=f"source {self.name}",
            column=self.source.watermark,
            remedy="Its rows cannot be compared with the earlier ones: give the source a new name in the spec.",
        )
