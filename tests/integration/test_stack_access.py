"""Who may do what: the deployed roles and bucket policies at work, since the embedded AWS enforces IAM."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from perennial import keys
from perennial.deploy.aws import Aws
from perennial.deploy.up import LocalStack
from perennial.serving.batch_job import BatchOptions, BatchRequest
from perennial.store import Store
from tests.support.endpoint import client

COMMITTED, LANDED = "guarded/registry/versions/1/manifest.json", "guarded/landing/data.csv"
COLLECTED = keys.collected("guarded", "feedback", 1)
LABEL = keys.label("guarded", "2026-11-21", "id")
BATCH = keys.prediction_batch("guarded", "2026-11-21", "080000000", "090000000", "0" * 64)
UPLOADED = keys.batch_upload("guarded", "0" * 32, "in.csv")
RESULT = keys.batch_out("guarded", "in.csv", "v", "0" * 32, "csv")
ASKED = keys.batch_request("guarded", "1" * 32)

DROPPED = keys.batch_in("guarded", "a.csv")
MADE = (
    keys.batch_part("guarded", "work", 0), keys.batch_progress("guarded", "work"),
    keys.batch_out("guarded", "a.csv", "v", "work", "parquet"), keys.batch_quarantine("guarded", "a.csv", "v", "work"),
    keys.batch_piece("guarded", "work", 0, "scored"),
)  # fmt: skip

PROBE = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    try:
        getattr(boto3.client("s3"), event["call"])(**event["arguments"])
        return "allowed"
    except ClientError as error:
        return error.response["Error"]["Code"]
"""

Probe = Callable[..., str]


@pytest.fixture(scope="module")
def under_the_api_s_role(stack: LocalStack) -> Iterator[Probe]:
    """Makes S3 calls from a function that runs under the API function's own role."""
    with _probing(stack, stack.function, "probe-api") as probe:
        yield probe


@pytest.fixture(scope="module")
def under_the_capture_s_role(stack: LocalStack) -> Iterator[Probe]:
    """The same under the capture's."""
    with _probing(stack, stack.capture, "probe-capture") as probe:
        yield probe


@contextmanager
def _probing(stack: LocalStack, function: str, name: str) -> Iterator[Probe]:
    functions = client(stack, "lambda")
    role = functions.get_function_configuration(FunctionName=function)["Role"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("probe.py", PROBE)
    functions.create_function(
        FunctionName=name,
        Role=role,
        Runtime="python3.13",
        Handler="probe.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    s3 = client(stack, "s3")
    for key in (COMMITTED, LANDED, COLLECTED, UPLOADED, RESULT):
        s3.put_object(Bucket=stack.bucket, Key=key, Body=b"{}")

    def probe(call: str, **arguments: Any) -> str:
        payload = json.dumps({"call": call, "arguments": {"Bucket": stack.bucket} | arguments})
        answer: str = json.load(functions.invoke(FunctionName=name, Payload=payload)["Payload"])
        return answer

    yield probe
    functions.delete_function(FunctionName=name)


def test_the_api_reads_the_registry(under_the_api_s_role: Probe) -> None:
    assert under_the_api_s_role("get_object", Key=COMMITTED) == "allowed"


def test_the_api_lists_the_models_of_the_bucket(under_the_api_s_role: Probe) -> None:
    """As `Store.folders` asks: a delimiter, and an empty prefix or none."""
    assert under_the_api_s_role("list_objects_v2", Delimiter="/") == "allowed"
    assert under_the_api_s_role("list_objects_v2", Prefix="", Delimiter="/") == "allowed"


def test_the_api_learns_that_a_key_is_missing(under_the_api_s_role: Probe) -> None:
    assert under_the_api_s_role("get_object", Key="guarded/registry/alias/none.json") == "NoSuchKey"


@pytest.mark.needs("iam")
@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get_object", {"Key": LANDED}),
        ("list_objects_v2", {"Prefix": "guarded/landing/"}),
        ("list_objects_v2", {"Prefix": "guarded/", "Delimiter": "/"}),
        ("list_objects_v2", {"Prefix": "guarded/registry/log/"}),
        ("put_object", {"Key": COMMITTED, "Body": "changed"}),
        ("put_object", {"Key": LANDED, "Body": "changed"}),
        ("put_object", {"Key": COLLECTED, "Body": "changed"}),
        ("put_object", {"Key": BATCH, "Body": "changed"}),
        ("put_object", {"Key": "_perennial/other", "Body": "changed"}),
        ("get_object", {"Key": COLLECTED}),
        ("get_object", {"Key": LABEL}),
        ("put_object", {"Key": LABEL, "Body": "changed"}),
        ("get_object", {"Key": BATCH}),
        ("get_object", {"Key": UPLOADED}),
        ("put_object", {"Key": RESULT, "Body": "changed"}),
        ("put_object", {"Key": keys.batch_in("guarded", "in.csv"), "Body": "changed"}),
        ("put_object", {"Key": keys.batch_result("guarded", "0" * 32), "Body": "changed"}),
        ("list_objects_v2", {"Prefix": keys.batch_works("guarded")}),
        ("list_objects_v2", {"Prefix": keys.feedback("guarded")}),
        ("delete_object", {"Key": LABEL}),
        ("delete_object", {"Key": keys.FEEDBACK_KEY}),
        ("delete_object", {"Key": COMMITTED}),
        ("delete_object", {"Key": LANDED}),
        ("put_bucket_policy", {"Policy": "{}"}),
        ("delete_bucket_policy", {}),
        ("list_object_versions", {}),
    ],
)
def test_the_api_can_do_nothing_else(under_the_api_s_role: Probe, call: str, arguments: dict[str, str]) -> None:
    assert under_the_api_s_role(call, **arguments) == "AccessDenied"


def test_the_api_has_its_key(under_the_api_s_role: Probe) -> None:
    assert under_the_api_s_role("get_object", Key=keys.FEEDBACK_KEY) in ("allowed", "NoSuchKey")


@pytest.fixture(scope="module")
def under_the_feedback_s_role(stack: LocalStack) -> Iterator[Probe]:
    """The same under that of feedback."""
    with _probing(stack, stack.function.removesuffix("api") + "feedback", "probe-feedback") as probe:
        yield probe


def test_feedback_keeps_labels_and_reads_the_key_and_the_models(under_the_feedback_s_role: Probe) -> None:
    for key in (LABEL, keys.contradiction("guarded", "2026-11-21", "id")):
        assert under_the_feedback_s_role("put_object", Key=key, Body="label") == "allowed"
        assert under_the_feedback_s_role("get_object", Key=key) == "allowed"
    assert under_the_feedback_s_role("get_object", Key=keys.label("guarded", "2026-11-21", "none")) == "NoSuchKey"
    assert under_the_feedback_s_role("get_object", Key=keys.FEEDBACK_KEY) in ("allowed", "NoSuchKey")
    assert under_the_feedback_s_role("get_object", Key=COMMITTED) == "allowed"
    assert under_the_feedback_s_role("list_objects_v2", Prefix="", Delimiter="/") == "allowed"


@pytest.mark.needs("iam")
@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("put_object", {"Key": keys.FEEDBACK_KEY, "Body": "changed"}),
        ("put_object", {"Key": COMMITTED, "Body": "changed"}),
        ("put_object", {"Key": COLLECTED, "Body": "changed"}),
        ("put_object", {"Key": UPLOADED, "Body": "changed"}),
        ("put_object", {"Key": keys.image("guarded", "0" * 64), "Body": "changed"}),
        ("get_object", {"Key": LANDED}),
        ("get_object", {"Key": BATCH}),
        ("get_object", {"Key": RESULT}),
        ("list_objects_v2", {"Prefix": keys.feedback("guarded")}),
        ("delete_object", {"Key": LABEL}),
        ("put_bucket_policy", {"Policy": "{}"}),
    ],
)
def test_feedback_can_do_nothing_else(under_the_feedback_s_role: Probe, call: str, arguments: dict[str, str]) -> None:
    assert under_the_feedback_s_role(call, **arguments) == "AccessDenied"


def test_the_api_takes_files_and_gives_results(under_the_api_s_role: Probe) -> None:
    assert under_the_api_s_role("put_object", Key=UPLOADED, Body="file") == "allowed"
    assert under_the_api_s_role("list_objects_v2", Prefix=keys.batch_uploads("guarded", "0" * 32)) == "allowed"
    assert under_the_api_s_role("get_object", Key=RESULT) == "allowed"
    asked = BatchRequest(model="guarded", name="in.csv", options=BatchOptions(), created=datetime.now(UTC))
    assert under_the_api_s_role("put_object", Key=ASKED, Body=asked.to_bytes().decode()) == "allowed"
    for key in (keys.batch_request("guarded", "2" * 32), keys.batch_result("guarded", "2" * 32)):
        assert under_the_api_s_role("get_object", Key=key) == "NoSuchKey"


def test_the_capture_keeps_predictions(under_the_capture_s_role: Probe) -> None:
    assert under_the_capture_s_role("put_object", Key=BATCH, Body="lines") == "allowed"
    assert under_the_capture_s_role("get_object", Key=BATCH) == "allowed"
    assert under_the_capture_s_role("get_object", Key=BATCH.replace("0000", "1111")) == "NoSuchKey"


@pytest.mark.needs("iam")
@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get_object", {"Key": COMMITTED}),
        ("get_object", {"Key": LABEL}),
        ("get_object", {"Key": keys.FEEDBACK_KEY}),
        ("put_object", {"Key": LABEL, "Body": "changed"}),
        ("put_object", {"Key": COMMITTED, "Body": "changed"}),
        ("put_object", {"Key": LANDED, "Body": "changed"}),
        ("delete_object", {"Key": BATCH}),
        ("list_objects_v2", {"Prefix": "guarded/landing/"}),
    ],
)
def test_the_capture_can_do_nothing_else(under_the_capture_s_role: Probe, call: str, arguments: dict[str, str]) -> None:
    assert under_the_capture_s_role(call, **arguments) == "AccessDenied"


@pytest.fixture(scope="module")
def under_the_score_s_role(stack: LocalStack) -> Iterator[Probe]:
    """The same under the scoring's."""
    with _probing(stack, stack.score, "probe-score") as probe:
        yield probe


def test_the_scoring_reads_what_is_to_be_scored_and_keeps_what_came_of_it(
    stack: LocalStack, under_the_score_s_role: Probe
) -> None:
    s3 = client(stack, "s3")
    for key in (DROPPED, keys.batch_waiting("guarded") + "a.csv", keys.batch_request("guarded", "none")):
        version = s3.put_object(Bucket=stack.bucket, Key=key, Body=b"{}")["VersionId"]
        assert under_the_score_s_role("get_object", Key=key, VersionId=version) == "allowed"
    assert under_the_score_s_role("get_object", Key=COMMITTED) == "allowed"
    for key in MADE:
        assert under_the_score_s_role("get_object", Key=key) == "NoSuchKey"
        assert under_the_score_s_role("put_object", Key=key, Body="{}") == "allowed"
        assert under_the_score_s_role("get_object", Key=key) == "allowed"
    assert under_the_score_s_role("list_objects_v2", Prefix=keys.batch_parts("guarded", "work")) == "allowed"


@pytest.mark.needs("iam")
@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get_object", {"Key": LANDED}),
        ("get_object", {"Key": LABEL}),
        ("get_object", {"Key": BATCH}),
        ("get_object", {"Key": keys.FEEDBACK_KEY}),
        ("get_object", {"Key": keys.pull_staging("guarded", "source", "run")}),
        ("put_object", {"Key": DROPPED, "Body": "changed"}),
        ("put_object", {"Key": keys.batch_request("guarded", "none"), "Body": "changed"}),
        ("put_object", {"Key": COMMITTED, "Body": "changed"}),
        ("put_object", {"Key": keys.alias("guarded", "champion"), "Body": "changed"}),
        ("put_object", {"Key": LANDED, "Body": "changed"}),
        ("put_object", {"Key": LABEL, "Body": "changed"}),
        ("put_object", {"Key": keys.FEEDBACK_KEY, "Body": "changed"}),
        ("delete_object", {"Key": DROPPED}),
        ("delete_object", {"Key": MADE[0]}),
        ("delete_object", {"Key": COMMITTED}),
        ("list_objects_v2", {"Prefix": "guarded/landing/"}),
        ("list_objects_v2", {"Prefix": "guarded/registry/"}),
        ("list_object_versions", {}),
        ("put_bucket_policy", {"Policy": "{}"}),
    ],
)
def test_the_scoring_can_do_nothing_else(under_the_score_s_role: Probe, call: str, arguments: dict[str, str]) -> None:
    assert under_the_score_s_role(call, **arguments) == "AccessDenied"


@pytest.mark.needs("iam")
def test_not_even_an_administrator_deletes_what_is_committed(stack: LocalStack, under_the_api_s_role: Probe) -> None:
    iam = client(stack, "iam")
    iam.create_user(UserName="admin")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="admin", PolicyName="everything", PolicyDocument=json.dumps(everything))
    key = iam.create_access_key(UserName="admin")["AccessKey"]
    s3 = Aws(stack.endpoint_url, stack.region, key["AccessKeyId"], key["SecretAccessKey"]).client("s3")
    report = keys.monitor_file("guarded", "run", "drift.html")
    s3.put_object(Bucket=stack.bucket, Key=report, Body=b"")
    s3.delete_object(Bucket=stack.bucket, Key=report)
    for key in (COMMITTED, LANDED, COLLECTED, LABEL, BATCH, keys.FEEDBACK_KEY, keys.label_file("guarded", "0")):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.delete_object(Bucket=stack.bucket, Key=key)


@pytest.mark.needs("iam")
def test_strangers_read_the_form_and_nothing_else(stack: LocalStack, store: Store) -> None:
    store.put_new("guarded/registry/blobs/secret", b"secret")
    assert httpx.get(stack.site_url).status_code == 200
    for path in (
        f"{stack.bucket}/guarded/registry/blobs/secret",
        f"{stack.bucket}?list-type=2",
        f"{stack.site_bucket}?list-type=2",
    ):
        assert httpx.get(f"{stack.endpoint_url}/{path}").status_code == 403
    assert httpx.put(f"{stack.endpoint_url}/{stack.site_bucket}/index.html", content=b"x").status_code == 403


def test_buckets_are_as_the_template_says(stack: LocalStack) -> None:
    s3 = client(stack, "s3")
    assert s3.get_bucket_versioning(Bucket=stack.bucket)["Status"] == "Enabled"
    for bucket in (stack.bucket, stack.site_bucket):
        rules = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    blocked = s3.get_public_access_block(Bucket=stack.bucket)["PublicAccessBlockConfiguration"]
    assert all(blocked.values())
    parts, staged, replaced = s3.get_bucket_lifecycle_configuration(Bucket=stack.bucket)["Rules"]
    assert replaced["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert parts["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7
    assert (staged["Filter"]["Prefix"], staged["Expiration"]["Days"]) == ("_perennial/staging/", 7)
