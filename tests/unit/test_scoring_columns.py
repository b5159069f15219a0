"""The fast lane of the scorer against the lane that training uses: the same bits, the same refusals, whatever stands
in a file and however it was read."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.datasets.arrow import encode
from perennial.datasets.reading import Header, RawFile
from perennial.datasets.text import MISSING_MARKS
from perennial.datasets.validate import validate
from perennial.errors import DataError
from perennial.scoring.columns import encode_columns
from perennial.spec import ModelSpec, NumberFeature
from tests.support.datasets import make_spec

NUMBERS = ["0", "-0", "7", "+5", "1_000", "inf", "-Infinity", "0x1f", "1e400", "1e-400", "1.", ".5", "10.0000000001",
           "12345678901234567890123", "٣", "\uff15", "-nan", "nan(5)", "1,5", "abc", "--1", "9" * 400]  # fmt: skip
MARKS = [word.title() for word in sorted(MISSING_MARKS)] + sorted(MISSING_MARKS) + ["NULL", "NaN", " na ", "\tN/A"]
WORDS = ["red", "Red", " green ", "1", "1.0", "none", "blue", "é", "=cmd", "x" * 501]
DATES = ["2026-11-21", " 2026-11-21T08:30 ", "2026-11-21T23:59:59.999999+05:30", "1900-02-29", "0001-01-01",
         "9999-12-31T23:59:59-01:00", "21.11.2026", "٢٠٢٦-11-21"]  # fmt: skip
PLAIN = st.floats(-20, 20).map(lambda value: f"{value:.3f}") | st.integers(-4, 4).map(str)
COLUMN = st.sampled_from(
    [
        st.sampled_from(NUMBERS + MARKS + WORDS + DATES)
        | PLAIN
        | st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n"), max_size=6),
        PLAIN,
        PLAIN | st.sampled_from(["", "NA", "1e400", "inf", "+5", "-nan"]),
        st.sampled_from(WORDS + MARKS),
        st.sampled_from(DATES + MARKS),
    ]
)
FEATURE = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("number"), "integer": st.booleans(), "missing": st.booleans(),
            "min": st.none() | st.integers(-3, 0), "max": st.none() | st.integers(0, 3),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("category"), "missing": st.booleans(), "unknown": st.sampled_from(["refuse", "encode"]),
            "values": st.sampled_from([["red", "green", "1"], ["none", "red", "NA"], ["é"]]),
        }
    ),
    st.fixed_dictionaries({"type": st.just("date"), "missing": st.booleans()}),
)  # fmt: skip
FEATURES = st.lists(FEATURE, min_size=1, max_size=4).map(
    lambda said: {f"column {i}": feature for i, feature in enumerate(said)}
)


def raw_file(columns: Mapping[str, pa.Array]) -> RawFile:
    rows = len(next(iter(columns.values())))
    return RawFile("a.csv", Header(tuple(columns)), dict(columns), np.arange(1, rows + 1, dtype=np.int64))


def as_read(column: pa.Array, number: bool) -> pa.Array:
    """A column of texts as a reader may give it: other cells than numbers as a dictionary, and numbers as doubles.

    Null is what is missing then, so a column with a NaN of another spelling stays text.
    """
    if not number:
        return column.dictionary_encode()
    try:
        table = pa_csv.read_csv(
            io.BytesIO("\n".join('"' + cell.replace('"', '""') + '"' for cell in column.to_pylist()).encode()),
            read_options=pa_csv.ReadOptions(column_names=["x"]),
            parse_options=pa_csv.ParseOptions(ignore_empty_lines=False),
            convert_options=pa_csv.ConvertOptions(column_types={"x": pa.float64()}, null_values=MARKS),
        )
    except pa.ArrowInvalid:
        return column
    values = table.column("x").combine_chunks()
    return column if pc.any(pc.is_nan(values)).as_py() else values


def same(plain: RawFile, given: RawFile, spec: ModelSpec) -> None:
    """``given`` by the fast lane is ``plain`` by the general one."""
    expected = validate(plain, spec, labelled=False)
    found = encode_columns(given, spec)
    reason = np.zeros(len(given.rows), np.int16) if found.reason is None else found.reason
    refused = [(int(row), *found.reasons[code - 1]) for row, code in zip(given.rows, reason, strict=True) if code]
    assert refused == [(one.row, one.column, one.reason) for one in expected.refused]
    assert found.x[reason == 0].tobytes() == encode(expected.table, spec).tobytes()


@settings(max_examples=300)
@given(features=FEATURES, data=st.data())
def test_texts_are_judged_as_in_training(features: dict[str, Any], data: st.DataObject) -> None:
    spec = make_spec(features=features)
    rows = data.draw(st.integers(1, 12))
    columns = {
        name: pa.array(data.draw(st.lists(data.draw(COLUMN), min_size=rows, max_size=rows)), pa.string())
        for name in features
    }
    plain = raw_file(columns)
    same(plain, plain, spec)
    read = {name: as_read(cells, isinstance(spec.features[name], NumberFeature)) for name, cells in columns.items()}
    same(plain, raw_file(read), spec)


@settings(max_examples=150)
@given(features=FEATURES, data=st.data())
def test_typed_columns_are_judged_as_in_training(features: dict[str, Any], data: st.DataObject) -> None:
    spec = make_spec(features=features)
    rows = data.draw(st.integers(1, 12))
    kinds: list[tuple[st.SearchStrategy[Any], pa.DataType]] = [
        (st.integers(-5, 5), pa.int16()),
        (st.integers(0, 2**63 - 1), pa.int64()),
        (st.floats(allow_nan=True), pa.float64()),
        (st.sampled_from([-3.0, 0.0, 1.0, 2.5]), pa.float32()),
        (st.booleans(), pa.bool_()),
        (st.decimals(-9, 9, places=2), pa.decimal128(9, 2)),
        (st.datetimes(), pa.timestamp("us")),
        (st.dates(), pa.date32()),
        (st.sampled_from(WORDS + MARKS), pa.large_string()),
        (st.sampled_from(WORDS + MARKS + NUMBERS), pa.dictionary(pa.int8(), pa.string())),
    ]
    columns = {}
    for name in features:
        cell, kind = data.draw(st.sampled_from(kinds))
        columns[name] = pa.array(data.draw(st.lists(st.none() | cell, min_size=rows, max_size=rows)), kind)
    plain = {
        name: cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells
        for name, cells in columns.items()
    }
    same(raw_file(plain), raw_file(columns), spec)


@settings(max_examples=200)
@given(
    feature=FEATURE.filter(lambda said: said["type"] == "number"),
    cells=st.lists(st.sampled_from([None, math.nan, -0.5, 0.5, 1.0, 2.0, math.inf, -math.inf]), min_size=1, max_size=3),
    place=st.integers(0, 3),
    value=st.sampled_from([-3.0, 0.0, 3.0]).flatmap(
        lambda bound: st.sampled_from([bound, math.nextafter(bound, math.inf), math.nextafter(bound, -math.inf)])
    ),
)
def test_numbers_at_a_bound_are_judged_as_in_training(
    feature: dict[str, Any], cells: list[float | None], place: int, value: float
) -> None:
    spec = make_spec(features={"a": feature})
    raw = raw_file({"a": pa.array([*cells[:place], value, *cells[place:]], pa.float64())})
    same(raw, raw, spec)
    alone = raw_file({"a": pa.array([value, 0.0], pa.float64())})
    same(alone, alone, spec)


def test_a_time_may_not_be_missing_though_its_feature_may() -> None:
    spec = make_spec(features={"when": {"type": "date", "missing": True}}, time="when")
    raw = raw_file({"when": pa.array(["2026-11-21", "", None])})
    same(raw, raw, spec)
    assert encode_columns(raw, spec).reason is not None


def test_a_feature_without_a_column_is_missing_in_every_row() -> None:
    features = {"a": {"type": "number", "missing": True}, "b": {"type": "date", "missing": True},
                "c": {"type": "category", "values": ["x"]}}  # fmt: skip
    found = encode_columns(raw_file({"other": pa.array(["1", "2"])}), make_spec(features=features))
    assert np.isnan(found.x[:, :5]).all()
    assert found.reason is not None and [found.reasons[code - 1] for code in found.reason] == [("c", "is missing")] * 2


def test_nothing_but_numpys_own_nan_stands_for_what_is_missing() -> None:
    odd = np.array([np.nan, 1.0])
    odd.view(np.uint64)[0] |= 1
    raw = raw_file({"a": pa.array(odd)})
    same(raw, raw, make_spec(features={"a": {"type": "number", "missing": True}}))


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.struct([("x", pa.int64())]), pa.binary()])
def test_what_holds_no_single_values_is_named(kind: pa.DataType) -> None:
    raw = raw_file({"a": pa.nulls(2, kind)})
    with pytest.raises(DataError, match=r"a\.csv, column 'a': holds no single values"):
        encode_columns(raw, make_spec(features={"a": {"type": "number", "missing": True}}))


def test_no_rows_are_no_rows() -> None:
    spec = make_spec()
    found = encode_columns(raw_file({name: pa.array([], pa.string()) for name in spec.features}), spec)
    assert found.x.shape == (0, 4) and found.reason is None
