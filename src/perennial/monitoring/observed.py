"""What a model was asked and answered in a span of time, and what of it turned out true."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from perennial.datasets.arrow import arrow_schema
from perennial.monitoring.captures import Span, batches, captured, in_span
from perennial.monitoring.columns import Columns, about_schema, record_schema
from perennial.monitoring.numbering import Numbering
from perennial.monitoring.truths import Truth, Truths, read_given, read_truths
from perennial.serving.captured import CapturedPrediction
from perennial.serving.ids import moment_of
from perennial.spec import ModelSpec, label
from perennial.store import Store

MOST_ROWS = 200_000
"""Beyond this a window is judged by a sample, so that memory stays bounded."""


@dataclass(frozen=True)
class Observed:
    """The predictions of a window, each once.

    ``rows`` has the columns of ``columns.record_schema(spec)`` and ``about`` those of ``columns.about_schema(spec)``,
    row by row; beyond ``MOST_ROWS`` they are a sample, chosen by the prediction ids alone. ``total`` counts the
    predictions captured, ``duplicates`` the lines that came again, ``lost`` the gaps in running numbers, ``served`` the
    predictions that were made, captured or not.
    """

    rows: pa.Table
    about: pa.Table
    total: int
    served: int
    lost: int
    duplicates: int


@dataclass(frozen=True)
class Labelled:
    """The predictions whose truth is known, each once, oldest first.

    ``rows`` has the columns of ``arrow_schema(spec)``: the record as it was sent, with the truth as target. ``about``
    has those of ``columns.about_schema(spec)`` and ``source``, row by row: ``feedback`` where the truth came through
    the API, ``labels`` where it came by a file, which goes before the API. ``unmatched`` counts truths whose
    prediction was not captured, ``contradicted`` the predictions here that were told different truths.
    """

    rows: pa.Table
    about: pa.Table
    unmatched: int
    contradicted: int


def observe(store: Store, spec: ModelSpec, since: datetime, until: datetime, *, most: int = MOST_ROWS) -> Observed:
    """Read the captured predictions of ``[since, until)``.

    Raises:
        StoreUnavailable: S3 does not answer.
    """
    span = Span(since, until)
    numbering, kept, digests, lines = Numbering(), _Sample(spec, most), array("Q"), 0
    for line in captured(store, spec.name, batches(store, spec.name, span)):
        inside = in_span(line, span)
        numbering.add(line, inside=inside)
        if inside:
            lines += 1
            digest = int.from_bytes(blake2b(line.prediction_id.encode(), digest_size=8).digest(), "big")
            digests.append(digest)
            kept.add(line, digest)
    total = len(np.unique(np.frombuffer(digests, np.uint64))) if lines else 0
    rows, about = kept.tables()
    return Observed(rows, about, total, numbering.served, numbering.lost, lines - total)


def labelled(
    store: Store, spec: ModelSpec, *, since: datetime | None, until: datetime | None, known: Collection[str] = ()
) -> Labelled:
    """The predictions made in ``[since, until)`` whose truth is known by ``until``, less the ``known`` ones (ids).

    Only the batches that can hold a labelled prediction are read: all of the span where a label file goes by the
    record's id. Such a file labels every prediction of that record.

    Raises:
        IntegrityError: a label or a label file is damaged.
        StoreUnavailable: S3 does not answer.
    """
    span = Span(since, until)
    truths = read_truths(store, spec, span, known)
    named = truths.given | truths.by_prediction.keys()
    found: dict[str, CapturedPrediction] = {}
    if named or truths.by_id:
        moments = None if truths.by_id else [moment_of(identifier) for identifier in named]
        only = None if truths.by_id else named
        for line in captured(store, spec.name, batches(store, spec.name, span, moments), only):
            spoken_of = line.prediction_id in named or _record_id(line, spec) in truths.by_id
            if spoken_of and in_span(line, span) and line.prediction_id not in known:
                found.setdefault(line.prediction_id, line)
    given = read_given(store, spec, truths.given & found.keys(), until)
    return _joined(spec, found, truths, given)


def _joined(
    spec: ModelSpec, found: dict[str, CapturedPrediction], truths: Truths, given: Mapping[str, Truth]
) -> Labelled:
    columns, values, sources, contradicted, matched = Columns(spec), [], [], 0, set()
    for identifier in sorted(found):
        line, record_id = found[identifier], _record_id(found[identifier], spec)
        filed, told = truths.in_file(identifier, record_id), given.get(identifier)
        truth = told if filed is None else filed
        if record_id in truths.by_id:
            matched.add(record_id)
        if truth is None:
            continue
        columns.add(line)
        values.append(truth)
        sources.append("feedback" if filed is None else "labels")
        contradicted += _disputed(truths, identifier, record_id) or (told is not None and told != truth)
    rows, about = columns.tables()
    place = arrow_schema(spec).get_field_index(spec.target.column)
    target = arrow_schema(spec).field(place)
    unmatched = len((truths.given | truths.by_prediction.keys()) - found.keys()) + len(truths.by_id) - len(matched)
    return Labelled(
        rows=rows.add_column(place, target, pa.array(values, target.type)),
        about=about.append_column("source", pa.array(sources, pa.string())),
        unmatched=unmatched,
        contradicted=contradicted,
    )


def _disputed(truths: Truths, identifier: str, record_id: str | None) -> bool:
    by_file = identifier not in truths.by_prediction and record_id in truths.disputed_ids
    return identifier in truths.disputed or by_file


def _record_id(line: CapturedPrediction, spec: ModelSpec) -> str | None:
    value = line.record.get(spec.id) if spec.id is not None else None
    return None if value is None else label(value)


class _Sample:
    """At most so many predictions, those with the lowest digests: the same ones, in whatever order they come."""

    def __init__(self, spec: ModelSpec, most: int) -> None:
        self._spec, self._most = spec, most
        self._bound = 2**64
        self._columns, self._digests = Columns(spec), array("Q")
        self._rows, self._about = record_schema(spec).empty_table(), about_schema(spec).empty_table()

    def add(self, line: CapturedPrediction, digest: int) -> None:
        if digest < self._bound:
            self._columns.add(line)
            self._digests.append(digest)
            if len(self._digests) >= 2 * self._most:
                self._compact()

    def tables(self) -> tuple[pa.Table, pa.Table]:
        self._compact()
        return self._rows, self._about

    def _compact(self) -> None:
        """Drop what came twice; halve the share that is kept until few enough are left."""
        rows, about = self._columns.tables()
        self._rows, self._about = pa.concat_tables([self._rows, rows]), pa.concat_tables([self._about, about])
        self._columns = Columns(self._spec)
        digests, first = np.unique(np.frombuffer(self._digests, np.uint64), return_index=True)
        while len(digests) > self._most:
            self._bound //= 2
            kept = digests < self._bound
            digests, first = digests[kept], first[kept]
        order = np.argsort(first)
        places = pa.array(first[order])
        self._rows, self._about = self._rows.take(places), self._about.take(places)
        self._digests = array("Q", digests[order].tobytes())
