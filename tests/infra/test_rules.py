"""What no linter knows of our templates: each rule holds, or has a reason not to, and would see what breaks it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from perennial.deploy.template import read_template
from tests.support.template_rules.all_rules import (
    BY_DEFAULT,
    documents,
    exceptions,
    findings,
    rules,
)
from tests.support.template_rules.evaluation import Evaluated, deployment
from tests.support.templates import ROOT

MUTANTS: list[dict[str, Any]] = read_template(ROOT / "tests/support/template_rules/mutants.yaml")  # type: ignore[assignment]
ACTIONS = {"cloudwatch:PutMetricData": "metrics have no ARN"}


def test_every_template_keeps_every_rule() -> None:
    excepted = {one.place for one in exceptions().excepted}
    broken = [one for one in findings(documents(), exceptions().without_resource) if one.place not in excepted]
    assert not broken, "\n".join(f"{one.template}: {one.resource}: {one.rule}: {one.detail}" for one in broken)


def test_no_exception_outlives_its_cause() -> None:
    found = {one.place for one in findings(documents(), exceptions().without_resource)}
    assert [one.place for one in exceptions().excepted if one.place not in found] == []


def test_no_action_is_listed_that_nobody_may_do() -> None:
    everything = [one.detail for one in findings(documents(), {}) if one.rule == "wildcard resource"]
    for action in exceptions().without_resource:
        assert any(action in detail for detail in everything), action


def test_every_rule_has_a_mutant() -> None:
    assert {mutant["rule"] for mutant in MUTANTS} == {*rules({}), *BY_DEFAULT}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["rule"].replace(" ", "-"))
def test_a_rule_catches_what_breaks_it(mutant: dict[str, Any]) -> None:
    found = findings({"mutant.yaml": mutant}, ACTIONS)
    assert sorted({one.resource for one in found if one.rule == mutant["rule"]}) == mutant["caught"]


def test_a_circle_of_nested_stacks_is_seen() -> None:
    """Each nested stack is given what the other one gives."""
    root: dict[str, Any] = {"Resources": {}}
    found: dict[str, Any] = {"root.yaml": root}
    for name, other in (("One", "Two"), ("Two", "One")):
        given = {"Value": {"Fn::GetAtt": [other, "Outputs.Value"]}}
        stack = {"TemplateURL": f"{name}.yaml", "Parameters": given}
        root["Resources"][name] = {"Type": "AWS::CloudFormation::Stack", "Properties": stack}
        topic = {"Type": "AWS::SNS::Topic", "Properties": {}}
        said = {"Parameters": {"Value": {}}, "Outputs": {"Value": {"Value": {"Ref": "Value"}}}}
        found[f"{name}.yaml"] = {"Resources": {f"{name}Topic": topic}} | said
    caught = {one.name for one, _ in rules({})["circle"](deployment("root.yaml", found))}
    assert caught == {"One", "OneTopic", "Two", "TwoTopic"}


def test_names_of_nested_stacks_come_out_as_they_will_be() -> None:
    """What one template calls a queue is what the alarm of another one watches, or no rule across them would hold."""
    parts = {part.path: part for part in deployment("template.yaml", documents()).parts}
    queue = parts["infra/stacks/storage.yaml"].resources["LandingDeadQueue"].properties["QueueName"]
    alarm = parts["infra/stacks/observability.yaml"].resources["LandingDeadAlarm"].properties["Dimensions"]
    assert queue == "perennial-prod-landing-dead" and alarm == [{"Name": "QueueName", "Value": queue}]
    bucket = parts["infra/stacks/serving.yaml"].given["DataBucketName"]
    assert bucket == "${DataBucket}"  # given by its own template: a reference, which no name of ours stands for


def test_conditions_of_every_kind_are_settled() -> None:
    said = yaml.safe_load("""
      Parameters: {A: {Default: x}}
      Conditions:
        Yes: {"Fn::Equals": [{Ref: A}, x]}
        No: {"Fn::Not": [{Condition: Yes}]}
        Both: {"Fn::And": [{Condition: Yes}, {Condition: No}]}
        Either: {"Fn::Or": [{Condition: Yes}, {Condition: No}]}
      Resources:
        There: {Type: T, Condition: Either}
        Gone: {Type: T, Condition: Both}
    """)
    assert list(Evaluated("x.yaml", said).resources) == ["There"]
