from __future__ import annotations

import json
from pathlib import Path

import pytest

from perennial.deploy.template import (
    cors_of,
    lifecycle_rules,
    read_template,
    read_templates,
    with_addresses,
    with_code,
    with_number,
    without_canaries,
)
from perennial.errors import DeployError

TEMPLATE = """
Conditions: {Open: !Not [!Equals [!Ref Origin, ""]]}
Resources:
  Api:
    Properties:
      CorsConfiguration:
        AllowOrigins: [!If [Open, !Ref Origin, !GetAtt Site.Url.Https]]
        AllowHeaders: !If [ByJwt, [content-type, authorization], [content-type]]
        MaxAge: 60
  Code: {Type: Function, Properties: {CodeUri: build/, Role: !GetAtt Role.Arn, Name: !Sub "a-${Stage}"}}
  Other: {Type: Function, Properties: {CodeUri: build/}}
  Data:
    Properties:
      LifecycleConfiguration:
        Rules:
          - {Id: parts, Status: Enabled, AbortIncompleteMultipartUpload: {DaysAfterInitiation: 7}}
          - {Id: old, Status: Enabled, Prefix: old/, ExpirationInDays: 7}
  Bare: {Properties: {}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    return path


def test_short_forms_are_spelled_out(path: Path) -> None:
    template = read_template(path)
    assert template["Conditions"]["Open"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Origin"}, ""]}]}
    code = template["Resources"]["Code"]["Properties"]
    assert code["Role"] == {"Fn::GetAtt": ["Role", "Arn"]}
    assert code["Name"] == {"Fn::Sub": "a-${Stage}"}
    origins = template["Resources"]["Api"]["Properties"]["CorsConfiguration"]["AllowOrigins"]
    assert origins == [{"Fn::If": ["Open", {"Ref": "Origin"}, {"Fn::GetAtt": ["Site", "Url.Https"]}]}]


def test_only_the_code_s_place_changes(path: Path) -> None:
    template = read_template(path)
    before = json.dumps(template)
    code = {"Code": "api/1.zip", "Other": "capture/1.zip", "Elsewhere": "score/1.zip"}
    changed = with_code(template, "builds", code)
    assert json.dumps(template) == before
    for function, key in (("Code", "api/1.zip"), ("Other", "capture/1.zip")):
        assert changed["Resources"][function]["Properties"].pop("CodeUri") == {"Bucket": "builds", "Key": key}
        assert template["Resources"][function]["Properties"].pop("CodeUri") == "build/"
    assert changed == template


ROOT = """
Resources:
  One: {Type: "AWS::CloudFormation::Stack", Properties: {TemplateURL: stacks/one.yaml, Parameters: {A: "1"}}}
  Topic: {Type: "AWS::SNS::Topic"}
"""


def test_templates_are_read_with_those_that_they_nest(tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks/one.yaml").write_text(TEMPLATE)
    path = tmp_path / "root.yaml"
    path.write_text(ROOT)
    found = read_templates(path)
    assert found.nested.keys() == {"One"} and found.declaring("Data") is found.nested["One"]
    with pytest.raises(DeployError, match="No template declares Nothing"):
        found.declaring("Nothing")
    changed = with_addresses(found.root, {"One": "https://builds/one.json"})
    properties = changed["Resources"]["One"]["Properties"]
    assert properties == {"TemplateURL": "https://builds/one.json", "Parameters": {"A": "1"}}
    assert changed["Resources"]["Topic"] == found.root["Resources"]["Topic"]
    path.write_text(ROOT.replace("one.yaml", "two.yaml"))
    with pytest.raises(DeployError, match=r"stacks/two\.yaml: cannot be read"):
        read_templates(path)


def test_a_parameter_that_is_a_number_becomes_one_wherever_it_is_referred_to() -> None:
    template = {
        "Parameters": {"Most": {"Type": "Number"}},
        "Resources": {"Mapping": {"Most": {"Ref": "Most"}, "Names": [{"Ref": "Most"}, {"Ref": "Other"}]}},
    }
    changed = with_number(template, "Most", "7")
    assert changed["Resources"] == {"Mapping": {"Most": 7, "Names": [7, {"Ref": "Other"}]}}
    assert changed["Parameters"] == template["Parameters"]


def test_cors_names_the_one_origin_and_the_header_of_tokens_where_they_are_asked_for(path: Path) -> None:
    template, origin = read_template(path), "https://form.example"
    plain = {"AllowOrigins": [origin], "AllowHeaders": ["content-type"], "MaxAge": 60}
    assert cors_of(template, "Api", origin, tokens=False) == plain
    assert cors_of(template, "Api", origin, tokens=True) == plain | {"AllowHeaders": ["content-type", "authorization"]}


def test_an_emulator_moves_all_callers_at_once() -> None:
    canary = {"Type": "Canary10Percent5Minutes"}
    template = {"Resources": {"One": {"Properties": {"Name": "one", "DeploymentPreference": canary}}, "Two": {}}}
    assert without_canaries(template)["Resources"]["One"] == {"Properties": {"Name": "one"}}
    assert template["Resources"]["One"]["Properties"]["DeploymentPreference"] == canary


def test_lifecycle_rules_in_the_words_of_s3(path: Path) -> None:
    template = read_template(path)
    rule, other = lifecycle_rules(template["Resources"]["Data"]["Properties"])
    assert rule == {
        "ID": "parts",
        "Filter": {"Prefix": ""},
        "Status": "Enabled",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    assert other == {"ID": "old", "Filter": {"Prefix": "old/"}, "Status": "Enabled", "Expiration": {"Days": 7}}
    assert lifecycle_rules({}) == []


def test_a_resource_is_read_under_the_parameters_that_are_given(tmp_path: Path) -> None:
    nested = """
Parameters: {Days: {Type: Number}, Key: {Type: String}}
Conditions:
  HasKey: !Not [!Equals [!Ref Key, ""]]
  Long: !Equals [!Ref Days, 9]
  LongToo: !Condition Long
Resources:
  Data:
    Properties:
      Rules: [{Days: !Ref Days}, !If [HasKey, {Key: !Ref Key}, !Ref AWS::NoValue], !If [LongToo, long, short]]
      Key: !If [HasKey, !Ref Key, !Ref AWS::NoValue]
      Origin: !Ref Origin
"""
    (tmp_path / "one.yaml").write_text(nested)
    path = tmp_path / "root.yaml"
    path.write_text(
        "Parameters: {Days: {Type: Number, Default: 9}, Key: {Type: String, Default: ''}}\n"
        "Resources: {One: {Type: 'AWS::CloudFormation::Stack', Properties: {TemplateURL: one.yaml}}}\n"
    )
    parsed = read_templates(path)
    assert parsed.properties("Data", {}) == {"Rules": [{"Days": 9}, "long"], "Origin": {"Ref": "Origin"}}
    assert parsed.properties("Data", {"Days": "3", "Key": "k"}) == {
        "Rules": [{"Days": 3}, {"Key": "k"}, "short"], "Key": "k", "Origin": {"Ref": "Origin"},
    }  # fmt: skip


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "!!python/object/apply:os.system [ls]"])
def test_what_is_not_a_template_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(DeployError, match=r"broken\.yaml: cannot be read"):
        read_template(path)
    with pytest.raises(DeployError, match="missing"):
        read_template(tmp_path / "missing.yaml")
