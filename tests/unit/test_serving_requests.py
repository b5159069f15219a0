"""Reading request bodies: one record or many, and every way of being wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from perennial import records
from perennial.errors import InvalidRecord
from perennial.records import RecordSchema
from perennial.serving import requests as module
from perennial.serving.requests import MAX_INSTANCES, MAX_PROBLEMS, BrokenJson, RequestSchema
from tests.support.models import MIXED, MIXED_RECORD, make_spec

SCHEMA = RecordSchema(make_spec("mixed", "binary", MIXED))
REQUESTS = RequestSchema(SCHEMA)


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def refusal(data: bytes, requests: RequestSchema = REQUESTS) -> tuple[tuple[str, str], ...]:
    with pytest.raises(InvalidRecord) as caught:
        requests.read(data)
    return caught.value.problems


def test_a_flat_record_is_one() -> None:
    batch = REQUESTS.read(body(MIXED_RECORD))
    assert batch.single
    assert [SCHEMA.row(record)[:4] for record in batch.records] == [[33.0, 8.97, 1.0, 0.0]]


@pytest.mark.parametrize("space", ["", " ", "\n\t "])
def test_instances_are_many_in_order(space: str) -> None:
    records = [{**MIXED_RECORD, "Age": age} for age in (20, 30, 40)]
    batch = REQUESTS.read(f'{space}{{{space}"instances"{space}:{space}{json.dumps(records)}}}'.encode())
    assert not batch.single
    assert [SCHEMA.row(record)[0] for record in batch.records] == [20.0, 30.0, 40.0]


def test_a_problem_in_a_batch_names_its_place() -> None:
    records = [MIXED_RECORD, MIXED_RECORD, MIXED_RECORD, {**MIXED_RECORD, "Age": "old"}]
    assert refusal(body({"instances": records})) == (("instances.3.Age", "Input should be a valid number"),)


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"instances": []}, "instances"),
        ({"instances": [MIXED_RECORD] * (MAX_INSTANCES + 1)}, "instances"),
        ({"instances": MIXED_RECORD}, "instances"),
        ({"instances": None}, "instances"),
        ({"instances": [[]]}, "instances.0"),
        ({"instances": [None]}, "instances.0"),
        ({"instances": [MIXED_RECORD], "more": 1}, "more"),
        ({"more": 1, "instances": [MIXED_RECORD]}, "more"),
        ({**MIXED_RECORD, "Age": None}, "Age"),
        ({**MIXED_RECORD, "Age": True}, "Age"),
        ({**MIXED_RECORD, "Age": 9}, "Age"),
        ({**MIXED_RECORD, "Age": 33.5}, "Age"),
        ({**MIXED_RECORD, "Sleep Duration": "forever"}, "Sleep Duration"),
        ({**MIXED_RECORD, "Since": "yesterday"}, "Since"),
        ({**MIXED_RECORD, "Height": 3}, "Height"),
        ({"Age": 33}, "Sleep Duration"),
        ([], "body"),
        ("text", "body"),
        (None, "body"),
        (3, "body"),
    ],
)
def test_what_does_not_fit_is_named(value: object, field: str) -> None:
    assert field in dict(refusal(body(value)))


def test_a_thousand_instances_are_taken() -> None:
    assert len(REQUESTS.read(body({"instances": [MIXED_RECORD] * MAX_INSTANCES})).records) == MAX_INSTANCES


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{}}",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b'{"Age":' * 200_000,
        b'{"Age":' + b"9" * 5_000 + b"}",
        b'{"City":"\\ud800"}',
        b'{"City":"\xed\xa0\x80"}',
        b'{"City":"\x00"}',
        b"{'Age': 1}",
        b'{"Age":1,}',
    ],
    ids=lambda data: repr(data[:12]),
)
def test_broken_json_is_told_from_a_wrong_record(data: bytes) -> None:
    with pytest.raises(BrokenJson) as caught:
        REQUESTS.read(data)
    [(field, reason)] = caught.value.problems
    assert field == "body" and reason.startswith("Invalid JSON")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused_by_field(number: str) -> None:
    data = body(MIXED_RECORD).replace(b"8.97", number.encode())
    assert refusal(data) == (("CGPA", "Input should be a finite number"),)


class TestVeryManyProblems:
    """A body of 1 MiB holds a hundred thousand mistakes: a hundred are told, and only those are ever written out."""

    unknown = "Extra inputs are not permitted"

    @pytest.fixture(autouse=True)
    def counted(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """No list of pydantic's problems longer than a few hundred is ever made, whatever is sent."""
        made: list[int] = []

        def problems(error: ValidationError) -> tuple[tuple[str, str], ...]:
            made.append(error.error_count())
            return records.problems(error)

        monkeypatch.setattr(module, "problems", problems)
        yield
        assert len(made) <= MAX_PROBLEMS and sum(made) <= 2 * module.MAX_LISTED

    def test_distinct_unknown_keys(self) -> None:
        data = body({f"{i:x}": 1 for i in range(100_000)})
        found = refusal(data)
        assert len(found) == MAX_PROBLEMS
        assert found[0][1] == "Field required" or found[0] == ("0", self.unknown)
        assert ("0", self.unknown) in found

    def test_unknown_keys_in_every_instance(self) -> None:
        found = refusal(body({"instances": [{f"{i:x}": 1 for i in range(125)}] * 1000}))
        assert len(found) == MAX_PROBLEMS
        assert all(field.startswith("instances.0.") for field, _ in found)

    def test_a_few_in_each_of_many_instances_are_told_in_order(self) -> None:
        found = refusal(body({"instances": [MIXED_RECORD] * 50 + [{**MIXED_RECORD, "Age": "x"}] * 950}))
        assert found == tuple((f"instances.{50 + i}.Age", "Input should be a valid number") for i in range(100))

    def test_beside_the_instances(self) -> None:
        found = refusal(body({"instances": [MIXED_RECORD], **{f"{i:x}": 1 for i in range(100_000)}}))
        assert found == tuple((f"{i:x}", self.unknown) for i in range(100))

    def test_before_the_instances(self) -> None:
        found = refusal(body({**{f"{i:x}": 1 for i in range(100_000)}, "instances": [MIXED_RECORD]}))
        assert len(found) == MAX_PROBLEMS

    def test_what_only_looks_like_many_keys_is_taken(self) -> None:
        record = {**MIXED_RECORD, "City": '":' * 200}
        assert REQUESTS.read(body(record)).single
        assert len(REQUESTS.read(body({"instances": [record] * MAX_INSTANCES})).records) == MAX_INSTANCES
        assert REQUESTS.read(body({"inst\u0061nces": [record] * 10}).replace(b"instances", b"inst\\u0061nces")).records

    def test_broken_json_is_told_from_many_keys(self) -> None:
        with pytest.raises(BrokenJson):
            REQUESTS.read(body({f"{i:x}": 1 for i in range(100_000)})[:-1])

    def test_too_many_instances_of_nothing(self) -> None:
        assert refusal(body({"instances": [1] * 300_000}))[0][0].startswith("instances")


class TestRepeatedKeys:
    """Parsers settle a repeated key silently, each in its own way: what was meant is not to be guessed."""

    def test_in_a_flat_record(self) -> None:
        data = body(MIXED_RECORD)[:-1] + b', "Age": 34}'
        assert refusal(data) == (("Age", "Is given more than once; send it once"),)

    def test_behind_an_escape(self) -> None:
        data = body(MIXED_RECORD)[:-1] + b', "\\u0041ge": 34}'
        assert refusal(data) == (("Age", "Is given more than once; send it once"),)

    def test_in_one_instance_of_many(self) -> None:
        data = b'{"instances": [%s, %s]}' % (body(MIXED_RECORD), body(MIXED_RECORD)[:-1] + b', "City": "Goa"}')
        assert refusal(data) == (("City", "Is given more than once; send it once"),)

    def test_instances_twice(self) -> None:
        data = b'{"instances": [%s], "instances": [%s]}' % (body(MIXED_RECORD), body(MIXED_RECORD))
        assert refusal(data) == (("instances", "Is given more than once; send it once"),)

    def test_colons_in_values_are_no_keys(self) -> None:
        record = {**MIXED_RECORD, "City": 'a: b, "Age": 3', "Since": "2026-11-21T08:30:00+01:00"}
        assert REQUESTS.read(body(record)).single

    @settings(derandomize=True, max_examples=100, deadline=None)
    @given(st.dictionaries(st.sampled_from(list(MIXED_RECORD)), st.integers(0, 2)), st.text(max_size=20))
    def test_are_found_wherever_they_stand(self, repeats: dict[str, int], city: str) -> None:
        record = {**MIXED_RECORD, "City": city}
        pairs = [(key, value) for key, value in record.items() for _ in range(1 + repeats.get(key, 0))]
        data = "{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}"
        again = {key for key, count in repeats.items() if count}
        if again:
            assert {field for field, _ in refusal(data.encode())} == again
        else:
            assert REQUESTS.read(data.encode()).single


class TestFeatureCalledInstances:
    """No feature's value is a list, so such a model's records and batches cannot be taken for each other."""

    requests = RequestSchema(RecordSchema(make_spec("m", "binary", {"instances": {"type": "number"}})))

    def test_flat(self) -> None:
        assert self.requests.read(b'{"instances": 3}').single

    def test_many(self) -> None:
        batch = self.requests.read(b'{"instances": [{"instances": 3}, {"instances": 4}]}')
        assert not batch.single and len(batch.records) == 2

    def test_wrong_value(self) -> None:
        assert refusal(b'{"instances": "x"}', self.requests) == (("instances", "Input should be a valid number"),)

    def test_wrong_place(self) -> None:
        assert dict(refusal(b'{"instances": [{"instances": "x"}]}', self.requests)).keys() == {"instances.0.instances"}


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.just("instances"), inner, max_size=4),
    max_leaves=12,
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(json_values)
def test_any_json_is_taken_or_refused(value: Any) -> None:
    try:
        assert REQUESTS.read(body(value)).records
    except InvalidRecord as error:
        assert error.problems


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    with pytest.raises(InvalidRecord):
        REQUESTS.read(data)
