"""In which order things can be made: no circle, and nothing before what AWS looks for when it is made.

A name that is put together of parameters makes CloudFormation wait for nothing. That breaks circles, and hides them:
some properties want what they name to be there already. Those count like references here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.template_rules.evaluation import Deployment, Evaluated, Resource, as_list, texts
from tests.support.template_rules.findings import Rule, Told

REFERENCE = re.compile(r"\$\{([A-Za-z0-9]+)(?:\.[^}]*)?\}")
NAMES = {
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Serverless::Function": "FunctionName",
}
# Type -> the properties whose things AWS looks for at once, and refuses to go on without.
LOOKED_FOR = {
    "AWS::S3::Bucket": ("NotificationConfiguration",),
    "AWS::S3::BucketPolicy": ("Bucket",),
    "AWS::SQS::Queue": ("RedrivePolicy",),
    "AWS::SQS::QueuePolicy": ("Queues",),
    "AWS::SNS::Subscription": ("TopicArn",),
    "AWS::SNS::TopicPolicy": ("Topics",),
    "AWS::Lambda::EventSourceMapping": ("EventSourceArn", "FunctionName"),
    "AWS::Lambda::EventInvokeConfig": ("FunctionName", "DestinationConfig"),
    "AWS::Lambda::Permission": ("FunctionName",),
    "AWS::Logs::SubscriptionFilter": ("LogGroupName", "DestinationArn"),
    "AWS::Serverless::Function": ("Role", "LoggingConfig"),
}
Edges = dict[str, set[str]]


def circles(deployed: Deployment) -> Told:
    """Whatever waits, by whatever way, for itself."""
    waits = _edges(deployed)
    things = {_key(one): one for one in deployed.resources()}
    for key in _in_a_circle(waits):
        yield things[key], f"waits for itself through {', '.join(sorted(waits[key]))}"


def too_early(deployed: Deployment) -> Told:
    """What names a thing that AWS looks for, and does not wait for it."""
    waits = _edges(deployed, looked_for=False)
    named = _named(deployed)
    for one in deployed.resources():
        reached = _reach(waits, _key(one))
        for target in [*_looked_for(one, named), *_allowed_first(one, deployed)]:
            if target not in reached and target != _key(one):
                yield one, f"does not wait for {target}"


def _edges(deployed: Deployment, *, looked_for: bool = True) -> Edges:
    """Resource -> what it waits for; a nested stack waits for what it is given, and so does all within it."""
    named = _named(deployed) if looked_for else {}
    edges: Edges = {}
    root = deployed.parts[0]
    for part in deployed.parts:
        for one in part.resources.values():
            waited = {f"{part.path}#{name}" for name in _references(one.declared) if name in part.resources}
            edges[_key(one)] = waited | set(_looked_for(one, named))
        for bucket, function in _told_by_sam(part):
            edges[f"{part.path}#{bucket}"].add(f"{part.path}#{function}")
    for stack, child in root.children.items():
        within = {_key(one) for one in child.resources.values()}
        if f"{root.path}#{stack}" in edges:
            edges[f"{root.path}#{stack}"] |= within  # it is there when all in it is
            before = _given(root, stack)
            for key in within:
                edges[key] |= before
    return edges


def _given(root: Evaluated, stack: str) -> set[str]:
    """The siblings that a nested stack is given outputs of, or waits for."""
    return {f"{root.path}#{name}" for name in _references(root.resources[stack].declared) if name in root.resources}


def _references(declared: Mapping[str, Any]) -> set[str]:
    """Logical ids (and parameters) that a resource refers to."""
    found = set(as_list(declared.get("DependsOn", [])))

    def look(value: Any) -> None:
        if isinstance(value, list):
            for member in value:
                look(member)
        elif isinstance(value, dict):
            for name, member in value.items():
                if name == "Ref":
                    found.add(member)
                elif name == "Fn::GetAtt":
                    found.add(member[0] if isinstance(member, list) else member.split(".", 1)[0])
                elif name == "Fn::Sub":
                    found.update(REFERENCE.findall(member[0] if isinstance(member, list) else member))
                    look(member[1] if isinstance(member, list) else [])
                else:
                    look(member)

    # What a function says of its deployment is not its own: SAM gives it to a group of CodeDeploy, which comes later.
    look({name: said for name, said in declared.get("Properties", {}).items() if name != "DeploymentPreference"})
    return found


def _named(deployed: Deployment) -> dict[str, str]:
    """Physical name -> the resource of that name."""
    things = deployed.resources(*NAMES)
    return {str(one.properties[NAMES[one.kind]]): _key(one) for one in things if NAMES[one.kind] in one.properties}


def _looked_for(one: Resource, named: Mapping[str, str]) -> Iterator[str]:
    """What a resource names, alone or at the end of an ARN, in the properties that AWS checks."""
    for property_ in LOOKED_FOR.get(one.kind, ()):
        for text in texts(one.properties.get(property_, {})):
            for name in {text, text.rsplit(":", 1)[-1], text.rsplit("/", 1)[-1]} & named.keys():
                yield named[name]


def _allowed_first(one: Resource, deployed: Deployment) -> Iterator[str]:
    """The policies of the queues that a bucket tells of new objects: S3 tries at once whether it may."""
    told = set(texts(one.properties.get("NotificationConfiguration", {}).get("QueueConfigurations", [])))
    for policy in deployed.resources("AWS::SQS::QueuePolicy"):
        if any(f"{queue[:-1]}.Arn}}" in told for queue in policy.properties["Queues"]):
            yield _key(policy)


def _told_by_sam(part: Evaluated) -> Iterator[tuple[str, str]]:
    """Bucket and function, of events that SAM writes into the bucket: the bucket then waits for the function."""
    for name, one in part.resources.items():
        for event in one.declared.get("Properties", {}).get("Events", {}).values():
            if event.get("Type") == "S3":
                yield event["Properties"]["Bucket"]["Ref"], name


def _reach(edges: Edges, start: str) -> set[str]:
    seen: set[str] = set()
    look = [start]
    while look:
        for each in edges.get(look.pop(), ()):
            if each not in seen:
                seen.add(each)
                look.append(each)
    return seen


def _in_a_circle(edges: Edges) -> list[str]:
    return sorted(key for key in edges if key in _reach(edges, key))


def _key(one: Resource) -> str:
    return f"{one.template}#{one.name}"


RULES: dict[str, Rule] = {"circle": circles, "too early": too_early}
