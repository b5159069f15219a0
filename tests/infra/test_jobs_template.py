"""The roles of jobs let each step do what it does, and nothing else: compared with what every step really asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from perennial import keys
from perennial.deploy.template import read_template
from perennial.jobs.batch import BESIDE, TRAINING
from tests.support.step_access import Request, nobody_is_told, recorded

ROOT = Path(__file__).parents[2]
ROLES, BATCH = ROOT / "infra/stacks/jobs.yaml", ROOT / "infra/batch.yaml"
STAGED = "perennial-${Stage}-data-${AWS::AccountId}-${AWS::Region}"
BUCKETS = {"${DataBucketName}": "data", "${SiteBucketName}": "site", STAGED: "data"}


class Right(NamedTuple):
    """One action on the objects of a pattern, or on the listings of a prefix."""

    bucket: str
    action: str
    pattern: str


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> frozenset[Request]:
    patch = pytest.MonkeyPatch()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "test")
    patch.setenv("PERENNIAL_MONITOR_PYTHON", "/nonexistent")  # HTML reports are files like the others
    with nobody_is_told():
        found = recorded(tmp_path_factory.mktemp("steps"))
    patch.undo()
    return found


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def documents(role: str) -> list[Any]:
    if role == "airflow":
        return [read_template(BATCH)["Resources"]["SubmitJobs"]["Properties"]["PolicyDocument"]]
    properties = read_template(ROLES)["Resources"][f"{role.capitalize()}Role"]["Properties"]
    return [policy["PolicyDocument"] for policy in properties["Policies"]]


def statements(role: str) -> list[dict[str, Any]]:
    found = [one for document in documents(role) for one in document["Statement"]]
    return [one["Fn::If"][1] if "Fn::If" in one else one for one in found]


def rights(role: str) -> Iterator[Right]:
    """All rights over objects of the two buckets, from the statements."""
    for statement in statements(role):
        for resource in as_list(statement["Resource"]):
            said = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
            match = re.fullmatch(r"arn:\$\{AWS::Partition\}:s3:::(.*?)(?:/(.*))?", str(said))
            if match is None:
                continue
            bucket, pattern = BUCKETS[match[1]], match[2]
            for action in as_list(statement["Action"]):
                if action == "s3:ListBucket":
                    prefixes = statement["Condition"]["StringLikeIfExists"]["s3:prefix"]
                    yield from (Right(bucket, action, prefix) for prefix in as_list(prefixes))
                else:
                    yield Right(bucket, action, pattern)


def role_of(step: str) -> str:
    return "airflow" if step in BESIDE else "trainer" if step in TRAINING else "promoter"


def allows(right: Right, request: Request) -> bool:
    return (right.bucket, right.action) == (request.bucket, request.action) and fnmatchcase(request.key, right.pattern)


def test_every_step_was_looked_at(requests: frozenset[Request]) -> None:
    from perennial.jobs import steps

    missing = {*steps.STEPS, *steps.TAKING, "train"} - {request.step for request in requests}
    assert missing <= {"scoring-spark", "trial-check"}  # the one needs Spark; the other's own test has its keys


def test_what_a_step_asks_for_its_role_allows(requests: frozenset[Request]) -> None:
    allowed = {role: tuple(rights(role)) for role in ("trainer", "promoter", "airflow")}
    refused = [one for one in requests if not any(allows(right, one) for right in allowed[role_of(one.step)])]
    assert refused == []


# Asked for by what the recorded runs have no need of.
ELSEWHERE = {
    "*/registry/versions/*/signatures/*.json": "signing, which has tests of its own",
    "_perennial/backbones/*": "candidates with a backbone",
    "*/batch/listings/????????.jsonl": "loose pictures that a schedule scores",
    "*/runs/specs/*.yaml": "the spec of a job, which is read before its step",
    "": "no listing, but whether a missing key is told from a refusal",
    "*/runs/*/jobs/*.json": "the result of a job, which is written after its step",
    "_perennial/staging/*.parquet": "Airflow's own operator, which asks a database",
}


@pytest.mark.parametrize("role", ["trainer", "promoter", "airflow"])
def test_what_a_role_allows_some_step_asks_for(requests: frozenset[Request], role: str) -> None:
    asked = [one for one in requests if role_of(one.step) == role]
    written = {right.pattern for right in rights(role) if right.action == "s3:PutObject"}
    unused = {
        right
        for right in rights(role)
        if right.pattern not in ELSEWHERE
        and not any(allows(right, one) for one in asked)
        # What is written is read back where the answer to a write was lost.
        and not (right.action == "s3:GetObject" and right.pattern in written)
    }
    assert unused == set()


def test_the_trainer_cannot_say_what_serves() -> None:
    written = [right.pattern for right in rights("trainer") if right.action == "s3:PutObject"]
    for key in (
        keys.log_entry("m", 1), keys.alias("m", "champion"), keys.intent("m", "op"), keys.gate_decision("m", "op"),
        keys.approval("m", "v"), keys.run_step("m", "run", "promote"), keys.outcome("m", "0"),
        keys.notice("m", "event"), keys.label("m", "2026-11-21", "p"), keys.FEEDBACK_KEY, keys.landing("m", "a.csv"),
        keys.monitor_summary("m", "run"), keys.backbone("b"), keys.label_file("m", "0"),
    ):  # fmt: skip
        assert not any(fnmatchcase(key, pattern) for pattern in written), key


def test_the_promoter_makes_no_version_and_no_dataset() -> None:
    written = [right.pattern for right in rights("promoter") if right.action == "s3:PutObject"]
    for key in (
        keys.registry_blob("m", "0" * 64), keys.version_manifest("m", "v"), keys.version_signature("m", "v", "k"),
        keys.dataset_blob("m", "0"), keys.dataset_manifest("m", "d"), keys.landing("m", "a.csv"),
        keys.run_step("m", "run", "register"), keys.run_candidate("m", "run", "c"),
        keys.prediction_batch("m", "d", "a", "b", "c"),
    ):  # fmt: skip
        assert not any(fnmatchcase(key, pattern) for pattern in written), key


def test_only_old_reports_are_removed_and_by_the_promoter_alone() -> None:
    for role in ("trainer", "airflow"):
        assert not [right for right in rights(role) if "Delete" in right.action]
    assert {right for right in rights("promoter") if "Delete" in right.action} == {
        Right("data", "s3:DeleteObject", f"{keys.monitor_runs('*')}*"),
        Right("site", "s3:DeleteObject", "data/*/monitor/*"),
    }


@pytest.mark.parametrize("role", ["trainer", "promoter", "airflow"])
def test_no_action_is_a_wildcard_and_a_resource_only_where_there_is_none_to_name(role: str) -> None:
    for statement in statements(role):
        assert statement["Effect"] == "Allow"
        assert not [one for one in as_list(statement["Action"]) if "*" in one]
        if "*" in as_list(statement["Resource"]):
            assert set(as_list(statement["Action"])) == {"batch:DescribeJobs", "batch:ListJobs"}


def test_jobs_are_bounded_and_cost_nothing_at_rest() -> None:
    resources = read_template(BATCH)["Resources"]
    instances = resources["Instances"]
    assert instances["Condition"] == "OnEc2" and instances["Properties"]["ComputeResources"]["MinvCpus"] == 0
    assert read_template(BATCH)["Parameters"]["Ec2"]["Default"] == "off"
    for name in ("TrainerJob", "PromoterJob", "LargeTrainerJob"):
        properties = resources[name]["Properties"]
        container = properties["ContainerProperties"]
        assert container["ReadonlyRootFilesystem"] is True and container["Privileged"] is False
        assert container["User"] == "10001" and container["LogConfiguration"]["LogDriver"] == "awslogs"
        retried = [rule for rule in properties["RetryStrategy"]["EvaluateOnExit"] if rule["Action"] == "RETRY"]
        assert {"Host EC2*", "Your Spot Task was interrupted*"} <= {rule.get("OnStatusReason") for rule in retried}
        assert properties["RetryStrategy"]["EvaluateOnExit"][-1] == {"OnReason": "*", "Action": "EXIT"}


def place(request: Request) -> str:
    """The folder of a key as ``docs/jobs.md`` names it."""
    if request.bucket == "site":
        return "site: data/monitor/" if "/monitor/" in request.key else "site: data/"
    model, _, rest = request.key.partition("/")
    first, *more = rest.split("/")
    if model == "_perennial":
        return f"{model}/{first}/"
    if first == "runs":
        return f"runs/{more[0]}" if more[0] == "lock.json" else f"runs/{more[0]}/" if more[0] == "outcomes" else (
            f"runs/RUN/{more[1]}/"
        )  # fmt: skip
    collected = first == "landing" and more[:1] and more[0] in ("feedback", "labels", "gathered", "sql")
    return f"{first}/{more[0]}/" if first in ("registry", "monitor", "batch") or collected else f"{first}/"


def told(places: set[str]) -> str:
    return ", ".join(f"`{one}`" for one in sorted(places)) or "nothing"


def test_the_table_of_the_page_is_what_steps_ask_for(requests: frozenset[Request]) -> None:
    page = (ROOT / "docs/jobs.md").read_text()
    for step in {request.step for request in requests}:
        own = [request for request in requests if request.step == step]
        written, removed = (
            {place(one) for one in own if one.action == action} for action in ("s3:PutObject", "s3:DeleteObject")
        )
        read = (
            {place(one) for one in own}
            - written
            - (removed - {place(one) for one in own if "Delete" not in one.action})
        )
        role = "Airflow" if step in BESIDE else role_of(step)
        ends = f"removes {told(removed)}" if removed else told(written)
        assert f"| `{step}` | {role} | {told(read)} | {ends} |\n" in page
