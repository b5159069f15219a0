"""Who may do what: no wildcard, no stranger, no service on behalf of another account."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.template_rules.evaluation import Deployment
from tests.support.template_rules.findings import Rule, Told
from tests.support.template_rules.policies import statements

# Services that do not document that they tell IAM on whose behalf they take a role: a condition may lock them out. None
# of them takes a role of another account than the thing it runs.
TELL_NOTHING = frozenset({"lambda.amazonaws.com", "ec2.amazonaws.com", "codedeploy.amazonaws.com"})
ONE_ACCOUNT = {"aws:sourceaccount", "aws:sourcearn"}
EVERYTHING = frozenset({"*", "arn:*", "arn:aws:s3:::*", "arn:${AWS::Partition}:s3:::*"})
# One service that calls itself by two names, as its documentation asks for.
ONE_SERVICE = ({"airflow.amazonaws.com", "airflow-env.amazonaws.com"},)


def wildcard_actions(deployed: Deployment) -> Told:
    """An action with a star allows what AWS has yet to invent."""
    for one in statements(deployed):
        if one.allows and (stars := [action for action in one.actions if "*" in action]):
            yield one.resource, f"{one.said.get('Sid', one.kind)}: {', '.join(stars)}"


def wildcard_resources(without_resource: Mapping[str, str]) -> Rule:
    """``Resource: "*"``, but for actions that know none; a key's policy says so of the key itself."""

    def rule(deployed: Deployment) -> Told:
        for one in statements(deployed):
            if not one.allows or not EVERYTHING.intersection(one.resources) or one.resource.kind == "AWS::KMS::Key":
                continue
            known = [action for action in one.actions if action not in without_resource]
            if known:
                yield one.resource, f"{one.said.get('Sid', one.kind)}: {', '.join(known)} on everything"

    return rule


def inverted(deployed: Deployment) -> Told:
    """NotAction and its like allow all but a few."""
    for one in statements(deployed):
        for name in ("NotAction", "NotResource", "NotPrincipal"):
            if one.allows and name in one.said:
                yield one.resource, name


def managed_policies(deployed: Deployment) -> Told:
    """A policy that AWS writes, and widens."""
    for one in deployed.resources("AWS::IAM::Role", "AWS::Serverless::Function"):
        attached = [*one.properties.get("ManagedPolicyArns", []), *one.properties.get("Policies", [])]
        written_elsewhere = [each for each in attached if isinstance(each, str) and _of_aws(each)]
        if written_elsewhere:
            yield one, ", ".join(written_elsewhere)


def _of_aws(policy: str) -> bool:
    return ":iam::aws:policy/" in policy or not (policy.startswith(("arn:", "${")) or not policy)


def strangers(deployed: Deployment) -> Told:
    """Anyone at all, or a service without saying on whose behalf."""
    for one in statements(deployed):
        if not one.allows or one.kind == "identity":
            continue
        principal = one.said.get("Principal")
        if principal == "*" or (isinstance(principal, dict) and "*" in map(str, principal.values())):
            yield one.resource, "anyone"
        elif one.services and one.kind == "resource" and not one.conditions & ONE_ACCOUNT:
            yield one.resource, f"{', '.join(one.services)} for whichever account"


def trust(deployed: Deployment) -> Told:
    """A role is taken by one service, for this account; from outside, by one subject of one issuer."""
    for one in statements(deployed):
        if one.kind != "trust":
            continue
        services = set(one.services)
        if len(services) > 1 and services not in ONE_SERVICE:
            yield one.resource, f"taken by {', '.join(sorted(services))}"
        if services - TELL_NOTHING and not one.conditions & ONE_ACCOUNT:
            yield one.resource, f"{', '.join(sorted(services))} for whichever account"
        principal = one.said.get("Principal", {})
        if "Federated" in principal:
            for claim in (":sub", ":aud"):
                if not any(key.endswith(claim) for key in one.conditions):
                    yield one.resource, f"whatever {claim[1:]} the issuer names"
        if "AWS" in principal:
            yield one.resource, "taken by an account or a user"


def permissions(deployed: Deployment) -> Told:
    """A function is called by a service on behalf of one thing of ours."""
    for one in deployed.resources("AWS::Lambda::Permission"):
        if "SourceArn" not in one.properties:
            yield one, "no SourceArn"


def rules(without_resource: Mapping[str, str]) -> dict[str, Rule]:
    return {
        "wildcard action": wildcard_actions,
        "wildcard resource": wildcard_resources(without_resource),
        "inverted": inverted,
        "managed policy": managed_policies,
        "stranger": strangers,
        "trust": trust,
        "permission": permissions,
    }
