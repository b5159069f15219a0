"""The table "What becomes of bad input" of docs/batch-scoring.md: each of its lines is a file, and its outcome."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perennial.errors import DataError
from perennial.scoring.dialect import sniff
from perennial.scoring.files import score_file
from perennial.scoring.results import Summary
from perennial.scoring.scorer import Scorer
from perennial.scoring.source import LocalSource
from perennial.scoring.writing import CsvWriter, QuarantineWriter
from perennial.serving.predictor import Predictor
from tests.support.models import MIXED, MIXED_RECORD, build, make_spec

NAMES = ("who", *MIXED)
HEADER = ",".join(NAMES) + "\n"
FITS = "ada,33,8.97,5-6 hours,Pune,2026-11-21\n"
DOCS = Path(__file__).parents[2] / "docs/batch-scoring.md"


@dataclass(frozen=True)
class Case:
    """``line`` and ``told`` as the table has them. ``words`` are in the reason, a warning, or the quarantine.

    ``scored`` is how many of the file's rows are; None where the file fails.
    """

    line: str
    told: str
    data: Callable[[], bytes | str]
    scored: int | None
    quarantined: int = 0
    words: str = ""
    name: str = "in.csv"


def failed(line: str, told: str, data: Callable[[], bytes | str], words: str, name: str = "in.csv") -> Case:
    return Case(line, f"fails: {told}", data, None, 0, words, name)


def record(**changes: object) -> str:
    return json.dumps({**MIXED_RECORD, "who": "ada", **changes}) + "\n"


def table(rows: int = 3, **columns: list[object]) -> pa.Table:
    whole = pa.Table.from_pylist([{"who": "ada", **MIXED_RECORD}] * rows)
    for name, cells in columns.items():
        whole = whole.drop_columns([name] if name in whole.column_names else []).append_column(name, pa.array(cells))
    return whole


def parquet(whole: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(whole, sink, row_group_size=1000, compression="none", use_dictionary=False)
    return sink.getvalue()


def damaged() -> bytes:
    data = bytearray(parquet(table(3000)))
    start = pq.ParquetFile(io.BytesIO(bytes(data))).metadata.row_group(1).column(0).data_page_offset
    data[start : start + 30] = bytes(byte ^ 0x5A for byte in data[start : start + 30])
    return bytes(data)


CASES = [
    failed("zero bytes, or nothing but white space", "is empty", lambda: b"\n \n", "is empty"),
    Case(
        "a header without rows, Parquet without rows",
        "a result without rows, and a warning",
        lambda: HEADER,
        0,
        0,
        "It holds no rows.",
    ),
    failed(
        "truncated or damaged gzip",
        "is damaged gzip",
        lambda: gzip.compress((HEADER + FITS).encode())[:-9],
        "is damaged gzip",
    ),
    failed(
        "a gzip bomb: over 250 times its size beyond 16 MB, or over 4 GB",
        "says so",
        lambda: gzip.compress(HEADER.encode() + b"\n" * 20_000_000),
        "as a gzip bomb does",
    ),
    Case(
        "a wrong extension",
        "scored, with a warning",
        lambda: HEADER + FITS,
        1,
        0,
        "It is named .parquet but holds",
        "in.parquet",
    ),
    failed(
        "a workbook, a zip, Zstandard, bzip2, a PDF",
        "named, with what to do",
        lambda: b"PK\x03\x04rest",
        "is a zip archive or an Excel workbook",
    ),
    Case(
        "line ends of all kinds, blank lines",
        "scored",
        lambda: HEADER + FITS.strip() + "\r\n\r\n" + FITS.strip() + "\r",
        2,
    ),
    Case("a byte-order mark, UTF-16 with one", "scored", lambda: (HEADER + FITS).encode("utf-16"), 1),
    Case(
        "Latin-1, Windows-1252",
        "scored, with a warning",
        lambda: (HEADER + "Zoë" + FITS).encode("latin-1"),
        1,
        0,
        "read as Windows-1252",
    ),
    Case(
        "bytes that are not of the file's encoding",
        "the row to quarantine",
        lambda: (HEADER + "Zoë" + FITS).encode() + b"\xe9" + FITS.encode(),
        1,
        1,
        "is not UTF-8 (byte 0xe9)",
    ),
    Case(
        "a NUL byte in a cell", "the row to quarantine", lambda: HEADER + FITS + "\0" + FITS, 1, 1, "holds a NUL byte"
    ),
    Case(
        "a row of over 1 MiB",
        "the row to quarantine",
        lambda: HEADER + FITS + "x" * 10_000_000 + "\n" + FITS,
        2,
        1,
        "is longer than 1,048,576 bytes",
    ),
    failed(
        "one line of 10 MB and nothing else",
        "has a header of over 1 MiB",
        lambda: "x" * 10_000_000,
        "has a header of over",
    ),
    failed(
        "a quote that never closes, with lines behind it",
        "the row is named",
        lambda: HEADER + FITS + '"' + FITS * 2,
        "row 2: has a quote that never closes",
    ),
    Case(
        "more or fewer fields than the header",
        "the row to quarantine",
        lambda: HEADER + FITS + "a,b\n",
        1,
        1,
        "has 2 fields, the header 6",
    ),
    failed(
        "a missing column",
        "named, with one that is near",
        lambda: HEADER.replace("City", "city") + FITS,
        "column 'City': is in the spec but not in the file",
    ),
    Case(
        "a missing column whose feature may be missing",
        "scored as missing, with a warning",
        lambda: "Age,Sleep Duration,City\n33,5-6 hours,Pune\n",
        1,
        0,
        "'CGPA', 'Since' are not in the file",
    ),
    Case(
        "a column the model does not know",
        "ignored, with a warning",
        lambda: "extra," + HEADER + "1," + FITS,
        1,
        0,
        "'extra' is no part of the model",
    ),
    Case(
        "columns in another order, in quotes, with spaces around",
        "scored",
        lambda: '" City ",Age,"CGPA",Since,Sleep Duration,who\nPune,33,8.97,,5-6 hours,ada\n',
        1,
    ),
    failed(
        "a column the model needs, twice",
        "named",
        lambda: "Age," + HEADER + "1," + FITS,
        "column 'Age': appears more than once",
    ),
    Case(
        "any other column twice",
        "scored, with a warning",
        lambda: "x,x," + HEADER + "1,2," + FITS,
        1,
        0,
        "'x' is more than once",
    ),
    Case(
        "numbers as text: in quotes, with spaces, `3.3e1`",
        "scored",
        lambda: HEADER + FITS.replace("33", '" 3.3e1 "'),
        1,
    ),
    Case(
        "`8,97`, `1_000`, `x` where a number belongs",
        "the row to quarantine",
        lambda: HEADER + FITS + FITS.replace("8.97", '"8,97"'),
        1,
        1,
        "2,CGPA,has a comma",
    ),
    Case(
        "cells such as `=cmd…` in CSV that comes back",
        "an apostrophe is put before",
        lambda: HEADER + "=1+1" + FITS,
        1,
        0,
        "'=1+1ada",
    ),
    Case("Excel's `sep=;` before the header", "scored", lambda: "sep=;\r\n" + (HEADER + FITS).replace(",", ";"), 1),
    Case(
        "Parquet with nested columns beside those needed",
        "scored, with a warning; kept as JSON",
        lambda: parquet(table(tags=[[1], [], None])),
        3,
        0,
        "'tags' is no part",
        "in.parquet",
    ),
    failed(
        "Parquet with a nested column the model needs",
        "named",
        lambda: parquet(table(Age=[[1], [], None])),
        "column 'Age': holds no single values but list",
        "in.parquet",
    ),
    Case(
        "a damaged row group",
        "its rows to quarantine, from the damage on; with a warning",
        damaged,
        2000,
        1000,
        "lies in row group 2, which is damaged",
        "in.parquet",
    ),
    failed(
        "Parquet with a damaged footer",
        "is damaged Parquet",
        lambda: parquet(table())[:-6],
        "is damaged Parquet",
        "in.parquet",
    ),
    failed(
        "encrypted Parquet",
        "is encrypted",
        lambda: b"PARE" + parquet(table())[4:-4] + b"PARE",
        "is encrypted",
        "in.parquet",
    ),
    Case(
        "a line of JSON Lines that is broken, no object, or has a nested value or a name twice",
        "the row to quarantine",
        lambda: record() + '{"Age"\n[1]\n' + record(Age=[1]) + '{"Age": 1, "Age": 2}\n',
        1,
        4,
        "is not JSON",
        "in.jsonl",
    ),
    failed(
        "a JSON array, or an object over several lines",
        "says what to write",
        lambda: "[" + record() + "]",
        "is a JSON array",
        "in.json",
    ),
]


def score(place: Path, model: Predictor) -> tuple[Summary, str, str]:
    """The summary, the rows that come back, and the quarantine."""
    source = LocalSource(place)
    try:
        dialect = sniff(source, model.manifest.spec)
        scorer = Scorer(model, names=dialect.names, file=source.name)
        rows, refused = io.BytesIO(), io.BytesIO()
        summary = score_file(
            scorer, source, dialect, CsvWriter(rows, scorer.schema), QuarantineWriter(refused), threads=1
        )
        return summary, rows.getvalue().decode(), refused.getvalue().decode()
    finally:
        source.close()


@pytest.fixture(scope="module")
def model() -> Predictor:
    built = build(make_spec("mixed", "binary", MIXED).model_copy(update={"id": "who"}))
    return Predictor(built.manifest, built.onnx)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.line)
def test_each_input_has_the_outcome_that_is_told(case: Case, model: Predictor, tmp_path: Path) -> None:
    place = tmp_path / case.name
    data = case.data()
    place.write_bytes(data.encode() if isinstance(data, str) else data)
    if case.scored is None:
        with pytest.raises(DataError) as caught:
            score(place, model)
        assert case.words in str(caught.value) and caught.value.remedy
        return
    summary, rows, refused = score(place, model)
    counts = summary.counts
    assert (counts.rows, counts.scored) == (case.scored + case.quarantined, case.scored)
    assert counts.quarantined == case.quarantined == len(refused.splitlines()) - 1
    assert case.words in "\n".join([*summary.warnings, rows, refused])
    assert bool(summary.warnings) == ("warning" in case.told)


def test_the_table_is_that_of_the_documentation() -> None:
    told = DOCS.read_text().split("## What becomes of bad input", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in told.splitlines() if line.startswith("| ")][1:]
    assert lines == [f"| {case.line} | {case.told} |" for case in CASES]
