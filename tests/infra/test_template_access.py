"""Who may call what: each route is spelled out, belongs to one group, and ``$default`` lets nothing through."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.api.app import ROUTES
from tests.support.templates import ROOT, TEMPLATE, stack_resources, stack_templates

GROUPS = ("Prediction", "Feedback", "Batch", "Reading")


@pytest.fixture(scope="module")
def routes() -> dict[str, Any]:
    found = [one["Properties"] for one in stack_resources().values() if one["Type"] == "AWS::ApiGatewayV2::Route"]
    return {one["RouteKey"]: one for one in found}


def group(route: dict[str, Any]) -> str | None:
    """Of a route: the parameter that says who may call it."""
    if "AuthorizationType" not in route:
        return None
    mapping, reference, kind = route["AuthorizationType"]["Fn::FindInMap"]
    assert (mapping, kind) == ("Authorization", "Type")
    name = str(reference["Ref"]).removesuffix("Access")
    assert route["AuthorizerId"] == {"Fn::If": [f"{name}ByJwt", {"Ref": "Authorizer"}, {"Ref": "AWS::NoValue"}]}
    return name


def test_the_gateway_has_the_routes_of_the_server_and_no_other(routes: dict[str, Any]) -> None:
    served = {f"{method} {path}" for method, path, _ in ROUTES}
    served |= {f"HEAD {path}" for method, path, _ in ROUTES if method == "GET"}
    assert routes.keys() == served | {"$default"}


def test_every_route_belongs_to_the_group_of_its_work(routes: dict[str, Any]) -> None:
    work = {"predict": "Prediction", "feedback": "Feedback", "batches": "Batch"}
    for key, route in routes.items():
        if key in ("$default", "GET /health", "HEAD /health"):
            assert group(route) is None, key
            continue
        expected = {work[part] for part in key.split(" ")[1].split("/") if part in work} or {"Reading"}
        assert {group(route)} == expected, key


def test_feedback_goes_to_its_own_function_and_no_other_route_does(routes: dict[str, Any]) -> None:
    for key, route in routes.items():
        integration = "Feedback" if key.endswith("/feedback") else "Api"
        assert route["Target"] == {"Fn::Sub": f"integrations/${{{integration}Integration}}"}, key


def test_nobody_uploads_files_unasked_in_the_cloud() -> None:
    parameters = stack_templates()[TEMPLATE]["Parameters"]
    assert {name: parameters[f"{name}Access"]["Default"] for name in GROUPS} == {
        "Prediction": "open", "Feedback": "open", "Batch": "iam", "Reading": "open",
    }  # fmt: skip
    for name in GROUPS:
        assert parameters[f"{name}Access"]["AllowedValues"] == ["open", "jwt", "iam"]
    mapping = stack_templates()[ROOT / "infra/stacks/gateway.yaml"]["Mappings"]["Authorization"]
    assert mapping == {"open": {"Type": "NONE"}, "jwt": {"Type": "JWT"}, "iam": {"Type": "AWS_IAM"}}


def test_all_requests_are_bounded_and_batches_more(routes: dict[str, Any]) -> None:
    stage = stack_resources()["ApiStage"]
    settings = stage["Properties"]["DefaultRouteSettings"]
    assert settings == {"ThrottlingBurstLimit": {"Ref": "RequestBurst"}, "ThrottlingRateLimit": {"Ref": "RequestRate"}}
    tighter = stage["Properties"]["RouteSettings"]
    assert tighter.keys() == {key for key in routes if key.startswith("POST ") and key.endswith("/batches")}
    parameters = stack_templates()[TEMPLATE]["Parameters"]
    for one in tighter.values():
        assert one["ThrottlingBurstLimit"] < parameters["RequestBurst"]["Default"]
        assert one["ThrottlingRateLimit"] < parameters["RequestRate"]["Default"]
    names = {stack_resources()[name]["Properties"]["RouteKey"] for name in stage["DependsOn"]}
    assert names == tighter.keys()


def test_a_version_is_made_whenever_what_it_takes_from_parameters_changes() -> None:
    """SAM makes one when the template's words change, which a parameter's value does not."""
    fixed = {"DataBucketName", "Stage"}
    functions = {
        name: one["Properties"] for name, one in stack_resources().items() if one["Type"] == "AWS::Serverless::Function"
    }
    assert len(functions) == 4
    for name, one in functions.items():
        assert (one["AutoPublishAlias"], one["AutoPublishAliasAllProperties"]) == ("live", True), name
        taken = [one["MemorySize"], one.get("SnapStart", {}).get("ApplyOn")]
        taken += list(one["Environment"]["Variables"].values())
        asked = {value["Ref"] for value in taken if isinstance(value, dict) and "Ref" in value} - fixed
        described = one.get("VersionDescription", {"Fn::Sub": ""})["Fn::Sub"]
        assert {part.split("}")[0] for part in described.split("${")[1:]} == asked, name


def test_a_version_s_description_fits_with_as_many_keys_as_may_be_trusted() -> None:
    parameters = stack_templates()[TEMPLATE]["Parameters"]
    assert parameters["TrustedKeys"]["AllowedPattern"].endswith("(,[A-Za-z0-9_-]{44}){0,3}")
    longest = {
        "RefreshSeconds": "86400", "UploadBytes": str(parameters["UploadBytes"]["MaxValue"]), "PartBytes": "5000000000",
        "ApiMegabytes": str(parameters["ApiMegabytes"]["MaxValue"]), "SnapStart": "PublishedVersions",
        "TrustedKeys": ",".join(["k" * 44] * 4),
    }  # fmt: skip
    for name in ("ApiFunction", "FeedbackFunction", "ScoreFunction"):
        text = stack_resources()[name]["Properties"]["VersionDescription"]["Fn::Sub"]
        for parameter, value in longest.items():
            text = text.replace(f"${{{parameter}}}", value)
        assert "${" not in text and len(text) <= 256, name  # what Lambda takes


def test_whatever_calls_a_function_calls_its_alias() -> None:
    resources = stack_resources()
    called = [one["Properties"]["FunctionName"] for one in resources.values()
              if one["Type"] in ("AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping")]  # fmt: skip
    assert {str(one["Ref"]) for one in called} == {
        "ApiFunction", "FeedbackFunction", "CaptureFunction.Alias", "ScoreFunction.Alias",
    }  # fmt: skip
    outputs = stack_templates()[ROOT / "infra/stacks/serving.yaml"]["Outputs"]
    assert outputs["ApiFunctionArn"]["Value"] == {"Ref": "ApiFunction.Alias"}
    assert outputs["FeedbackFunctionArn"]["Value"] == {"Ref": "FeedbackFunction.Alias"}
    gateway = stack_templates()[TEMPLATE]["Resources"]["Gateway"]["Properties"]["Parameters"]
    assert gateway["ApiFunction"] == {"Fn::GetAtt": ["Serving", "Outputs.ApiFunctionArn"]}
    assert gateway["FeedbackFunction"] == {"Fn::GetAtt": ["Serving", "Outputs.FeedbackFunctionArn"]}


def test_callers_move_slowly_and_back_on_an_alarm_that_there_is() -> None:
    resources = stack_resources()
    alarms = {str(one["Properties"]["AlarmName"]) for one in resources.values()
              if one["Type"] == "AWS::CloudWatch::Alarm"}  # fmt: skip
    for name in ("ApiFunction", "FeedbackFunction"):
        preference = resources[name]["Properties"]["DeploymentPreference"]
        assert preference["Type"] == {"Ref": "DeploymentPreference"}
        assert preference["Alarms"] and {str(one) for one in preference["Alarms"]} <= alarms
    assert stack_templates()[TEMPLATE]["Parameters"]["DeploymentPreference"]["Default"].startswith("Canary")


def test_every_parameter_is_explained() -> None:
    page = (ROOT / "docs/deploy.md").read_text()
    missing = [name for name in stack_templates()[TEMPLATE]["Parameters"] if f"`{name}`" not in page]
    assert not missing
