"""Validation of whole columns agrees with the schema that validates single records, to the bit."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.datasets.arrow import arrow_schema, encode
from perennial.datasets.reading import read_file, read_header
from perennial.datasets.text import MISSING_MARKS
from perennial.datasets.validate import check_header, common_reasons, quarantine_lines, validate
from perennial.errors import DataError, InvalidRecord
from perennial.records import RecordSchema
from perennial.spec import CategoryFeature, Feature, ModelSpec, NumberFeature, label
from tests.support.datasets import make_spec, parquet_bytes, people_csv

NUMBERS = ["0", "-0.0", "1", "1.0", "120", "121", "3.5", "1e1", "+7", "-1", ".5", "5.", "1e400", "inf", "abc", "0x1",
           "1_0", "3.0000000001", "0.1", "1e-320", "99999999999999999999"]  # fmt: skip
WORDS = ["red", "green", "Rome", "none", "None", "1", "1.0", "1.50", "é", "a,b", "'5-6 hours'", "x" * 501]
DATES = ["2026-11-21", "2026-11-21T08:30", "2026-11-21T23:59:59.999999+05:30", "20261121", "1900-02-29", "0001-01-01",
         "9999-12-31T23:59:59-01:00", "21.11.2026", "2400-01-01T00:00:00.000001", "2026-W47-6"]  # fmt: skip
CELL = st.one_of(
    st.sampled_from(NUMBERS + WORDS + DATES + sorted(MISSING_MARKS) + [" NA ", "NaN"]),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n"), max_size=8),
)


@st.composite
def features(draw: st.DrawFn) -> dict[str, Any]:
    missing = draw(st.booleans())
    match draw(st.sampled_from(["number", "category", "date"])):
        case "number":
            low, high = sorted(draw(st.tuples(st.floats(-10, 130), st.floats(-10, 130))))
            bounds = {"min": draw(st.sampled_from([None, low])), "max": draw(st.sampled_from([None, high]))}
            return {"type": "number", "integer": draw(st.booleans()), "missing": missing, **bounds}
        case "category":
            values = draw(st.lists(st.sampled_from(WORDS), min_size=1, unique_by=label))
            return {
                "type": "category", "values": values, "missing": missing,
                "unknown": draw(st.sampled_from(["encode", "refuse"])),
            }  # fmt: skip
        case _:
            return {"type": "date", "missing": missing}


@st.composite
def spec_and_cells(draw: st.DrawFn) -> tuple[ModelSpec, list[list[str]]]:
    columns = draw(st.lists(features(), min_size=1, max_size=4))
    spec = make_spec(features={f"c{i}": one for i, one in enumerate(columns)})
    return spec, draw(st.lists(st.lists(CELL, min_size=len(columns), max_size=len(columns)), min_size=1, max_size=8))


def as_record(spec: ModelSpec, cells: list[str]) -> dict[str, object]:
    """One row as a client would send it: marks as null, numbers as numbers, the rest as labels and text."""
    found: dict[str, object] = {}
    for (name, feature), cell in zip(spec.features.items(), cells, strict=True):
        found[name] = as_value(feature, cell.strip())
    return found


def as_value(feature: Feature, cell: str) -> object:
    declared = feature.values if isinstance(feature, CategoryFeature) else ()
    if cell.lower() in MISSING_MARKS and label(cell) not in declared:
        return None
    if isinstance(feature, NumberFeature):
        try:
            return float(cell) if cell.isascii() and "_" not in cell else cell
        except ValueError:
            return cell
    return label(cell) if isinstance(feature, CategoryFeature) else cell


@settings(max_examples=100)
@given(spec_and_cells())
def test_a_row_is_accepted_and_encoded_as_the_record_is(case: tuple[ModelSpec, list[list[str]]]) -> None:
    spec, rows = case
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow([*spec.features, "ill"])
    writer.writerows([*row, "yes"] for row in rows)
    checked = validate(read_file("rows.csv", out.getvalue().encode()), spec)
    schema = RecordSchema(spec)
    expected: dict[int, list[float]] = {}
    for number, row in enumerate(rows, 1):
        try:
            expected[number] = schema.row(schema.validate(as_record(spec, row)))
        except InvalidRecord:
            continue
    assert checked.rows.tolist() == list(expected)
    assert [one.row for one in checked.refused] == [n for n in range(1, len(rows) + 1) if n not in expected]
    if expected:
        matrix = encode(checked.table, spec)
        assert matrix.tobytes() == np.array(list(expected.values()), np.float64).tobytes()


REFUSED = """id,age,score,colour,town,ill
a,x,0,red,Rome,yes
b,,0,red,Rome,yes
c,121,0,red,Rome,yes
d,-1,0,red,Rome,yes
e,1.5,0,red,Rome,yes
f,inf,0,red,Rome,yes
g,1,0,blue,Rome,yes
h,1,0,,Rome,yes
i,1,0,red,Rome,?
j,1,0,red
k,1,0,red,Rome,yes
"""


def test_each_refused_row_has_its_number_column_and_reason() -> None:
    checked = validate(read_file("day.csv", REFUSED.encode()), make_spec())
    assert [(one.row, one.column, one.reason) for one in checked.refused] == [
        (1, "age", "is not a number"),
        (2, "age", "is missing"),
        (3, "age", "is above the maximum 120"),
        (4, "age", "is below the minimum 0"),
        (5, "age", "is not a whole number"),
        (6, "age", "is not a finite number"),
        (7, "colour", "is not one of the declared values"),
        (8, "colour", "is missing"),
        (9, "ill", "is missing"),
        (10, None, "has 4 fields, the header 6"),
    ]
    assert checked.rows.tolist() == [11]
    twice = (*checked.refused, *checked.refused[6:7])
    assert common_reasons(twice).startswith("'colour' is not one of the declared values (2 rows, first row 7); ")


def test_quarantine_lines_hold_the_row_as_it_was() -> None:
    checked = validate(read_file("day.csv", REFUSED.encode()), make_spec())
    lines = [json.loads(line) for line in quarantine_lines("day.csv", checked.refused).decode().splitlines()]
    assert lines[6]["values"] == {"id": "g", "age": "1", "score": "0", "colour": "blue", "town": "Rome", "ill": "yes"}
    assert lines[9] == {"file": "day.csv", "row": 10, "column": None, "reason": "has 4 fields, the header 6",
                        "text": "j,1,0,red"}  # fmt: skip


def test_marks_of_missing_values_count_unless_declared() -> None:
    data = b"age,score,colour,town,ill\n1,NA,red,None,no\n2,?,red,none,no\n3, ,red,N/A,no\n"
    table = validate(read_file("day.csv", data), make_spec()).table
    assert table.column("score").to_pylist() == [None, None, None]
    assert table.column("town").to_pylist() == [None, "none", None]


def test_labels_are_canonical_and_quotes_belong_to_the_value() -> None:
    spec = make_spec(features={"c": {"type": "category", "values": ["1", "'5-6 hours'"]}})
    data = b"c,ill\n1,no\n1.0,no\n 1.00 ,no\n'5-6 hours',no\n"
    checked = validate(read_file("day.csv", data), spec)
    assert checked.table.column("c").to_pylist() == ["1", "1", "1", "'5-6 hours'"]


def test_parquet_rows_are_judged_like_the_same_rows_of_csv() -> None:
    spec = make_spec(id="id")
    text = validate(read_file("a", people_csv(40)), spec)
    raw = read_file("a", people_csv(40)).columns
    typed = parquet_bytes(
        {
            "id": raw["id"],
            "age": pa.array([int(value) for value in raw["age"].to_pylist()]),
            "score": pa.array([float(value) if value else None for value in raw["score"].to_pylist()]),
            "colour": raw["colour"].dictionary_encode(),
            "town": raw["town"].cast(pa.large_string()),
            "ill": raw["ill"],
        }
    )
    assert validate(read_file("a", typed), spec).table.equals(text.table)


def test_parquet_types_become_labels_moments_and_missing_values() -> None:
    spec = make_spec(
        features={
            "code": {"type": "category", "values": ["1", "2"]},
            "flag": {"type": "category", "values": ["true", "false"]},
            "day": {"type": "date"},
            "value": {"type": "number", "missing": True},
        }
    )
    moment = pa.array([0, 3_600_000_000_000], pa.timestamp("ns", "Europe/Berlin"))
    data = parquet_bytes(
        {"code": [1.0, 2.0], "flag": [True, False], "day": moment, "value": [float("nan"), 2.5], "ill": ["yes", "no"]}
    )
    checked = validate(read_file("a", data), spec)
    assert not checked.refused
    matrix = encode(checked.table, spec)
    assert np.array_equal(matrix[:, :2], [[0, 0], [1, 1]])
    assert matrix[1, 2:6].tolist() == [1 / 24, 1.0, 3.0, 1.0]
    assert np.isnan(matrix[0, 6]) and matrix[1, 6] == 2.5


def test_a_null_column_is_missing_throughout_and_one_without_single_values_is_named() -> None:
    columns = {"age": [1], "score": pa.nulls(1), "colour": ["red"], "town": ["Rome"], "ill": ["no"]}
    assert validate(read_file("a", parquet_bytes(columns)), make_spec()).table.column("score").null_count == 1
    for value in ([1], {"x": 1}, b"\xff"):
        with pytest.raises(DataError, match="a, column 'age': holds no single values but"):
            validate(read_file("a", parquet_bytes({**columns, "age": [value]})), make_spec())


@pytest.mark.parametrize(
    ("values", "kind", "means"),
    [
        ([1, None], pa.uint8(), ["1", None]),
        ([1.0, float("nan")], pa.float32(), ["1", None]),
        ([Decimal("1.00"), Decimal("2.50")], pa.decimal128(5, 2), ["1", "2.50"]),
        ([True, False], pa.bool_(), ["true", "false"]),
        (["a ", ""], pa.string_view(), ["a", None]),
        (["a", "b"], pa.dictionary(pa.int8(), pa.large_string()), ["a", "b"]),
        ([date(2026, 11, 21), None], pa.date32(), ["2026-11-21", None]),
        ([time(8, 30), None], pa.time64("us"), ["08:30:00", None]),
        ([timedelta(hours=1), None], pa.duration("s"), ["1:00:00", None]),
        ([None, None], pa.null(), [None, None]),
    ],
)
def test_every_flat_type_has_labels(values: list[Any], kind: pa.DataType, means: list[str | None]) -> None:
    labels = sorted({one for one in means if one is not None} | {"other"})
    spec = make_spec(features={"c": {"type": "category", "values": labels, "missing": True}})
    data = parquet_bytes({"c": pa.array(values, kind), "ill": ["yes", "no"]})
    checked = validate(read_file("a", data), spec)
    assert checked.table.column("c").to_pylist() == means


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("id,age,score,colour,town", "'ill': is the target but not in the file"),
        ("id,Age,score,colour,town,ill", "'age': is in the spec but not in the file. Did you mean 'Age'?"),
        ("id,agee,score,colour,town,ill", "'age': is in the spec but not in the file. Did you mean 'agee'?"),
        ("id;age;score;colour;town;ill", "semicolons"),
        ("id\tage\tscore\tcolour\ttown\till", "tabs"),
    ],
)
def test_a_file_without_the_columns_of_the_spec_is_refused(header: str, says: str) -> None:
    data = people_csv(3, header=header)
    with pytest.raises(DataError) as caught:
        check_header("day.csv", read_header("day.csv", data), make_spec())
    assert says in str(caught.value)


def test_a_column_that_has_its_own_place_is_not_taken_for_another() -> None:
    spec = make_spec(features={"petal_width": {"type": "number"}, "sepal_width": {"type": "number"}})
    for ours in ("sepal_width", "petal_width"):
        data = f"{ours},ill\n1,yes\n".encode()
        with pytest.raises(DataError) as caught:
            check_header("day.csv", read_header("day.csv", data), spec)
        assert f"The file has '{ours}', 'ill'." in str(caught.value)


def test_a_comma_in_a_number_is_said() -> None:
    spec = make_spec(features={"a": {"type": "number"}})
    data = b'a,ill\n"5,1",yes\n"-0,25",no\n"1,234.5",no\n"1.234,5",no\n5.1,yes\nmuch,no\n"much, more",no\n'
    checked = validate(read_file("day.csv", data), spec)
    assert [(one.row, one.reason) for one in checked.refused] == [
        (1, "has a comma; decimals take a point"),
        (2, "has a comma; decimals take a point"),
        (3, "has a comma; decimals take a point"),
        (4, "has a comma; decimals take a point"),
        (6, "is not a number"),
        (7, "is not a number"),
    ]


def test_the_features_alone_can_be_checked() -> None:
    data = b"age,score,colour,town\n1,0,red,Rome\n200,0,red,Rome\n"
    checked = validate(read_file("day.csv", data), make_spec(id="id", time="when"), labelled=False)
    assert checked.table.schema == arrow_schema(make_spec(), labelled=False)
    assert [one.row for one in checked.refused] == [2]


def test_a_regression_needs_a_finite_target() -> None:
    spec = make_spec(task="regression", target={"column": "cost"}, features={"a": {"type": "number"}})
    checked = validate(read_file("day.csv", b"a,cost\n1,2.5\n1,\n1,inf\n1,much\n"), spec)
    assert checked.table.column("cost").to_pylist() == [2.5]
    assert [one.reason for one in checked.refused] == ["is missing", "is not a finite number", "is not a number"]
