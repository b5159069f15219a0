"""Each alarm watches a number that comes: one of AWS for a thing of this stack, or one that the API really writes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdas.api.app import create_app
from lambdas.api.telemetry import Telemetry
from perennial import keys
from perennial.settings import Settings
from tests.support.events import caller
from tests.support.models import IRIS_RECORD, build, make_spec, promote
from tests.support.stores import Bucket, Clock
from tests.support.template_rules.all_rules import documents
from tests.support.template_rules.evaluation import Deployment, Resource, deployment

Metric = tuple[str, str, frozenset[tuple[str, str]]]

# Namespace -> its dimension, and its metrics under that dimension alone. Sources, in the order of the namespaces:
# docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html,
# /lambda/latest/dg/monitoring-metrics-types.html,
# /AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html,
# /eventbridge/latest/userguide/eb-monitoring.html
OF_AWS: dict[str, tuple[str, set[str]]] = {
    "AWS/ApiGateway": ("ApiId", {"4xx", "5xx", "Count", "DataProcessed", "IntegrationLatency", "Latency"}),
    "AWS/Lambda": ("FunctionName", {"ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"}),
    "AWS/SQS": (
        "QueueName",
        {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible", "NumberOfMessagesSent"},
    ),
    "AWS/Events": ("RuleName", {"FailedInvocations", "Invocations", "TriggeredRules"}),
}
FREE_DASHBOARD_METRICS = 50
"""Of one dashboard, of three: https://aws.amazon.com/cloudwatch/pricing/"""


@pytest.fixture(scope="module")
def stack() -> Deployment:
    return deployment("template.yaml", documents())


@pytest.fixture(scope="module")
def alarms(stack: Deployment) -> list[Resource]:
    return list(stack.resources("AWS::CloudWatch::Alarm"))


def metric_of(alarm: Resource) -> Metric:
    said = alarm.properties
    return said["Namespace"], said["MetricName"], frozenset((one["Name"], one["Value"]) for one in said["Dimensions"])


@pytest.fixture
def emitted(stack: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> set[Metric]:
    """All that the API's code writes as metrics in a life with every trouble there is, as the function is set."""
    (function,) = (one for one in stack.resources("AWS::Serverless::Function") if one.name == "ApiFunction")
    variables = function.properties["Environment"]["Variables"]
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", variables["POWERTOOLS_SERVICE_NAME"])
    bucket, clock = Bucket(), Clock()
    promote(bucket.writer, build(make_spec("a")))
    promote(bucket.writer, build(make_spec("b")))
    call = caller(
        create_app(Settings(bucket="bucket"), bucket.store, clock=clock, telemetry=Telemetry(emit_metrics=True))
    )
    answer = call("POST", "/models/a/predict", json.dumps(IRIS_RECORD)).json
    label = {name: answer[name] for name in ("prediction_id", "feedback_token")} | {
        "ground_truth": answer["prediction"]
    }
    assert call("POST", "/models/a/feedback", json.dumps(label)).status == 202
    for name in "ab":
        bucket.tamper(keys.alias(name, "champion"), b"{}")
    clock.advance(60)
    assert [call("GET", f"/models/{name}").status for name in "ab"] == [200, 503]
    return {metric for line in capsys.readouterr().out.splitlines() for metric in metrics_in(json.loads(line))}


def metrics_in(line: dict[str, Any]) -> set[Metric]:
    """As CloudWatch reads the embedded metric format of a line."""
    return {
        (directive["Namespace"], metric["Name"], frozenset((name, line[name]) for name in names))
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", [])
        for metric in directive["Metrics"]
        for names in directive["Dimensions"]
        if isinstance(line[metric["Name"]], int | float)
    }


def test_what_the_api_is_watched_by_it_writes(alarms: list[Resource], emitted: set[Metric]) -> None:
    ours = {metric_of(one) for one in alarms if one.properties["Namespace"] == "Perennial"}
    assert {name for _, name, _ in ours} == {"IntegrityFailure", "StaleModel"}
    assert ours <= emitted


def test_what_aws_counts_is_of_a_thing_that_there_is(stack: Deployment, alarms: list[Resource]) -> None:
    names: dict[str, set[Any]] = {
        "ApiId": {"${HttpApi}"},
        "FunctionName": {one.properties.get("FunctionName") for one in stack.resources("AWS::Serverless::Function")},
        "QueueName": {one.properties["QueueName"] for one in stack.resources("AWS::SQS::Queue")},
        "RuleName": {"${NewDataRule}"},
    }
    watched = [metric_of(one) for one in alarms if one.properties["Namespace"] != "Perennial"]
    assert len(watched) == 8
    for namespace, metric, [(dimension, value)] in watched:
        assert dimension == OF_AWS[namespace][0] and metric in OF_AWS[namespace][1]
        assert value in names[dimension], value


def test_everything_that_may_go_wrong_alarms(alarms: list[Resource]) -> None:
    assert sorted(one.properties["AlarmName"] for one in alarms) == [
        "perennial-prod-api-errors", "perennial-prod-api-p99", "perennial-prod-api-throttles",
        "perennial-prod-capture-dead", "perennial-prod-integrity", "perennial-prod-landing-dead",
        "perennial-prod-no-new-data", "perennial-prod-scoring-dead", "perennial-prod-scoring-errors",
        "perennial-prod-stale-model",
    ]  # fmt: skip


def test_each_threshold_is_a_parameter_and_is_looked_at_for_as_long_as_aws_allows(alarms: list[Resource]) -> None:
    for one in alarms:
        said = one.properties
        by_parameter = {str(one.declared["Properties"][name]) for name in ("Threshold", "EvaluationPeriods")}
        assert any("Ref" in each for each in by_parameter), one.name
        assert said["Period"] >= 60, one.name  # shorter ones are not free
        longest = 604_800 if said["Period"] >= 3600 else 86_400
        assert said["Period"] * int(said["EvaluationPeriods"]) <= longest, one.name
        assert said["AlarmActions"] == said["OKActions"] != []


def test_the_days_without_data_are_at_most_what_an_alarm_can_look_back() -> None:
    days = documents()["template.yaml"]["Parameters"]["NewDataDays"]
    assert (days["MinValue"], days["MaxValue"]) == (0, 7)


def test_the_dashboard_is_free_and_shows_what_there_is(stack: Deployment, emitted: set[Metric]) -> None:
    (dashboard,) = stack.resources("AWS::CloudWatch::Dashboard")
    body = json.loads(dashboard.properties["DashboardBody"])
    count = 0
    for widget in (one for one in body["widgets"] if one["type"] == "metric"):
        rows: list[list[Any]] = []
        for said in widget["properties"]["metrics"]:
            if isinstance(said[0], dict):
                count += searched(said[0]["expression"], emitted)
                continue
            rows.append(spelled_out(said, rows[-1] if rows else []))
            namespace, metric, dimension, value = rows[-1]
            if namespace == "Perennial":
                assert (namespace, metric, frozenset({(dimension, value)})) in emitted
            else:
                assert dimension == OF_AWS[namespace][0] and metric in OF_AWS[namespace][1]
            count += 1
    assert 20 < count <= FREE_DASHBOARD_METRICS
    assert {widget["x"] + widget["width"] <= 24 for widget in body["widgets"]} == {True}


def spelled_out(said: list[Any], before: list[Any]) -> list[Any]:
    """A row of metrics, with the dots that stand for what is above them filled in."""
    said = [each for each in said if not isinstance(each, dict)]
    if said[0] == "...":
        return [*before[: len(before) - len(said) + 1], *said[1:]]
    return [before[place] if each == "." else each for place, each in enumerate(said)]


def searched(expression: str, emitted: set[Metric]) -> int:
    """How many metrics a search shows at most; it looks for one that the API writes for each model."""
    names = expression.split("{")[1].split("}")[0].split(",")
    metric = expression.split('MetricName="')[1].split('"')[0]
    service = expression.split('service="')[1].split('"')[0]
    shapes = {(namespace, name, frozenset(key for key, _ in of)) for namespace, name, of in emitted}
    assert (names[0], metric, frozenset(names[1:])) in shapes
    assert any(("service", service) in of for _, _, of in emitted)
    assert expression.startswith("SLICE(SORT(SEARCH(")
    return int(expression.rstrip(")").rsplit(",", 1)[1])
