"""What goes wrong is set aside, and somebody is told; what is logged has a place and an end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.template_rules.evaluation import Deployment, Resource
from tests.support.template_rules.findings import Rule, Told

FREE_ALARMS = 10
"""How many alarms of one metric each AWS never charges for: https://aws.amazon.com/cloudwatch/pricing/"""
FUNCTIONS = ("AWS::Serverless::Function", "AWS::Lambda::Function")
CALLED_WITHOUT_WAITING = {"logs.amazonaws.com", "s3.amazonaws.com", "sns.amazonaws.com", "events.amazonaws.com"}


def queues_without_a_dead_one(deployed: Deployment) -> Told:
    dead = set(_dead(deployed))
    for one in deployed.resources("AWS::SQS::Queue"):
        if one.name not in dead and "RedrivePolicy" not in one.properties:
            yield one, "what fails again and again comes again for ever"


def dead_queues_without_an_alarm(deployed: Deployment) -> Told:
    watched = {
        value for alarm in deployed.resources("AWS::CloudWatch::Alarm")
        if alarm.properties.get("MetricName") == "ApproximateNumberOfMessagesVisible"
        for value in _dimensions(alarm).values()
    }  # fmt: skip
    dead = set(_dead(deployed))
    for one in deployed.resources("AWS::SQS::Queue"):
        names = {f"${{{one.name}.QueueName}}", one.properties.get("QueueName")}
        if one.name in dead and not names & watched:
            yield one, "no alarm on the messages in it"


def calls_that_are_lost(deployed: Deployment) -> Told:
    """A function that is called without waiting for it keeps what it could not do; so does a rule or a schedule."""
    kept = {
        str(one.properties["FunctionName"])
        for one in deployed.resources("AWS::Lambda::EventInvokeConfig")
        if one.properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
    }
    for one in deployed.resources("AWS::Lambda::Permission"):
        function = str(one.properties["FunctionName"]).replace(".Alias}", "}")
        if one.properties["Principal"] in CALLED_WITHOUT_WAITING and function not in kept:
            yield one, f"{function} has no destination for calls that failed"
    for one in deployed.resources("AWS::Events::Rule"):
        for target in one.properties.get("Targets", []):
            if ".Arn}" in str(target["Arn"]) and "Log" not in str(target["Arn"]) and "DeadLetterConfig" not in target:
                yield one, f"target {target['Id']} has no dead queue"
    for one in deployed.resources("AWS::Scheduler::Schedule"):
        if "DeadLetterConfig" not in one.properties.get("Target", {}):
            yield one, "no dead queue"


def alarms_nobody_hears(deployed: Deployment) -> Told:
    for one in deployed.resources("AWS::CloudWatch::Alarm"):
        if not one.properties.get("AlarmActions"):
            yield one, "no AlarmActions"
        if "TreatMissingData" not in one.properties:
            yield one, "does not say what no data means"


def alarms_that_cost(deployed: Deployment) -> Told:
    metrics = 0
    for one in deployed.resources("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"):
        metrics += len([each for each in one.properties.get("Metrics", []) if "MetricStat" in each]) or 1
        if metrics > FREE_ALARMS or one.kind == "AWS::CloudWatch::CompositeAlarm":
            yield one, f"metric {metrics}, of which {FREE_ALARMS} are free"


def logs_without_an_end(deployed: Deployment) -> Told:
    for one in deployed.resources("AWS::Logs::LogGroup"):
        if "RetentionInDays" not in one.properties:
            yield one, "kept for ever"


def functions_without_a_log(deployed: Deployment) -> Told:
    """A function whose log group is not declared makes one itself, which is kept for ever and outlives the stack."""
    groups = {
        name for one in deployed.resources("AWS::Logs::LogGroup")
        for name in (f"${{{one.name}}}", one.properties.get("LogGroupName"))
    }  # fmt: skip
    for one in deployed.resources(*FUNCTIONS):
        if one.properties.get("LoggingConfig", {}).get("LogGroup") not in groups:
            yield one, "no LoggingConfig that names a declared log group"


def _dead(deployed: Deployment) -> Iterator[str]:
    """The logical ids of the queues that something is set aside in."""
    queues = {one.name for one in deployed.resources("AWS::SQS::Queue")}
    names = {one.properties.get("QueueName"): one.name for one in deployed.resources("AWS::SQS::Queue")}
    for one in deployed.resources():
        for text in _set_aside(one.properties):
            found = re.fullmatch(r"\$\{(\w+)\.Arn\}", text)
            name = found[1] if found else names.get(text.rsplit(":", 1)[-1], "")
            if name in queues:
                yield name


def _set_aside(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for member in value:
            yield from _set_aside(member)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name == "RedrivePolicy":
                policy = json.loads(member) if isinstance(member, str) else member
                yield str(policy["deadLetterTargetArn"])
            elif name in ("DeadLetterConfig", "OnFailure") and isinstance(member, dict):
                yield str(member.get("Arn") or member.get("Destination") or member.get("TargetArn"))
            else:
                yield from _set_aside(member)


def _dimensions(alarm: Resource) -> dict[str, str]:
    return {each["Name"]: str(each["Value"]) for each in alarm.properties.get("Dimensions", [])}


RULES: dict[str, Rule] = {
    "no dead queue": queues_without_a_dead_one,
    "dead queue without alarm": dead_queues_without_an_alarm,
    "lost call": calls_that_are_lost,
    "silent alarm": alarms_nobody_hears,
    "alarm that costs": alarms_that_cost,
    "endless log": logs_without_an_end,
    "function without log": functions_without_a_log,
}
