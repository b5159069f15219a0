"""The roles of the pipeline: who may take them, and that they can do what a deployment needs and no more."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from perennial.deploy.template import read_template
from tests.support.templates import ROOT, stack_templates

PATH = ROOT / "infra/ci.yaml"

NEEDED = {
    "AWS::ApiGatewayV2::Api": "apigateway:POST apigateway:GET apigateway:PATCH apigateway:DELETE",
    "AWS::ApiGatewayV2::Authorizer": "apigateway:POST apigateway:PATCH apigateway:DELETE",
    "AWS::ApiGatewayV2::Integration": "apigateway:POST apigateway:PATCH apigateway:DELETE",
    "AWS::ApiGatewayV2::Route": "apigateway:POST apigateway:PATCH apigateway:DELETE",
    "AWS::ApiGatewayV2::Stage": (
        "apigateway:POST apigateway:PATCH apigateway:PUT apigateway:DELETE logs:CreateLogDelivery logs:GetLogDelivery "
        "logs:UpdateLogDelivery logs:DeleteLogDelivery logs:ListLogDeliveries logs:DescribeLogGroups"
    ),
    "AWS::Budgets::Budget": "budgets:ViewBudget budgets:ModifyBudget budgets:TagResource",
    "AWS::CloudFormation::Stack": (
        "cloudformation:CreateStack cloudformation:UpdateStack cloudformation:DeleteStack "
        "cloudformation:DescribeStacks cloudformation:DescribeStackEvents cloudformation:CreateChangeSet s3:GetObject"
    ),
    "AWS::CloudFront::CachePolicy": (
        "cloudfront:CreateCachePolicy cloudfront:GetCachePolicy cloudfront:UpdateCachePolicy "
        "cloudfront:DeleteCachePolicy"
    ),
    "AWS::CloudFront::Distribution": (
        "cloudfront:CreateDistribution cloudfront:GetDistribution cloudfront:GetDistributionConfig "
        "cloudfront:UpdateDistribution cloudfront:DeleteDistribution cloudfront:TagResource"
    ),
    "AWS::CloudFront::OriginAccessControl": (
        "cloudfront:CreateOriginAccessControl cloudfront:GetOriginAccessControl cloudfront:UpdateOriginAccessControl "
        "cloudfront:DeleteOriginAccessControl"
    ),
    "AWS::CloudFront::ResponseHeadersPolicy": (
        "cloudfront:CreateResponseHeadersPolicy cloudfront:GetResponseHeadersPolicy "
        "cloudfront:UpdateResponseHeadersPolicy cloudfront:DeleteResponseHeadersPolicy"
    ),
    "AWS::CloudWatch::Alarm": "cloudwatch:PutMetricAlarm cloudwatch:DescribeAlarms cloudwatch:DeleteAlarms",
    "AWS::CloudWatch::Dashboard": "cloudwatch:PutDashboard cloudwatch:GetDashboard cloudwatch:DeleteDashboards",
    "AWS::CodeDeploy": (  # what a function's DeploymentPreference becomes
        "codedeploy:CreateApplication codedeploy:DeleteApplication codedeploy:GetApplication "
        "codedeploy:CreateDeploymentGroup codedeploy:UpdateDeploymentGroup codedeploy:GetDeploymentGroup "
        "codedeploy:DeleteDeploymentGroup codedeploy:CreateDeployment codedeploy:GetDeployment "
        "codedeploy:StopDeployment codedeploy:RegisterApplicationRevision codedeploy:GetDeploymentConfig"
    ),
    "AWS::Events::Rule": (
        "events:PutRule events:DeleteRule events:DescribeRule events:PutTargets events:RemoveTargets "
        "events:ListTargetsByRule"
    ),
    "AWS::IAM::Role": (
        "iam:CreateRole iam:GetRole iam:DeleteRole iam:PutRolePolicy iam:GetRolePolicy iam:DeleteRolePolicy "
        "iam:ListRolePolicies iam:ListAttachedRolePolicies iam:UpdateAssumeRolePolicy iam:PutRolePermissionsBoundary "
        "iam:TagRole iam:UntagRole iam:PassRole"
    ),
    "AWS::Lambda::EventInvokeConfig": (
        "lambda:PutFunctionEventInvokeConfig lambda:GetFunctionEventInvokeConfig "
        "lambda:UpdateFunctionEventInvokeConfig lambda:DeleteFunctionEventInvokeConfig"
    ),
    "AWS::Lambda::EventSourceMapping": (
        "lambda:CreateEventSourceMapping lambda:GetEventSourceMapping lambda:UpdateEventSourceMapping "
        "lambda:DeleteEventSourceMapping lambda:ListEventSourceMappings"
    ),
    "AWS::Lambda::Permission": "lambda:AddPermission lambda:GetPolicy lambda:RemovePermission",
    "AWS::Logs::LogGroup": (
        "logs:CreateLogGroup logs:DeleteLogGroup logs:DescribeLogGroups logs:PutRetentionPolicy "
        "logs:ListTagsForResource logs:TagResource"
    ),
    "AWS::Logs::ResourcePolicy": "logs:PutResourcePolicy logs:DeleteResourcePolicy logs:DescribeResourcePolicies",
    "AWS::Logs::SubscriptionFilter": (
        "logs:PutSubscriptionFilter logs:DescribeSubscriptionFilters logs:DeleteSubscriptionFilter"
    ),
    "AWS::S3::Bucket": (
        "s3:CreateBucket s3:DeleteBucket s3:ListBucket s3:GetBucketVersioning s3:PutBucketVersioning "
        "s3:GetBucketPublicAccessBlock s3:PutBucketPublicAccessBlock s3:GetBucketOwnershipControls "
        "s3:PutBucketOwnershipControls s3:GetBucketNotification s3:PutBucketNotification s3:GetBucketCORS "
        "s3:PutBucketCORS s3:GetBucketObjectLockConfiguration s3:PutBucketObjectLockConfiguration s3:GetBucketWebsite "
        "s3:PutBucketWebsite s3:DeleteBucketWebsite s3:GetBucketTagging s3:PutBucketTagging "
        "s3:GetEncryptionConfiguration s3:PutEncryptionConfiguration s3:GetLifecycleConfiguration "
        "s3:PutLifecycleConfiguration"
    ),
    "AWS::S3::BucketPolicy": "s3:GetBucketPolicy s3:PutBucketPolicy s3:DeleteBucketPolicy",
    "AWS::SNS::Subscription": "sns:Subscribe sns:ListSubscriptionsByTopic",
    "AWS::SNS::Topic": "sns:CreateTopic sns:DeleteTopic sns:GetTopicAttributes sns:SetTopicAttributes sns:TagResource",
    "AWS::SNS::TopicPolicy": "sns:SetTopicAttributes",
    "AWS::SQS::Queue": (
        "sqs:CreateQueue sqs:DeleteQueue sqs:GetQueueAttributes sqs:SetQueueAttributes sqs:GetQueueUrl sqs:TagQueue"
    ),
    "AWS::SQS::QueuePolicy": "sqs:SetQueueAttributes",
    "AWS::Serverless::Function": (
        "lambda:CreateFunction lambda:DeleteFunction lambda:GetFunction lambda:GetFunctionConfiguration "
        "lambda:GetFunctionCodeSigningConfig lambda:GetFunctionRecursionConfig lambda:GetRuntimeManagementConfig "
        "lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration lambda:PublishVersion "
        "lambda:ListVersionsByFunction lambda:CreateAlias lambda:UpdateAlias lambda:GetAlias lambda:DeleteAlias "
        "lambda:PutFunctionConcurrency lambda:DeleteFunctionConcurrency lambda:TagResource lambda:UntagResource "
        "s3:GetObject"
    ),
}
"""What CloudFormation calls for each type of resource, by AWS's schemas of them, for the properties that are used."""

UNNAMED = {
    "MappingsOfItsFunctions", "ReadMappings", "LogsOfServices", "HttpApis", "CloudFront", "HowCanariesMove",
    "ExpandTemplates", "WhatMayBeScoredOrLearnt", "WhatOfItIsNew", "KeysOfThisAccount", "SecretsOfThisAccount",
    "WhatAlarmsSay", "HaveThePageAskedAnew",
}  # fmt: skip
"""Statements about what AWS names by ids, or lets nobody narrow; each says why beside it."""


@cache
def resources() -> dict[str, Any]:
    found: dict[str, Any] = read_template(PATH)["Resources"]
    return found


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(*names: str) -> Iterator[dict[str, Any]]:
    """Of managed policies, and of those within roles."""
    for name in names or tuple(resources()):
        properties = resources()[name]["Properties"]
        documents = [one["PolicyDocument"] for one in properties.get("Policies", ())]
        for document in [*documents, *([properties["PolicyDocument"]] if "PolicyDocument" in properties else ())]:
            yield from document["Statement"]


def service_policies() -> list[str]:
    return [one["Ref"] for one in resources()["ServiceRole"]["Properties"]["ManagedPolicyArns"]]


def test_it_is_right_for_cloudformation() -> None:
    command = [Path(sys.executable).with_name("cfn-lint"), PATH]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_only_runs_of_the_one_environment_of_the_one_repository_deploy() -> None:
    (statement,) = resources()["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"] == {
        "Federated": {"Fn::If": ["MakesProvider", {"Ref": "Provider"}, {"Ref": "ProviderArn"}]}
    }
    host = "token.actions.githubusercontent.com"
    assert statement["Condition"] == {
        "StringEquals": {
            f"{host}:aud": "sts.amazonaws.com",
            f"{host}:sub": {"Fn::Sub": "repo:${Repository}:environment:${Stage}"},
        }
    }
    pattern = read_template(PATH)["Parameters"]["Repository"]["AllowedPattern"]
    assert re.fullmatch(pattern, "owner/name")
    assert not any(re.fullmatch(pattern, one) for one in ("owner/*", "*/*", "owner", "owner/name:ref"))
    assert resources()["Provider"]["Properties"]["ClientIdList"] == ["sts.amazonaws.com"]


def test_cloudformation_alone_takes_the_service_role_and_the_pipeline_alone_hands_it_over() -> None:
    (statement,) = resources()["ServiceRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "cloudformation.amazonaws.com"}
    (passing,) = [one for one in statements("DeployRole") if "iam:PassRole" in many(one["Action"])]
    assert passing["Resource"] == {"Fn::GetAtt": ["ServiceRole", "Arn"]}
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    (deploying,) = [one for one in statements("DeployRole") if "cloudformation:CreateStack" in many(one["Action"])]
    role = {"cloudformation:RoleArn": {"Fn::GetAtt": ["ServiceRole", "Arn"]}}
    assert deploying["Condition"] == {"StringEquals": role}
    assert not [one for one in statements("DeployRole") if any(a.startswith("iam:Put") for a in many(one["Action"]))]


def test_nothing_is_allowed_by_a_wildcard_and_all_is_named_after_the_stage() -> None:
    for statement in statements():
        assert statement["Effect"] == "Allow"
        assert not [action for action in many(statement["Action"]) if "*" in action], statement["Sid"]
        named = [json.dumps(one) for one in many(statement["Resource"])]
        ours = ("perennial-${Stage}", "/perennial/${Stage}/", '"ServiceRole"')
        bound = all(any(word in one for word in ours) for one in named)
        assert bound != (statement["Sid"] in UNNAMED), statement["Sid"]


def test_roles_are_made_within_the_boundary_alone() -> None:
    making = [one for one in statements(*service_policies()) if "iam:CreateRole" in many(one["Action"])]
    (statement,) = making
    assert statement["Condition"] == {"StringEquals": {"iam:PermissionsBoundary": {"Ref": "Boundary"}}}
    assert {"iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"} <= set(statement["Action"])
    allowed = {action for one in statements(*service_policies()) for action in many(one["Action"])}
    forbidden = {
        "iam:DeleteRolePermissionsBoundary",
        "iam:AttachRolePolicy",
        "iam:CreatePolicyVersion",
        "iam:CreateUser",
    }
    assert not allowed & forbidden
    assert not {action for action in allowed if action.startswith(("s3:PutObject", "s3:DeleteObject"))}


def test_the_boundary_is_what_the_roles_of_the_templates_need_and_no_more() -> None:
    within = {action for one in statements("Boundary") for action in many(one["Action"])}
    found: set[str] = set()
    for template in stack_templates().values():
        for name, one in template["Resources"].items():
            if one["Type"] == "AWS::IAM::Role":
                assert not one["Properties"].get("ManagedPolicyArns"), name
                found |= set(actions(one["Properties"]["Policies"]))
    assert found == within


SOURCE = "arn:${AWS::Partition}:s3:::of-others/tables/*"
PLACES = {
    "DataBucketName": "perennial-${Stage}-data-1",
    "SiteBucketName": "perennial-${Stage}-site-1",
    "ScoringSource": SOURCE,
    "TrainingSource": SOURCE,
    "SigningKeyArn": "arn:${AWS::Partition}:kms:eu-west-1:${AWS::AccountId}:key/1",
    "TopicArn": "arn:${AWS::Partition}:sns:eu-west-1:${AWS::AccountId}:perennial-${Stage}-notices",
}
"""What the nested templates are given."""


def test_the_boundary_holds_every_place_that_a_role_of_the_templates_works_on() -> None:
    bounds = [(many(one["Action"]), [*places(one["Resource"])]) for one in statements("Boundary")]
    outside = {
        (action, place)
        for template in stack_templates().values()
        for one in template["Resources"].values() if one["Type"] == "AWS::IAM::Role"
        for statement in allowing(one["Properties"]["Policies"])
        for action in many(statement["Action"])
        for place in places(statement["Resource"])
        if not any(action in allowed and any(map(covers(place), within)) for allowed, within in bounds)
    }  # fmt: skip
    assert outside == set()


def places(value: Any) -> Iterator[str]:
    """ARNs, in either case of a condition; those of resources of the same template are named after the stage."""
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from places(one)
        case {"Fn::If": [_, *cases]}:
            yield from places(cases)
        case {"Ref": name} if name in PLACES:
            yield PLACES[name]
        case {"Fn::Select": [0, {"Fn::Split": ["/", {"Ref": name}]}]}:
            yield PLACES[name].split("/", 1)[0]
        case {"Fn::Sub": str(text)} if not re.search(r"\$\{\w+\.Arn\}", text):
            yield re.sub(r"\$\{(\w+)\}", lambda name: PLACES.get(name[1], name[0]), text)
        case _:
            assert "Arn" in str(value) or value == {"Ref": "AWS::NoValue"}, value


def covers(place: str) -> Callable[[str], bool]:
    return lambda bound: re.fullmatch(re.escape(bound).replace(r"\*", ".*"), place) is not None


def allowing(value: Any) -> Iterator[dict[str, Any]]:
    """All statements that allow, under conditions too."""
    if isinstance(value, dict):
        if value.get("Effect") == "Allow":
            yield value
        for member in value.values():
            yield from allowing(member)
    elif isinstance(value, list):
        for member in value:
            yield from allowing(member)


def actions(value: Any) -> Iterator[str]:
    """All that policies allow, under conditions too."""
    return (action for one in allowing(value) for action in many(one["Action"]))


def test_the_service_role_can_make_every_resource_of_the_templates_and_nothing_else() -> None:
    used = {one["Type"] for template in stack_templates().values() for one in template["Resources"].values()}
    assert used | {"AWS::CodeDeploy"} == NEEDED.keys()
    allowed = {action for one in statements(*service_policies()) for action in many(one["Action"])}
    assert allowed == {action for actions in NEEDED.values() for action in actions.split()}


def test_policies_are_within_the_limit_of_iam() -> None:
    """Of 6,144 characters, white space aside; names of an account and a region are longer than what stands for them."""
    for name in [*service_policies(), "Boundary"]:
        text = json.dumps(resources()[name]["Properties"]["PolicyDocument"], separators=(",", ":"))
        for long, short in (("${AWS::Partition}", "aws-us-gov"), ("${AWS::Region}", "us-gov-west-1")):
            text = text.replace(long, short)
        text = text.replace("${AWS::AccountId}", "1" * 12).replace("${Stage}", "s" * 20)
        assert len(re.sub(r'\{"Fn::Sub":("[^"]*")\}', r"\1", text)) < 6_144, name


@pytest.mark.parametrize("principal", ["lambda.amazonaws.com", "codedeploy.amazonaws.com", "ecs-tasks.amazonaws.com"])
def test_roles_of_the_templates_go_to_services_that_take_them(principal: str) -> None:
    (statement,) = [one for one in statements("RolesPolicy") if "iam:PassRole" in many(one["Action"])]
    assert principal in statement["Condition"]["StringEquals"]["iam:PassedToService"]
