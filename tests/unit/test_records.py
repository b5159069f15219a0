"""The records of a model: validated strictly, encoded as a row of numbers, described by JSON Schema."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.errors import InvalidRecord
from perennial.records import DATE_PATTERN, RecordSchema, columns, date_parts
from perennial.spec import ModelSpec
from tests.support.datasets import make_spec

FEATURES: dict[str, Any] = {
    "age": {"type": "number", "min": 0, "max": 120, "integer": True},
    "score": {"type": "number", "missing": True, "title": "Score so far", "description": "From 0."},
    "sex": {"type": "category", "values": ["f", "m"]},
    "Town.Name": {"type": "category", "values": ["Rome", "Oslo"], "unknown": "encode", "missing": True},
    "since": {"type": "date", "missing": True},
}
SCHEMA = RecordSchema(make_spec(features=FEATURES, id="id", time="when"))
GOOD: dict[str, Any] = {"age": 30, "sex": "m", "Town.Name": "Oslo", "score": 0.5, "since": "2026-11-21T18:00"}


def refused(record: object) -> dict[str, str]:
    with pytest.raises(InvalidRecord) as caught:
        SCHEMA.validate(record)
    return dict(caught.value.problems)


def test_a_record_becomes_a_row() -> None:
    row = SCHEMA.row(SCHEMA.validate(GOOD))
    assert row == [30.0, 0.5, 1.0, 1.0, 20778.75, 11.0, 5.0, 18.0]
    assert all(type(value) is float for value in row)
    assert len(row) == len(SCHEMA.columns) == len(columns(make_spec(features=FEATURES)))


def test_missing_is_nan_and_unseen_is_minus_one() -> None:
    row = SCHEMA.row(SCHEMA.validate({"age": 1, "sex": "f", "Town.Name": "Paris"}))
    assert row[3] == -1.0
    assert [math.isnan(value) for value in row] == [False, True, False, False, True, True, True, True]
    assert math.isnan(SCHEMA.row(SCHEMA.validate({"age": 1, "sex": "f", "Town.Name": None}))[3])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"age": None}, "age"),
        ({"age": "30"}, "age"),
        ({"age": True}, "age"),
        ({"age": 121}, "age"),
        ({"age": -1}, "age"),
        ({"age": 1.5}, "age"),
        ({"age": 3.0000000001}, "age"),
        ({"age": math.nan}, "age"),
        ({"score": math.inf}, "score"),
        ({"score": 10**400}, "score"),
        ({"score": [1]}, "score"),
        ({"sex": "x"}, "sex"),
        ({"sex": 1}, "sex"),
        ({"Town.Name": 5}, "Town.Name"),
        ({"Town.Name": "x" * 501}, "Town.Name"),
        ({"since": "21.11.2026"}, "since"),
        ({"since": 20261121}, "since"),
        ({"since": "0001-01-01T00:00+05:00"}, "since"),
        ({"id": 1.5}, "id"),
        ({"id": True}, "id"),
        ({"id": "x" * 501}, "id"),
        ({"when": {}}, "when"),
        ({"height": 1}, "height"),
    ],
)
def test_a_wrong_value_is_one_problem_of_its_field(change: dict[str, Any], field: str) -> None:
    found = refused({**GOOD, **change})
    assert list(found) == [field]
    assert str(change[field]) not in found[field] or isinstance(change[field], bool)


def test_a_field_left_out_is_named_and_what_is_no_record_is_the_body() -> None:
    assert refused({}) == {"age": "Field required", "sex": "Field required"}
    for value in (None, 5, "text", [GOOD]):
        assert list(refused(value)) == ["body"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"age": NaN', b"\xff", b"[]", b'"age"', b'{"sex": "\\ud800"}', b"null"])
def test_broken_json_is_a_problem_of_the_body(body: bytes) -> None:
    with pytest.raises(InvalidRecord) as caught:
        SCHEMA.validate_json(body)
    assert caught.value.problems[0][0] == "body"


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" + b"0" * 400])
def test_a_number_json_can_write_but_no_model_can_use_is_refused(number: bytes) -> None:
    with pytest.raises(InvalidRecord) as caught:
        SCHEMA.validate_json(b'{"age": 1, "sex": "f", "score": ' + number + b"}")
    assert [field for field, _ in caught.value.problems] == ["score"]


def test_id_and_time_may_come_along() -> None:
    record = SCHEMA.validate({**GOOD, "id": 7, "when": "2026-11-21"})
    assert SCHEMA.row(record) == SCHEMA.row(SCHEMA.validate(GOOD))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1970-01-01", (0.0, 1.0, 3.0, 0.0)),
        ("1969-12-31T12:00", (-0.5, 12.0, 2.0, 12.0)),
        ("2026-11-21T00:30+01:00", (20777 + 23.5 / 24, 11.0, 4.0, 23.0)),
    ],
)
def test_the_parts_of_a_date_are_of_utc(text: str, parts: tuple[float, ...]) -> None:
    assert date_parts(text) == pytest.approx(parts, abs=1e-9)


def test_the_json_schema_draws_a_form() -> None:
    schema = SCHEMA.json_schema()
    fields = schema["properties"]
    assert schema["required"] == ["age", "sex"]
    assert schema["additionalProperties"] is False
    assert list(fields) == [*FEATURES, "id", "when"]
    assert fields["age"] == {"type": "number", "minimum": 0.0, "maximum": 120.0, "multipleOf": 1, "title": "age"}
    assert fields["score"]["title"] == "Score so far"
    assert fields["score"]["description"] == "From 0."
    assert fields["sex"]["enum"] == ["f", "m"]
    assert fields["Town.Name"]["examples"] == ["Rome", "Oslo"]
    since, null = fields["since"]["anyOf"]
    assert null == {"type": "null"}
    assert since == {
        "type": "string", "maxLength": 40, "pattern": DATE_PATTERN, "x-perennial-kind": "date",
        "examples": ["2026-11-21", "2026-11-21T08:30"],
    }  # fmt: skip
    assert fields["id"]["x-perennial-role"] == "id"
    json.dumps(schema, allow_nan=False)


DATED = RecordSchema(make_spec(features={"since": {"type": "date"}}))


def test_a_date_that_may_not_be_missing_says_how_it_is_written_too() -> None:
    assert DATED.json_schema()["properties"]["since"] == {
        "type": "string", "maxLength": 40, "pattern": DATE_PATTERN, "x-perennial-kind": "date", "title": "since",
        "examples": ["2026-11-21", "2026-11-21T08:30"],
    }  # fmt: skip


@settings(max_examples=200)
@given(st.from_regex(DATE_PATTERN, fullmatch=True), st.integers(1, 9998), st.integers(1, 28))
def test_a_date_that_the_json_schema_allows_is_taken(text: str, year: int, day: int) -> None:
    """Only the calendar itself can still refuse one: there is no 30 February and no year 0."""
    text = f"{year:04d}{text[4:8]}{day:02d}{text[10:]}"
    assert re.search(DATE_PATTERN, text)
    DATED.validate({"since": text})


@pytest.mark.parametrize("text", ["2026-11-21", "2026-11-21T08:30", "2026-11-21 08:30:15", "2026-11-21T08:30:15.25Z",
                                  "2026-11-21T08:30+01:00"])  # fmt: skip
def test_dates_as_they_are_written_are_within_the_json_schema(text: str) -> None:
    assert re.search(DATE_PATTERN, text)
    DATED.validate({"since": text})


@pytest.mark.parametrize("name", ["class", "model_config", "__proto__", "a b", "ü", "f0", "1", "x" * 300, "a.b[0]"])
def test_a_column_may_be_called_anything(name: str) -> None:
    schema = RecordSchema(make_spec(features={name: {"type": "number"}, "other": {"type": "number"}}))
    assert schema.row(schema.validate_json(json.dumps({name: 1, "other": 2}).encode())) == [1.0, 2.0]


def test_a_time_that_is_a_feature_is_asked_for_once() -> None:
    spec: ModelSpec = make_spec(features={"when": {"type": "date"}}, time="when")
    assert list(RecordSchema(spec).json_schema()["properties"]) == ["when"]
