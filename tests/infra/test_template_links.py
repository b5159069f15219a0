"""What the API signs links for, as ``template.yaml`` allows it: no further than uploads, requests and results."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest

from perennial import keys
from perennial.deploy.template import read_template
from perennial.settings import VARIABLES, Settings
from tests.support.templates import ROOT, TEMPLATE, pattern_of, stack_resources, stack_templates

JOB, NAME = "0" * 32, f"api/{'0' * 32}/in.csv"


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return {"Parameters": stack_templates()[TEMPLATE]["Parameters"], "Resources": stack_resources()}


def allowed(template: dict[str, Any], action: str) -> list[str]:
    """Patterns of the keys on which the API's role may do this."""
    found = []
    for policy in template["Resources"]["ApiRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            if action in (actions if isinstance(actions, list) else [actions]):
                places = statement["Resource"]
                found += [pattern_of(place) for place in (places if isinstance(places, list) else [places])]
    return found


def may(template: dict[str, Any], action: str, key: str) -> bool:
    return any(fnmatchcase(key, pattern) for pattern in allowed(template, action))


def test_the_api_takes_uploads_and_gives_results(template: dict[str, Any]) -> None:
    for key in (keys.batch_upload("m", JOB, "in.csv"), keys.batch_request("m", JOB)):
        assert may(template, "s3:PutObject", key), key
    for key in (keys.batch_request("m", JOB), keys.batch_progress("m", JOB), keys.batch_result("m", JOB),
                keys.batch_out("m", NAME, "v", JOB, "csv"), keys.batch_quarantine("m", NAME, "v", JOB)):  # fmt: skip
        assert may(template, "s3:GetObject", key), key


def test_and_does_nothing_else_with_files(template: dict[str, Any]) -> None:
    for key in (keys.batch_in("m", "in.csv"), keys.batch_task("m", JOB, "join"), keys.batch_plan("m", JOB),
                keys.batch_result("m", JOB), keys.batch_out("m", NAME, "v", JOB, "csv"),
                keys.batch_quarantine("m", NAME, "v", JOB), keys.batch_waiting("m") + "in.csv"):  # fmt: skip
        assert not may(template, "s3:PutObject", key), key
    for key in (keys.batch_upload("m", JOB, "in.csv"), keys.batch_in("m", "in.csv"), keys.batch_waiting("m") + "a"):
        assert not may(template, "s3:GetObject", key), key


def test_it_sees_whether_an_upload_is_there(template: dict[str, Any]) -> None:
    """A role that reads no upload still has to know of it: by its name."""
    (policy,) = (one for one in template["Resources"]["ApiRole"]["Properties"]["Policies"]
                 if one["PolicyName"] == "read-the-registry")  # fmt: skip
    (listing,) = (one for one in policy["PolicyDocument"]["Statement"] if one["Action"] == "s3:ListBucket")
    patterns = listing["Condition"]["StringLikeIfExists"]["s3:prefix"]
    assert any(fnmatchcase(keys.batch_uploads("m", JOB), pattern) for pattern in patterns)
    assert not any(fnmatchcase(keys.batch_works("m"), pattern) for pattern in patterns)


def test_the_pages_that_may_call_the_api_may_upload(template: dict[str, Any]) -> None:
    (rule,) = template["Resources"]["DataBucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    api = template["Resources"]["HttpApi"]["Properties"]["CorsConfiguration"]
    assert rule["AllowedOrigins"] == api["AllowOrigins"]
    assert sorted(rule["AllowedMethods"]) == ["GET", "POST"]
    assert "*" not in str(rule["AllowedHeaders"])


def test_the_largest_upload_is_one_setting(template: dict[str, Any]) -> None:
    parameter, setting = template["Parameters"]["UploadBytes"], Settings.model_fields["upload_bytes"]
    assert parameter["Default"] == setting.default
    Settings(bucket="bucket", upload_bytes=parameter["MaxValue"])
    with pytest.raises(ValueError, match="upload_bytes"):
        Settings(bucket="bucket", upload_bytes=parameter["MaxValue"] + 1)
    variables = template["Resources"]["ApiFunction"]["Properties"]["Environment"]["Variables"]
    assert variables[VARIABLES["upload_bytes"]] == {"Ref": "UploadBytes"}


def test_no_path_is_logged(template: dict[str, Any]) -> None:
    """It may hold the id of a batch."""
    written = template["Resources"]["ApiStage"]["Properties"]["AccessLogSettings"]["Format"]
    assert "path" not in written.lower() and "$context.integration.requestId" in written


def test_the_memory_of_a_server_is_one_setting(template: dict[str, Any]) -> None:
    parameter = template["Parameters"]["ApiMegabytes"]
    assert parameter["Default"] == Settings.model_fields["api_megabytes"].default
    for path in ("infra/batch.yaml", "infra/scheduler.yaml"):
        declared = read_template(ROOT / path)["Parameters"]["ApiMegabytes"]
        assert [declared[name] for name in ("Default", "MinValue", "MaxValue")] == [
            parameter[name] for name in ("Default", "MinValue", "MaxValue")
        ]
        said = {"Name": VARIABLES["api_megabytes"], "Value": {"Ref": "ApiMegabytes"}}
        assert str(said) in str(read_template(ROOT / path)["Resources"])
