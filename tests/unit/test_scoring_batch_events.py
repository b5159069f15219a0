"""What the messages of the scoring queue tell, in every form they come in."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial import keys
from perennial.errors import IntegrityError
from perennial.scoring.batch.events import Dropped, Ignored, Requested, Tasked, Told, part_task, read_message
from tests.support.batch_world import created

NAME = "Blumen März+1 %2F=.csv"
KEY = keys.batch_in("iris", f"dt=2026-01-01/{NAME}")


def by_s3(*found: str, name: str = "ObjectCreated:Put", bucket: str = "data", **told: Any) -> str:
    records = [
        {"eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/")} | told}}
        for key in found
    ]
    return json.dumps({"Records": records})


def only(body: str) -> Told:
    (told,) = read_message(body, "data")
    return told


def test_eventbridge_says_keys_as_they_are_and_s3_quotes_them() -> None:
    told = Dropped("iris", KEY, "v1", '"abc"', 7)
    assert only(created(KEY, size=7, etag="abc", **{"version-id": "v1"})) == told
    assert only(by_s3(KEY, size=7, eTag="abc", versionId="v1")) == told
    assert only(by_s3(KEY, name="s3:ObjectCreated:CompleteMultipartUpload", size=7, eTag="abc", versionId="v1")) == told


def test_what_an_event_does_not_say_is_not_known() -> None:
    assert only(created(KEY)) == Dropped("iris", KEY, None, None, None)
    assert only(created(KEY, etag='"abc"')) == Dropped("iris", KEY, None, '"abc"', None)


def test_a_partition_whose_name_begins_with_a_line_hides_nothing() -> None:
    key = keys.batch_in("iris", "_day=1/part-0.parquet")
    assert only(created(key)) == Dropped("iris", key, None, None, None)


def test_requests_and_tasks_are_told_by_their_keys() -> None:
    assert only(created(keys.batch_request("iris", "job"))) == Requested("iris", "job")
    assert only(created(keys.batch_task("iris", "w", part_task(3)))) == Tasked("iris", "w", 3)
    assert only(created(keys.batch_task("iris", "w", "join"))) == Tasked("iris", "w", None)
    assert only(by_s3(keys.batch_task("iris", "w", "part-000012"))) == Tasked("iris", "w", 12)


def test_one_message_may_tell_of_several_objects() -> None:
    found = read_message(by_s3(KEY, keys.landing("iris", "a.csv"), keys.batch_task("iris", "w", "join")), "data")
    assert [type(one) for one in found] == [Dropped, Ignored, Tasked]


@pytest.mark.parametrize(
    "body",
    [
        created(KEY, bucket="another"),
        by_s3(KEY, bucket="another"),
        by_s3(KEY, name="ObjectRemoved:Delete"),
        created(KEY).replace("Object Created", "Object Deleted"),
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "data"}),
        *(
            created(key)
            for key in (
                keys.batch_in("iris"), keys.batch_in("iris", "folder/"), keys.batch_in("iris", "run/_SUCCESS"),
                keys.batch_in("iris", ".hidden.csv"), keys.batch_in("iris", "run/_temporary/0/part-0.parquet"),
                keys.batch_in("iris", ".tmp/a.csv"), keys.batch_in("iris", "run_$folder$"),
                "iris/sub/batch/in/a.csv", "No Model!/batch/in/a.csv",
                keys.landing("iris", "batch/in/a.csv"), keys.batch_out("iris", "a.csv", "v", "w", "csv"),
                keys.batch_result("iris", "w"), "iris/batch/requests/sub/job.json", "iris/batch/requests/job.txt",
                "iris/batch/tasks/w/part-12.json", "iris/batch/tasks/w/other.json", "iris/batch/tasks/join.json", "a",
            )
        ),
    ],
)  # fmt: skip
def test_what_is_no_work_is_passed_over_with_a_reason(body: str) -> None:
    told = only(body)
    assert isinstance(told, Ignored) and told.why


@pytest.mark.parametrize(
    "body",
    [
        "", "{", "null", "7", "[]", '"text"', "{}", '{"Records": [{}]}', '{"Records": [null]}', '{"Records": {}}',
        '{"source": "aws.s3", "detail-type": "Object Created"}', '{"source": "aws.s3", "detail-type": 7}',
        '{"source": "aws.ec2", "detail-type": "Object Created", "detail": {}}',
        created("").replace("data", ""), '{"source": "aws.s3", "detail-type": "Object Created", "detail": "no"}',
    ],
)  # fmt: skip
def test_what_is_no_word_of_s3_is_an_error(body: str) -> None:
    with pytest.raises(IntegrityError, match="no word of S3"):
        read_message(body, "data")


@given(st.text(max_size=60))
def test_no_text_does_more_than_that(body: str) -> None:
    with pytest.raises(IntegrityError):
        read_message(body, "data")


@given(st.text(min_size=1, max_size=60))
def test_any_key_is_read_alike_in_both_forms(name: str) -> None:
    key = keys.batch_in("iris", name)
    assert only(created(key)) == only(by_s3(key))
