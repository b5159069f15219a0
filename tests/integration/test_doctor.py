"""Each fault that `perennial doctor` knows, made for real: it is found, named, and has a remedy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from perennial import keys
from perennial.deploy.aws import Aws
from perennial.deploy.ministack import MiniStack
from perennial.deploy.ours import data_bucket
from perennial.deploy.up import embedded
from perennial.jobs.doctor import Finding, look_at
from perennial.jobs.doctor.finding import Patient
from perennial.registry.log import CHAMPION
from perennial.registry.signing import sign_version
from perennial.settings import Settings
from perennial.store_opening import open_store
from tests.support.models import build, make_spec, promote
from tests.support.signing import signer, trusting

STAGE = "ward"
DEAD = ("landing-dead", "scoring-dead", "capture-dead")
FUNCTIONS = ("api", "feedback", "capture", "score")
ROLE = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
                                                "Action": "sts:AssumeRole"}]}  # fmt: skip


class Ward:
    """What a deployment of ``STAGE`` consists of, made by the services' own calls, which tests then spoil."""

    def __init__(self, aws: Aws) -> None:
        self.aws, self.bucket = aws, data_bucket(aws, STAGE)
        self.trusted = trusting(signer("new"), signer("old")).text
        self.settings = Settings(
            bucket=self.bucket, aws_endpoint_url=aws.endpoint_url, region=aws.region, trusted_keys=self.trusted
        )
        self.store = open_store(self.settings.model_copy(update={"trusted_keys": None}))  # it puts in what it likes
        self.client = cache(aws.client)
        self.s3, self.functions = self.client("s3"), self.client("lambda")

    def make(self) -> None:
        self.s3.create_bucket(Bucket=self.bucket)
        self.set_up()
        for name in DEAD:
            self.aws.client("sqs").create_queue(QueueName=f"perennial-{STAGE}-{name}")
        role = self.aws.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(ROLE))["Role"][
            "Arn"
        ]
        for name in FUNCTIONS:
            self.functions.create_function(
                FunctionName=f"perennial-{STAGE}-{name}", Role=role, Runtime="python3.13", Handler="a.b",
                Code={"ZipFile": b"PK\x05\x06" + bytes(18)}, MemorySize=512,
                Environment={"Variables": {"PERENNIAL_BUCKET": self.bucket, "PERENNIAL_TRUSTED_KEYS": self.trusted}},
            )  # fmt: skip
        built = build(make_spec("iris"))
        promote(self.store, built)
        for one in ("new", "old"):
            sign_version(self.store, signer(one), "iris", built.version)
        self.version = built.version

    def set_up(self) -> None:
        bucket = {"Bucket": self.bucket}
        self.s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Enabled"})
        ways = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        self.s3.put_public_access_block(**bucket, PublicAccessBlockConfiguration=dict.fromkeys(ways, True))
        ending = {"ID": "unfinished", "Status": "Enabled", "Filter": {"Prefix": ""},
                  "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}  # fmt: skip
        self.s3.put_bucket_lifecycle_configuration(**bucket, LifecycleConfiguration={"Rules": [ending]})
        encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
        self.s3.put_bucket_encryption(**bucket, ServerSideEncryptionConfiguration=encryption)
        policy = {"Version": "2012-10-17", "Statement": [
            {"Sid": "NobodyDeletesWhatIsCommitted", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject",
             "Resource": f"arn:aws:s3:::{self.bucket}/*/registry/*"}]}  # fmt: skip
        self.s3.put_bucket_policy(**bucket, Policy=json.dumps(policy))

    def patient(self, *, off: timedelta = timedelta(), **changes: Any) -> Patient:
        settings = self.settings.model_copy(update=changes)
        return Patient(settings, open_store(settings), self.client, lambda: datetime.now(UTC) + off)

    def faults(self, **how: Any) -> dict[str, Finding]:
        found = {finding.what: finding for finding in look_at(self.patient(**how)) if not finding.ok}
        assert all(finding.remedy and "\n" not in finding.found for finding in found.values())
        return found


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with MiniStack(tmp_path_factory.mktemp("aws")) as emulator:
        ward = Ward(embedded(emulator.endpoint_url))
        ward.make()
        yield ward
    monkeypatch.undo()


@pytest.fixture(autouse=True)
def healthy(ward: Ward) -> Iterator[None]:
    """Every test leaves the deployment as it found it."""
    assert ward.faults() == {}
    yield
    assert ward.faults() == {}


def test_what_is_well_is_told_too(ward: Ward) -> None:
    found = {finding.what: finding.found for finding in look_at(ward.patient())}
    assert {"clock", "bucket", "conditional writes", "identity", "permissions", "registry of iris", "alias of iris",
            "signature of iris", "bucket: versioning", "function api", "package of score", "memory of api",
            "queue landing-dead", "alarms", "functions at a time"} <= set(found)  # fmt: skip
    assert found["alias of iris"] == "generation 1 of 1"


@pytest.mark.parametrize(("minutes", "said"), [(10, "ahead of S3's"), (-10, "behind S3's")])
def test_a_clock_ten_minutes_off(ward: Ward, minutes: int, said: str) -> None:
    fault = ward.faults(off=timedelta(minutes=minutes))["clock"]
    assert said in fault.found and 590 < int(fault.found.split()[0]) < 610
    assert "timedatectl" in str(fault.remedy)


def test_a_bucket_of_another_account(ward: Ward) -> None:
    """Whoever takes a name first has it. An access key of twelve digits is an account of its own to the emulator."""
    name = ward.bucket.replace("000000000000", "111111111111")
    theirs = Aws(ward.aws.endpoint_url, ward.aws.region, "222222222222", "test").client("s3")
    theirs.create_bucket(Bucket=name)
    found = ward.faults(bucket=name)
    assert set(found) == {"bucket"} and "not of account 111111111111" in found["bucket"].found
    assert "Contents" not in theirs.list_objects_v2(Bucket=name)


@pytest.mark.parametrize("what", ["versioning", "public access", "encryption", "lifecycle", "policy"])
def test_a_setting_of_the_bucket(ward: Ward, what: str) -> None:
    s3, bucket = ward.s3, {"Bucket": ward.bucket}
    match what:
        case "versioning":
            s3.put_bucket_versioning(**bucket, VersioningConfiguration={"Status": "Suspended"})
        case "public access":
            s3.delete_public_access_block(**bucket)
        case "encryption":
            s3.delete_bucket_encryption(**bucket)
        case "lifecycle":
            s3.delete_bucket_lifecycle(**bucket)
        case _:
            s3.delete_bucket_policy(**bucket)
    found = ward.faults()
    ward.set_up()
    assert what == "encryption" or set(found) == {f"bucket: {what}"}  # S3, as its emulator, encrypts all the same
    assert all(f"`make deploy STAGE={STAGE}`" in str(fault.remedy) for fault in found.values())


def test_an_identity_that_may_too_little(ward: Ward) -> None:
    iam = ward.aws.client("iam")
    iam.create_user(UserName="ana")
    key = iam.create_access_key(UserName="ana")["AccessKey"]
    allowed = [{"Effect": "Allow", "Action": ["s3:*", "iam:Simulate*", "sts:*"], "Resource": "*"}]
    policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
    iam.put_user_policy(UserName="ana", PolicyName="p", PolicyDocument=policy)
    aws = Aws(ward.aws.endpoint_url, ward.aws.region, key["AccessKeyId"], key["SecretAccessKey"])
    topic = "arn:aws:sns:us-east-1:000000000000:perennial-ward-notices"
    settings = ward.settings.model_copy(update={"topic_arn": topic})
    patient = Patient(settings, ward.store, cache(aws.client), lambda: datetime.now(UTC))
    found = {finding.what: finding for finding in look_at(patient)}
    assert not found["permissions"].ok and found["permissions"].found == f"denied: sns:Publish on {topic}"
    assert found["alarms"].ok and "may not look" in found["alarms"].found


def test_an_alias_behind_its_log(ward: Ward) -> None:
    """As whoever died between the log and the alias leaves it; and the remedy works."""
    key = keys.alias("iris", CHAMPION)
    before = ward.store.get(key)
    after = build(make_spec("iris"), seed=1)
    promote(ward.store, after)
    for one in ("new", "old"):
        sign_version(ward.store, signer(one), "iris", after.version)
    ward.store.put_if_match(key, before.data, ward.store.get(key).etag)
    found = ward.faults()
    assert set(found) == {"alias of iris"} and found["alias of iris"].found == "generation 1 of 2"
    assert f"`perennial promote iris {after.version}`" in str(found["alias of iris"].remedy)
    promote(ward.store, after, op_id="by-hand")


def test_who_signed_the_champion(ward: Ward) -> None:
    third = build(make_spec("iris"), seed=2)
    promote(ward.store, third)
    found = ward.faults()
    assert "by no key that is trusted" in found["signature of iris"].found
    sign_version(ward.store, signer("old"), "iris", third.version)
    found = ward.faults()  # the old key is about to be removed
    assert set(found) == {"signature of iris"} and "not by" in found["signature of iris"].found
    assert f"`perennial keys sign iris {third.version}`" in str(found["signature of iris"].remedy)
    sign_version(ward.store, signer("new"), "iris", third.version)


def test_a_registry_that_was_tampered_with(ward: Ward) -> None:
    built = build(make_spec("iris"), seed=2)
    (ref,) = built.manifest.files.values()
    key = keys.registry_blob("iris", ref.digest)
    ward.s3.put_object(Bucket=ward.bucket, Key=key, Body=b"other")
    found = ward.faults()
    ward.s3.put_object(Bucket=ward.bucket, Key=key, Body=built.onnx)
    assert set(found) == {"registry of iris"} and "does not match its digest" in found["registry of iris"].found


def test_a_dead_letter(ward: Ward) -> None:
    sqs = ward.aws.client("sqs")
    for name in DEAD:
        url = sqs.get_queue_url(QueueName=f"perennial-{STAGE}-{name}")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody="{}")
        found = ward.faults()
        sqs.purge_queue(QueueUrl=url)
        assert set(found) == {f"queue {name}"} and found[f"queue {name}"].found == "1 messages"
        if name == "landing-dead":
            arn = f"arn:aws:sqs:us-east-1:000000000000:perennial-{STAGE}-{name}"
            assert f"`aws sqs start-message-move-task --source-arn {arn}`" in str(found[f"queue {name}"].remedy)


def test_an_alarm_that_rings(ward: Ward) -> None:
    cloudwatch = ward.aws.client("cloudwatch")
    name = f"perennial-{STAGE}-api-errors"
    cloudwatch.put_metric_alarm(
        AlarmName=name, AlarmDescription="See the log of the API.", Namespace="n", MetricName="m", Statistic="Sum",
        Period=60, EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="7 of 1")
    found = ward.faults()
    cloudwatch.delete_alarms(AlarmNames=[name])
    assert {what: (one.found, one.remedy) for what, one in found.items()} == {
        f"alarm {name}": ("7 of 1", "See the log of the API.")
    }


def test_an_alarm_of_another_stage_is_not_ours(ward: Ward) -> None:
    """Names of prod-eu begin as those of prod do."""
    cloudwatch, name = ward.aws.client("cloudwatch"), f"perennial-{STAGE}-eu-api-errors"
    cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[f"arn:aws:sns:us-east-1:000000000000:perennial-{STAGE}-eu-notices"],
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="7 of 1")
    found = ward.faults()
    cloudwatch.delete_alarms(AlarmNames=[name])
    assert found == {}


def test_a_function_that_works_on_something_else(ward: Ward) -> None:
    name = f"perennial-{STAGE}-api"
    right = {"PERENNIAL_BUCKET": ward.bucket, "PERENNIAL_TRUSTED_KEYS": ward.trusted}
    wrong = right | {"PERENNIAL_TRUSTED_KEYS": trusting(signer("old")).text}
    for env in (right | {"PERENNIAL_BUCKET": "other"}, wrong):
        ward.functions.update_function_configuration(FunctionName=name, Environment={"Variables": env})
        found = ward.faults()
        assert set(found) == {"function api"} and "here" in found["function api"].found
    ward.functions.update_function_configuration(FunctionName=name, Environment={"Variables": right})


def test_a_model_that_outgrows_its_function(ward: Ward) -> None:
    for name in ("api", "score"):
        ward.functions.update_function_configuration(FunctionName=f"perennial-{STAGE}-{name}", MemorySize=128)
    found = ward.faults()
    for name in ("api", "score"):
        ward.functions.update_function_configuration(FunctionName=f"perennial-{STAGE}-{name}", MemorySize=512)
    assert set(found) == {"memory of api", "memory of score"} and "128 MB; iris" in found["memory of api"].found
    api, score = (str(found[f"memory of {name}"].remedy) for name in ("api", "score"))
    assert f'`make deploy STAGE={STAGE} PARAMETERS="ApiMegabytes=256"`' in api
    assert "infra/stacks/scoring.yaml to 256" in score


def test_too_few_functions_at_a_time(ward: Ward) -> None:
    name, all_ = (
        f"perennial-{STAGE}-score",
        ward.functions.get_account_settings()["AccountLimit"]["ConcurrentExecutions"],
    )
    ward.functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=all_ - 100)
    ward.functions.put_function_concurrency(FunctionName=f"perennial-{STAGE}-api", ReservedConcurrentExecutions=60)
    found = ward.faults()
    for one in ("score", "api"):
        ward.functions.delete_function_concurrency(FunctionName=f"perennial-{STAGE}-{one}")
    assert set(found) == {"functions at a time"} and found["functions at a time"].found.startswith("40 of")


def test_what_is_missing(ward: Ward) -> None:
    """A bucket of a stage that has nothing else."""
    name = ward.bucket.replace(f"-{STAGE}-", "-bare-")
    ward.s3.create_bucket(Bucket=name)
    found = ward.faults(bucket=name)
    for version in ward.s3.list_object_versions(Bucket=name).get("Versions", []):
        ward.s3.delete_object(Bucket=name, Key=version["Key"])
    assert {"function api", "queue landing-dead", "bucket: versioning"} <= set(found)


def test_nothing_can_be_read(ward: Ward, tmp_path: Path) -> None:
    found = ward.faults(bucket="perennial-none-data-000000000000-us-east-1")
    assert set(found) == {"bucket"}
