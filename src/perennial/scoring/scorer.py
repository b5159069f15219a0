"""Units of a file through the one predictor: parsed, checked, scored, and given back as Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial.datasets.cells import FINE
from perennial.datasets.reading import RawFile
from perennial.scoring.arranging import arranged
from perennial.scoring.cell_text import cell_text
from perennial.scoring.columns import Encoded, encode_columns
from perennial.scoring.layout import layout
from perennial.scoring.pictures.rows import PictureRows
from perennial.scoring.refusals import Reason, malformed, refusals
from perennial.scoring.results import FILE, Refused, ScoredBlock, Unit
from perennial.serving.predictor import Matrix, Predictor, Scores

RUN_ROWS = 16_384
"""Rows that go through the graph at once: what it holds in between stays small whatever the unit."""
WORTH_SORTING = 1024
"""Rows from which on they are sorted where the graph says by what."""
NO_ANSWER = "has values to which the model has no finite answer; are they far out of range?"

_Answered = tuple[list[Refused], NDArray[np.intp] | None, Matrix, Scores]
"""The rows that break a rule, the places of the others (None: all), and those in numbers, with their scores."""


class Scorer:
    """One version of a model, and one way of writing files, laid side by side. Safe to share between threads.

    ``spec`` is the model's, ``schema`` that of the rows that come back, ``kept`` the file's columns that are copied
    into them; ``warnings`` are sentences for people about the file's columns.
    """

    def __init__(
        self, predictor: Predictor, *, names: Sequence[str], keep: bool | Sequence[str] = False, file: str = "The file"
    ) -> None:
        """``names`` are the file's columns, trimmed; ``keep`` those to give back beside the prediction, or all of them.

        Raises:
            DataError: a column the model needs, or one that is to be kept, is missing or stands there twice.
        """
        manifest = predictor.manifest
        found = layout(manifest, names, keep, file)
        self.schema: pa.Schema = found.schema
        self.warnings = found.warnings
        self._predictor = predictor
        self._frame = manifest.pixels
        self._sort_columns = predictor.sort_columns
        self.spec = manifest.spec
        self._version = manifest.version
        self._classes = pa.array(manifest.classes, pa.string())
        self._copied = found.copied
        self.kept = tuple(found.copied.values())
        self._places = {column.name: place for place, column in enumerate(predictor.schema.columns)}

    def score(self, unit: Unit) -> ScoredBlock:
        """Score one unit; rows are numbered from 1 within it, refused ones in the order of their rows.

        Raises:
            DataError: the file cannot be read on.
        """
        raw = unit.read()
        refused, places, x, scores = self._looked(raw) if isinstance(raw, PictureRows) else self._answered(unit, raw)
        unanswered = _unanswered(scores)
        if unanswered is not None:
            at = np.arange(len(raw.rows)) if places is None else places
            refused += refusals(_as_it_stands(unit, raw), at[unanswered], [(None, NO_ANSWER)] * int(unanswered.sum()))
            places, x, scores = at[~unanswered], x[~unanswered], _chosen(scores, ~unanswered)
        if raw.malformed or unanswered is not None:
            refused = sorted(refused + malformed(raw), key=lambda one: one.row)
        table = self._table(raw, places, x, scores)
        return ScoredBlock(table, tuple(refused), len(raw.rows) + len(raw.malformed), unit.end)

    def _answered(self, unit: Unit, raw: RawFile) -> _Answered:
        encoded = encode_columns(raw, self.spec)
        refused, places = _refused(unit, raw, encoded)
        x = encoded.x if places is None else encoded.x[places]
        return refused, places, x, self._run(x)

    def _looked(self, rows: PictureRows) -> _Answered:
        """The same of pictures: refused are those that cannot be got at or read."""
        from perennial.scoring.pictures.seeing import see  # Pillow is imported where there are pictures

        assert self._frame is not None  # its dialect has rows of pictures only where the spec has them
        seen = see(rows.fetch, self._frame)
        refused = refusals(rows, seen.broken, [(FILE, reason) for reason in seen.why])
        return refused, seen.places, seen.x, self._predictor.look(seen.pixels)

    def _run(self, x: Matrix) -> Scores:
        parts = [self._run_part(x[start : start + RUN_ROWS]) for start in range(0, max(len(x), 1), RUN_ROWS)]
        return Scores(
            _joined([part.labels for part in parts]),
            _joined([part.probabilities for part in parts]),
            _joined([part.values for part in parts]),
        )

    def _run_part(self, x: Matrix) -> Scores:
        if not self._sort_columns or len(x) < WORTH_SORTING:
            return self._predictor.run(x)
        order = arranged(x, self._sort_columns)
        found = self._predictor.run(x[order])
        return Scores(*(None if part is None else _put_back(part, order) for part in found))

    def _table(self, raw: RawFile, places: NDArray[np.intp] | None, x: Matrix, scores: Scores) -> pa.Table:
        take = None if places is None else pa.array(places)
        rows = raw.rows if places is None else raw.rows[places]
        columns = [pa.array(rows)]
        for field in list(self.schema)[1 : 1 + len(self._copied)]:
            columns.append(self._copy(raw, self._copied[field.name], field.type, take, x))
        if scores.values is not None:
            columns.append(pa.array(scores.values.reshape(-1)))
        else:
            assert scores.labels is not None and scores.probabilities is not None  # not a regression
            columns.append(self._classes.take(pa.array(scores.labels)))
            columns += [pa.array(np.ascontiguousarray(one)) for one in scores.probabilities.T]
        columns.append(pa.repeat(self._version, len(rows)))
        return pa.Table.from_arrays(columns, schema=self.schema)

    def _copy(self, raw: RawFile, name: str, kind: pa.DataType, take: pa.Array | None, x: Matrix) -> pa.Array:
        """A column of the input beside the predictions: numbers of the model as it read them, all else as text."""
        if kind == pa.float64():
            return pa.array(x[:, self._places[name]], from_pandas=True)
        column = raw.columns.get(name)
        if column is None:
            return pa.nulls(len(x), kind)
        column = column if take is None else column.take(take)
        return column if column.type == kind else cell_text(column)


def _refused(unit: Unit, raw: RawFile, encoded: Encoded) -> tuple[list[Refused], NDArray[np.intp] | None]:
    """The rows that break a rule, and the places of the others; None where none does."""
    if encoded.reason is None:
        return [], None
    broken = np.flatnonzero(encoded.reason)
    why: list[Reason] = [encoded.reasons[code - 1] for code in encoded.reason[broken]]
    return refusals(_as_it_stands(unit, raw), broken, why), np.flatnonzero(encoded.reason == FINE)


def _as_it_stands(unit: Unit, raw: RawFile) -> RawFile:
    """The rows as a quarantine shows them, whatever else their unit holds: 1.50 as it was written, not as 1.5."""
    return unit.text() if unit.text is not None else raw


def _unanswered(scores: Scores) -> NDArray[np.bool_] | None:
    """Which rows the model overflows on; None where none does."""
    numbers = scores.probabilities if scores.values is None else scores.values.reshape(-1, 1)
    assert numbers is not None  # a classifier has probabilities
    finite = np.isfinite(numbers)
    return None if finite.all() else np.logical_not(finite.all(axis=1))


def _chosen(scores: Scores, rows: NDArray[np.bool_]) -> Scores:
    return Scores(
        None if scores.labels is None else scores.labels[rows],
        None if scores.probabilities is None else scores.probabilities[rows],
        None if scores.values is None else scores.values[rows],
    )


def _put_back(part: NDArray[Any], order: NDArray[np.intp]) -> NDArray[Any]:
    found = np.empty_like(part)
    found[order] = part
    return found


def _joined(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    found = [part for part in parts if part is not None]
    return np.concatenate(found) if len(found) > 1 else parts[0]
