"""Whole files through the scorer: the answers of the general lane, whatever stands in them, in one go or in parts."""

from __future__ import annotations

import contextlib
import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.datasets.arrow import encode
from perennial.datasets.reading import read_file
from perennial.datasets.text import MISSING_MARKS
from perennial.datasets.validate import validate
from perennial.errors import DataError, IntegrityError, SettingsError
from perennial.scoring.dialect import sniff
from perennial.scoring.files import score_file
from perennial.scoring.local import draft, format_of, writable
from perennial.scoring.plan import plan_parts
from perennial.scoring.results import Refused, Summary
from perennial.scoring.scorer import Scorer
from perennial.scoring.source import LocalSource
from perennial.scoring.writing import CsvWriter
from perennial.serving.batch_job import BatchCounts, BatchPart
from perennial.serving.predictor import Predictor
from tests.support.models import MIXED, build, make_spec

BUILT = build(make_spec("mixed", "binary", MIXED))
MODEL = Predictor(BUILT.manifest, BUILT.onnx)
SPEC = BUILT.manifest.spec
NAMES = tuple(MIXED)
LINE = "33,8.97,5-6 hours,Pune,2026-11-21\n"
HEADER = ",".join(NAMES) + "\n"
CELL = st.one_of(
    st.sampled_from(
        ["33", "33", " 34", "+35", "36.0", "36.5", "9", "inf", "-nan", "nan(5)", "0x21", "1_0", "٣", "1e400"]
    ),
    st.sampled_from(["5-6 hours", "7-8 hours ", "Goa", "never", "x" * 501, '"quoted"', "a,b", "a\nb", "é"]),
    st.sampled_from(["2026-11-21", "2026-02-30", "2026-11-21T08:30+05:30", *sorted(MISSING_MARKS), "Nan", "NULL"]),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n"), max_size=5),
)
FITTING = st.tuples(
    st.integers(10, 100).map(str), st.sampled_from(["8.97", "", "1e1"]), st.sampled_from(["5-6 hours", "7-8 hours"]),
    st.sampled_from(["Pune", "Rome"]), st.sampled_from(["2026-11-21", "", "2000-02-29T23:59"]),
)  # fmt: skip
ROW = FITTING | st.tuples(*[CELL] * len(NAMES))


class Kept:
    """Writers that keep what they are given."""

    def __init__(self) -> None:
        self.tables: list[pa.Table] = []
        self.refused: list[Refused] = []

    def rows(self) -> list[dict[str, Any]]:
        return pa.concat_tables(self.tables).to_pylist() if self.tables else []

    class Rows:
        def __init__(self, kept: Kept) -> None:
            self.write = kept.tables.append

    class Quarantine:
        def __init__(self, kept: Kept) -> None:
            self.write = kept.refused.extend


def score(path: Path, kept: Kept, part: BatchPart | None = None, **more: Any) -> Summary:
    source = LocalSource(path)
    try:
        dialect = sniff(source, SPEC)
        scorer = Scorer(MODEL, names=dialect.names, file=path.name)
        return score_file(scorer, source, dialect, Kept.Rows(kept), Kept.Quarantine(kept), part=part, **more)
    finally:
        source.close()


def written(path: Path, rows: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_MINIMAL, lineterminator="\n").writerows([NAMES, *rows])
    path.write_text(out.getvalue(), encoding="utf-8", newline="")
    return path.read_bytes()


@settings(max_examples=150)
@given(rows=st.lists(ROW, min_size=1, max_size=20))
def test_a_file_is_judged_and_scored_as_training_reads_it(rows: list[tuple[str, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        raw = read_file("a.csv", written(path, rows))
        expected, kept = validate(raw, SPEC, labelled=False), Kept()
        summary = score(path, kept)
    assert [(one.row, one.column, one.reason) for one in kept.refused] == [
        (one.row, one.column, one.reason) for one in expected.refused
    ]
    scored = kept.rows()
    assert [row["row"] for row in scored] == expected.rows.tolist()
    scores = MODEL.run(encode(expected.table, SPEC))
    assert scores.probabilities is not None
    found = np.array([[row["probability_0"], row["probability_1"]] for row in scored]).reshape(-1, 2)
    assert found.tobytes() == scores.probabilities.tobytes()
    counts = summary.counts
    assert (counts.rows, counts.scored, counts.quarantined) == (len(rows), len(scored), len(kept.refused))


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of several blocks, with a row that does not fit in each thousand."""
    path = tmp_path_factory.mktemp("long") / "a.csv"
    lines = [LINE if row % 1000 else f"9,,5-6 hours,Goa,{row}\n" for row in range(1, 300_001)]
    path.write_text(HEADER + "".join(lines))
    return path


def test_a_long_file_keeps_its_order_and_its_numbers(long: Path) -> None:
    kept, told = Kept(), list[tuple[int, int]]()
    summary = score(long, kept, progress=lambda counts, end: told.append((counts.rows, end)))
    assert summary.counts == BatchCounts(rows=300_000, scored=299_700, quarantined=300)
    assert [one.row for one in kept.refused] == list(range(1000, 300_001, 1000))
    numbers = np.concatenate([table.column("row").to_numpy() for table in kept.tables])
    assert np.array_equal(numbers, np.setdiff1d(np.arange(1, 300_001), np.arange(1000, 300_001, 1000)))
    assert len(told) > 2 and told == sorted(told) and told[-1] == (300_000, long.stat().st_size)
    assert [row[0] for row in summary.preview.rows] == [str(number) for number in range(1, 11)]
    assert summary.preview.columns[0] == "row" and summary.preview.columns[-1] == "model_version"


def test_the_first_rows_are_shown_as_the_results_have_them(tmp_path: Path) -> None:
    path, sink = tmp_path / "a.csv", io.BytesIO()
    path.write_text(HEADER + LINE + "34,,5-6 hours,Rome,\n", encoding="utf-8")
    source = LocalSource(path)
    scorer = Scorer(MODEL, names=(dialect := sniff(source, SPEC)).names, keep=True, file=path.name)
    with contextlib.closing(source):
        writer = CsvWriter(sink, scorer.schema)
        shown = score_file(scorer, source, dialect, writer, Kept.Quarantine(Kept())).preview
    results = list(csv.reader(io.StringIO(sink.getvalue().decode())))
    assert [list(shown.columns), *map(list, shown.rows)] == results
    assert "33" in results[1]


@pytest.mark.parametrize("threads", [1, 3])
def test_parts_make_the_same_rows_as_the_whole(long: Path, threads: int) -> None:
    whole, joined = Kept(), Kept()
    score(long, whole)
    source = LocalSource(long)
    _, parts = plan_parts(source, sniff(source, SPEC), 3 << 20)
    source.close()
    assert len(parts) > 2
    counts = [score(long, joined, part, threads=threads).counts for part in parts]
    assert sum(counts, BatchCounts()) == BatchCounts(rows=300_000, scored=299_700, quarantined=300)
    assert pa.concat_tables(joined.tables).equals(pa.concat_tables(whole.tables))
    assert joined.refused == whole.refused


def test_a_part_with_other_rows_than_planned_is_an_error(long: Path) -> None:
    source = LocalSource(long)
    _, parts = plan_parts(source, sniff(source, SPEC), 3 << 20)
    source.close()
    wrong = parts[1].model_copy(update={"rows": (parts[1].rows or 0) + 1})
    with pytest.raises(IntegrityError, match=r"part 1: held \d+ rows when it was planned, now \d+"):
        score(long, Kept(), wrong)


def test_warnings_of_the_file_and_of_its_columns_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(("extra;" + HEADER.replace(",", ";")).encode() + b"\xe9;33;;5-6 hours;Goa;\n" * 3)
    summary = score(path, Kept())
    assert summary.counts.scored == 3
    assert len(set(summary.warnings)) == len(summary.warnings)
    assert any("'extra'" in warning for warning in summary.warnings)


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n\r\n\n"])
def test_a_file_without_rows_is_a_warning(tmp_path: Path, body: bytes) -> None:
    text, parquet = tmp_path / "a.csv", tmp_path / "a.parquet"
    text.write_bytes(HEADER.strip().encode() + body)
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in NAMES}), parquet)
    for path in (text, parquet):
        summary = score(path, Kept())
        assert (summary.counts.rows, summary.warnings) == (0, ("It holds no rows.",))


def test_a_missing_column_is_named_with_the_near_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER.replace("Age", "age") + LINE)
    with pytest.raises(DataError, match="Did you mean 'age'"):
        score(path, Kept())


def test_a_draft_takes_its_place_only_when_it_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "out.csv"
    place.write_text("old")
    with draft(place) as half:
        half.sink.write(b"half")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"] and place.read_text() == "old"
    with pytest.raises(KeyboardInterrupt), draft(place):
        raise KeyboardInterrupt
    with draft(place) as whole:
        whole.sink.write(b"new")
        whole.keep()
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"] and place.read_text() == "new"


def test_the_name_says_the_format_unless_it_is_asked_for() -> None:
    assert [format_of(Path(name)) for name in ("a.csv", "a.PARQUET", "a.b.pq")] == ["csv", "parquet", "parquet"]
    assert format_of(Path("a.out"), "csv") == "csv"
    for name in ("a.csv.gz", "a", "a.xlsx"):
        with pytest.raises(SettingsError, match="does not say CSV or Parquet"):
            format_of(Path(name))


def test_a_place_is_looked_at_before_time_is_spent(tmp_path: Path) -> None:
    data = tmp_path / "in.csv"
    data.write_text("x")
    (tmp_path / "link.csv").symlink_to(data)
    for place, words in [
        (tmp_path, "it is a folder"), (tmp_path / "none/out.csv", "there is no folder"), (data, "would replace"),
        (tmp_path / "link.csv", "would replace"), (tmp_path / "x/../in.csv", "there is no folder|would replace"),
    ]:  # fmt: skip
        with pytest.raises(SettingsError, match=words):
            writable(place, data)
    assert writable(tmp_path / "out.csv", data) == tmp_path / "out.csv"
