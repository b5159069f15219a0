"""``template.yaml``, with what it nests, is valid for AWS, and keeps the promises that no linter checks."""

from __future__ import annotations

import os
import re
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from perennial import keys
from perennial.deploy.template import STACK, read_templates
from perennial.serving.captured import KIND
from tests.support.templates import ROOT, TEMPLATE, pattern_of, stack_resources, stack_templates

ALL = pytest.mark.parametrize("path", stack_templates(), ids=lambda path: path.name)
MOST_LINES = 400


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    return stack_resources()


def of_type(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    found = {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}
    assert found
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(ROOT / ".local/sam"),
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=env)


@pytest.mark.parametrize("path", [path for path, one in stack_templates().items() if "Transform" in one], ids=str)
def test_sam_finds_it_valid(path: Path) -> None:
    result = run(str(ROOT / ".local/envs/sam/bin/sam"), "validate", "--lint", "--template-file", str(path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "is a valid SAM Template" in result.stdout


def test_sam_build_leaves_the_packages_as_they_are(resources: dict[str, Any]) -> None:
    """It would copy them without what is compiled, and say that it succeeded."""
    functions = [one for one in resources.values() if one["Type"] == "AWS::Serverless::Function"]
    assert functions
    assert all(one["Metadata"] == {"SkipBuild": True} for one in functions)


@ALL
def test_it_can_be_read_in_one_go(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_each_stack_is_given_what_it_asks_for_and_no_more() -> None:
    root = stack_templates()[TEMPLATE]
    for name, one in of_type(root["Resources"], STACK).items():
        asked = stack_templates()[ROOT / one["TemplateURL"]]["Parameters"]
        assert {parameter for parameter in asked if "Default" not in asked[parameter]} <= one["Parameters"].keys(), name
        assert one["Parameters"].keys() <= asked.keys(), name


def test_no_stack_waits_for_itself() -> None:
    """Not by way of another either: what a stack is given of others' outputs stands in an order."""
    stacks = of_type(stack_templates()[TEMPLATE]["Resources"], STACK)
    waits = {name: {other for other in stacks if f"'{other}', 'Outputs." in str(one)} for name, one in stacks.items()}
    while waits:
        ready = {name for name, others in waits.items() if not others & waits.keys()}
        assert ready, waits
        waits = {name: others for name, others in waits.items() if name not in ready}


def statements(resources: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """All statements of roles' inline policies, or of bucket policies; both branches of a condition."""
    documents = []
    for properties in of_type(resources, kind).values():
        documents += [properties[name] for name in ("PolicyDocument",) if name in properties]
        documents += [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    found = []
    for document in documents:
        for statement in document["Statement"]:
            choices = statement["Fn::If"][1:] if "Fn::If" in statement else [statement]
            found += [choice for choice in choices if "Effect" in choice]
    return found


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_roles_say_what_they_may_do_and_nothing_is_a_wildcard(resources: dict[str, Any]) -> None:
    for statement in statements(resources, "AWS::IAM::Role"):
        assert statement["Effect"] == "Allow"
        for action in as_list(statement["Action"]):
            assert "*" not in action, action
        assert "*" not in as_list(statement["Resource"])


def of_functions(resources: dict[str, Any]) -> dict[str, Any]:
    """The resources without the roles of jobs."""
    used = {one["Role"]["Fn::GetAtt"][0] for one in of_type(resources, "AWS::Serverless::Function").values()}
    return {name: one for name, one in resources.items() if name in used or one["Type"] != "AWS::IAM::Role"}


def test_functions_write_what_they_take_and_no_role_deletes(resources: dict[str, Any]) -> None:
    resources = of_functions(resources)
    actions = {action for one in statements(resources, "AWS::IAM::Role") for action in as_list(one["Action"])}
    s3 = {action for action in actions if action.startswith("s3:")}
    assert s3 == {"s3:AbortMultipartUpload", "s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:PutObject"}
    writable = [
        pattern_of(place)
        for one in statements(resources, "AWS::IAM::Role")
        if "s3:PutObject" in one["Action"]
        for place in as_list(one["Resource"])
    ]
    assert sorted(writable) == [
        "*/batch/in/api/*", "*/batch/out/*", "*/batch/quarantine/*.csv", "*/batch/requests/*.json",
        "*/batch/status/*.json", "*/batch/tasks/*.json", "*/feedback/????-??-??/*.json", f"*/images/sha256/{'?' * 64}",
        "*/predictions/????-??-??/*.jsonl", "_perennial/feedback.key", "_perennial/staging/*/batch/*",
    ]  # fmt: skip
    for key in (
        keys.FEEDBACK_KEY, keys.label("m", "2026-11-21", "id"), keys.contradiction("m", "2026-11-21", "id"),
        keys.image("m", "0" * 64), keys.prediction_batch("m", "2026-11-21", "080000000", "090000000", "0" * 64),
    ):  # fmt: skip
        assert any(fnmatchcase(key, pattern) for pattern in writable), key
    for key in (keys.collected("m", "feedback", 1), keys.label_file("m", "0"), keys.alias("m", "champion")):
        assert not any(fnmatchcase(key, pattern) for pattern in writable), key
    deletes = {action for action in actions if "Delete" in action or action.startswith("iam:")}
    assert deletes == {"sqs:DeleteMessage"}  # of what was worked on
    for properties in of_type(resources, "AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in properties


def test_what_is_committed_is_deleted_by_nobody(resources: dict[str, Any]) -> None:
    denials = [one for one in statements(resources, "AWS::S3::BucketPolicy") if one["Effect"] == "Deny"]
    (deletion,) = [one for one in denials if "s3:DeleteObject" in as_list(one["Action"])]
    assert deletion["Principal"] == "*"
    assert {"s3:DeleteObject", "s3:DeleteObjectVersion"} == set(deletion["Action"])
    kept = [pattern_of(place) for place in deletion["Resource"]]
    for key in (
        keys.FEEDBACK_KEY, keys.landing("m", "a.csv"), keys.image("m", "0"), keys.dataset_blob("m", "0"),
        keys.log_entry("m", 1), keys.label("m", "2026-11-21", "id"), keys.label_file("m", "0"),
        keys.monitor_summary("m", "run"),
        keys.prediction_batch("m", "2026-11-21", "080000000", "090000000", "0" * 64),
    ):  # fmt: skip
        assert any(fnmatchcase(key, pattern) for pattern in kept), key
    assert not any(fnmatchcase(keys.monitor_file("m", "run", "drift.html"), pattern) for pattern in kept)


def test_every_bucket_is_encrypted_owned_and_reached_over_tls(resources: dict[str, Any]) -> None:
    buckets = of_type(resources, "AWS::S3::Bucket")
    for properties in buckets.values():
        assert properties["BucketEncryption"]
        assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    tls = [
        one
        for one in statements(resources, "AWS::S3::BucketPolicy")
        if one.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
    ]
    assert len(tls) == len(buckets)
    assert {(one["Effect"], one["Action"]) for one in tls} == {("Deny", "s3:*")}
    assert stack_templates()[TEMPLATE]["Parameters"]["Transport"]["Default"] == "tls"


def test_only_the_site_is_public_and_the_data_outlives_the_stack(resources: dict[str, Any]) -> None:
    data = resources["DataBucket"]
    assert data["DeletionPolicy"] == data["UpdateReplacePolicy"] == "Retain"
    assert data["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(data["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    allowed = [one for one in statements(resources, "AWS::S3::BucketPolicy") if one["Effect"] == "Allow"]
    assert {(one["Action"], one["Resource"]["Fn::Sub"]) for one in allowed} == {("s3:GetObject", "${SiteBucket.Arn}/*")}


def test_all_data_is_kept_unless_a_parameter_says_otherwise() -> None:
    parsed = read_templates(TEMPLATE)
    rules = {one["Id"]: one for one in parsed.properties("DataBucket", {})["LifecycleConfiguration"]["Rules"]}
    assert {name for name, one in rules.items() if "ExpirationInDays" in one} == {"answers-of-databases"}
    assert rules["what-was-replaced"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    given = {"ExpiringPrefix": "shop/predictions/", "ExpiringDays": "30"}
    *_, added = parsed.properties("DataBucket", given)["LifecycleConfiguration"]["Rules"]
    assert (added["Prefix"], added["ExpirationInDays"]) == ("shop/predictions/", 30)
    pattern = parsed.root["Parameters"]["ExpiringPrefix"]["AllowedPattern"]
    for prefix in ("shop/predictions/", "shop/batch/out/", ""):
        assert re.fullmatch(pattern, prefix), prefix
    for prefix in ("shop/registry/", "shop/", "shop/landing/", "_perennial/", "shop/labels/"):
        assert not re.fullmatch(pattern, prefix), prefix


def test_the_bucket_s_key_is_s3_s_own_or_the_one_that_is_named() -> None:
    parsed, arn = read_templates(TEMPLATE), "arn:aws:kms:us-east-1:123456789012:key/k"
    for given, expected in (
        ({}, {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}),
        (
            {"DataKey": arn},
            {
                "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": arn},
                "BucketKeyEnabled": True,
            },
        ),
    ):
        (rule,) = parsed.properties("DataBucket", given)["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule == expected


def test_objects_may_be_given_retention_and_none_has_it_unasked(resources: dict[str, Any]) -> None:
    data = resources["DataBucket"]["Properties"]
    assert data["ObjectLockEnabled"] is True and "ObjectLockConfiguration" not in data


def test_functions_run_on_what_the_package_is_built_for(resources: dict[str, Any]) -> None:
    from perennial.deploy.package import CLOUD_PLATFORM, CLOUD_PYTHON

    for properties in of_type(resources, "AWS::Serverless::Function").values():
        assert properties["Runtime"] == f"python{CLOUD_PYTHON}"
        assert properties["Architectures"] == ["arm64"]
        assert CLOUD_PLATFORM.startswith("aarch64-")


def test_captured_lines_reach_the_capture_and_never_come_back(resources: dict[str, Any]) -> None:
    """The pattern stands in quotes, which AWS and the emulator read alike."""
    (subscription,) = of_type(resources, "AWS::Logs::SubscriptionFilter").values()
    assert subscription["FilterPattern"] == f'"{KIND}"'
    source, target = subscription["LogGroupName"]["Ref"], subscription["DestinationArn"]["Ref"]
    functions = of_type(resources, "AWS::Serverless::Function")
    writers = {name for name, one in functions.items() if one["LoggingConfig"]["LogGroup"] == {"Ref": source}}
    assert writers == {"ApiFunction"} and target == "CaptureFunction.Alias"
    allowed = [
        one
        for one in of_type(resources, "AWS::Lambda::Permission").values()
        if one["Principal"] != "apigateway.amazonaws.com"
    ]
    assert [(one["FunctionName"], one["SourceArn"]) for one in allowed] == [
        ({"Ref": target}, {"Fn::GetAtt": [source, "Arn"]})
    ]


def test_new_files_are_told_to_the_landing_queue_by_this_bucket_alone(resources: dict[str, Any]) -> None:
    data = resources["DataBucket"]
    told = data["Properties"]["NotificationConfiguration"]["QueueConfigurations"]
    suffixes = [one["Filter"]["S3Key"]["Rules"] for one in told]
    assert suffixes == [[{"Name": "suffix", "Value": value}] for value in (".csv", ".csv.gz", ".parquet")]
    assert {str(one["Queue"]) for one in told} == {str({"Fn::GetAtt": ["LandingQueue", "Arn"]})}
    policy = of_type(resources, "AWS::SQS::QueuePolicy")["LandingQueuePolicy"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Principal"], statement["Action"]) == ({"Service": "s3.amazonaws.com"}, "sqs:SendMessage")
    source = statement["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert source == "arn:${AWS::Partition}:s3:::" + data["Properties"]["BucketName"]["Fn::Sub"]
    assert data["DependsOn"] == "LandingQueuePolicy"


def test_a_file_that_fails_again_and_again_is_set_aside(resources: dict[str, Any]) -> None:
    queues = of_type(resources, "AWS::SQS::Queue")
    assert all(one["SqsManagedSseEnabled"] for one in queues.values())
    for name in ("Landing", "Scoring"):
        dead = queues[f"{name}Queue"]["RedrivePolicy"]["deadLetterTargetArn"]
        assert dead == {"Fn::GetAtt": [f"{name}DeadQueue", "Arn"]}


RULES = {
    "ScoreFilesRule": "*/batch/in/*",
    "ScoreRequestsRule": "*/batch/requests/*",
    "ScoreTasksRule": "*/batch/tasks/*",
}


def test_what_is_to_be_scored_is_told_to_the_scoring_queue_by_rules_alone(resources: dict[str, Any]) -> None:
    notified = resources["DataBucket"]["Properties"]["NotificationConfiguration"]["EventBridgeConfiguration"]
    assert notified == {"EventBridgeEnabled": True}
    found = {}
    told = {name: rule for name, rule in of_type(resources, "AWS::Events::Rule").items() if name != "NewDataRule"}
    for name, rule in told.items():
        pattern = rule["EventPattern"]
        assert (pattern["source"], pattern["detail-type"]) == (["aws.s3"], ["Object Created"])
        assert pattern["detail"]["bucket"] == {"name": [{"Ref": "DataBucketName"}]}
        ((wildcard,),) = (one.values() for one in pattern["detail"]["object"]["key"])
        found[name] = wildcard
        (target,) = rule["Targets"]
        assert target["Arn"] == {"Fn::GetAtt": ["ScoringQueue", "Arn"]}
        assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["ScoringDeadQueue", "Arn"]}}
        assert rule.get("State", "ENABLED") == "ENABLED"
    assert found == RULES
    (statement,) = of_type(resources, "AWS::SQS::QueuePolicy")["ScoringQueuePolicy"]["PolicyDocument"]["Statement"]
    assert (statement["Principal"], statement["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
    senders = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert senders == [{"Fn::GetAtt": [name, "Arn"]} for name in RULES]


def test_each_object_that_starts_work_is_told_of_and_no_other() -> None:
    started = (
        keys.batch_in("m", "dt=2026-01-01/a b.csv"), keys.batch_upload("m", "job", "a.csv"),
        keys.batch_request("m", "job"), keys.batch_task("m", "work", "part-000001"),
    )  # fmt: skip
    for key in started:
        assert [fnmatchcase(key, pattern) for pattern in RULES.values()].count(True) == 1, key
    for key in (
        keys.batch_plan("m", "w"), keys.batch_progress("m", "w"), keys.batch_result("m", "w"),
        keys.batch_part("m", "w", 1), keys.batch_piece("m", "w", 1, "scored"), keys.batch_waiting("m") + "a.csv",
        keys.batch_out("m", "a.csv", "v", "w", "csv"), keys.batch_quarantine("m", "a.csv", "v", "w"),
        keys.landing("m", "a.csv"), keys.log_entry("m", 1),
    ):  # fmt: skip
        assert not any(fnmatchcase(key, pattern) for pattern in RULES.values()), key


def test_the_scoring_may_write_what_it_makes_and_read_what_that_takes(resources: dict[str, Any]) -> None:
    said = [policy["PolicyDocument"] for policy in of_type(resources, "AWS::IAM::Role")["ScoreRole"]["Policies"]]
    allowed: dict[str, list[str]] = {}
    for one in (statement for document in said for statement in document["Statement"]):
        for action in as_list(one["Action"]):
            allowed.setdefault(action, []).extend(pattern_of(place) for place in as_list(one["Resource"]))

    def may(action: str, key: str) -> bool:
        return any(fnmatchcase(key, place) for place in allowed[action])

    made = (
        keys.batch_plan("m", "w"), keys.batch_progress("m", "w"), keys.batch_result("m", "w"),
        keys.batch_part("m", "w", 1), keys.batch_piece("m", "w", 1, "scored"), keys.batch_task("m", "w", "join"),
        keys.batch_out("m", "api/job/a.csv", "v", "w", "parquet"), keys.batch_quarantine("m", "a.csv", "v", "w"),
    )  # fmt: skip
    for key in made:
        assert may("s3:PutObject", key) and may("s3:GetObject", key), key
        in_parts = any(place in key for place in ("/batch/out/", "/batch/quarantine/", "_perennial/staging/"))
        assert may("s3:AbortMultipartUpload", key) is in_parts, key
    for key in (
        keys.batch_in("m", "a.csv"), keys.batch_upload("m", "job", "a.csv"), keys.batch_waiting("m") + "a.csv",
        keys.batch_request("m", "job"),
    ):  # fmt: skip
        assert may("s3:GetObject", key) and may("s3:GetObjectVersion", key) and not may("s3:PutObject", key), key
    for key in (keys.alias("m", "champion"), keys.registry_blob("m", "0")):
        assert may("s3:GetObject", key) and not may("s3:PutObject", key), key
    for key in (
        keys.FEEDBACK_KEY, keys.landing("m", "a.csv"), keys.label("m", "2026-11-21", "id"),
        keys.predictions("m", "2026-11-21") + "a.jsonl", keys.pull_staging("m", "source", "run"),
    ):  # fmt: skip
        assert not may("s3:GetObject", key) and not may("s3:PutObject", key), key


def test_the_scoring_works_on_a_few_messages_at_a_time_and_longer_than_any_takes(resources: dict[str, Any]) -> None:
    function = of_type(resources, "AWS::Serverless::Function")["ScoreFunction"]
    assert (function["MemorySize"], function["Timeout"]) == (1769, 900)
    (mapping,) = of_type(resources, "AWS::Lambda::EventSourceMapping").values()
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "ScoringConcurrency"}}
    assert 1 <= mapping["BatchSize"] <= 10
    queue = of_type(resources, "AWS::SQS::Queue")["ScoringQueue"]
    assert queue["VisibilityTimeout"] > function["Timeout"]
    from perennial.scoring.batch.bench import LONGEST_SECONDS

    assert function["Timeout"] > LONGEST_SECONDS


def test_logs_end_and_one_origin_may_call(resources: dict[str, Any]) -> None:
    for properties in of_type(resources, "AWS::Logs::LogGroup").values():
        assert properties["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    (api,) = of_type(resources, "AWS::ApiGatewayV2::Api").values()
    cors = api["CorsConfiguration"]
    assert len(cors["AllowOrigins"]) == 1
    assert "*" not in str(cors["AllowOrigins"])
    assert "AllowCredentials" not in cors


def test_the_gateway_allows_and_shows_what_the_server_does_without_one(resources: dict[str, Any]) -> None:
    from lambdas.api import cors

    (api,) = of_type(resources, "AWS::ApiGatewayV2::Api").values()
    said = api["CorsConfiguration"]
    assert sorted(said["AllowMethods"]) == sorted(cors.METHODS)
    condition, with_tokens, without = said["AllowHeaders"]["Fn::If"]
    assert (condition, sorted(without)) == ("ByJwt", sorted(cors.ALLOWED))
    assert sorted(with_tokens) == sorted((*cors.ALLOWED, "authorization"))
    assert sorted(said["ExposeHeaders"]) == sorted(cors.EXPOSED)
    assert {"retry-after", "x-request-id"} <= set(said["ExposeHeaders"])


def test_nothing_costs_at_rest(resources: dict[str, Any]) -> None:
    """Storage aside: no provisioned concurrency, no snapshots, no keys, no addresses, no clusters. Alarms, a dashboard
    and a budget are within what AWS never charges for: see test_alarms.py."""
    assert {resource["Type"].rsplit("::", 1)[0] for resource in resources.values()} <= {
        "AWS::S3", "AWS::IAM", "AWS::Logs", "AWS::Lambda", "AWS::Serverless", "AWS::ApiGatewayV2", "AWS::SNS",
        "AWS::SQS", "AWS::Events", "AWS::CloudWatch", "AWS::CloudFormation",
        "AWS::CloudFront", "AWS::Budgets",
    }  # fmt: skip
    for properties in of_type(resources, "AWS::Serverless::Function").values():
        assert not {"ProvisionedConcurrencyConfig", "VpcConfig"} & set(properties)
        assert properties.get("SnapStart", {"ApplyOn": {"Ref": "SnapStart"}}) == {"ApplyOn": {"Ref": "SnapStart"}}
    assert stack_templates()[TEMPLATE]["Parameters"]["SnapStart"]["Default"] == "None"
