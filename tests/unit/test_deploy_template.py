from __future__ import annotations

import json
from pathlib import Path

import pytest

from perennial.deploy.template import cors_of, lifecycle_of, read_template, with_code, with_number
from perennial.errors import DeployError

TEMPLATE = """
Conditions: {Open: !Not [!Equals [!Ref Origin, ""]]}
Resources:
  Api: {Properties: {CorsConfiguration: {AllowOrigins: [!If [Open, !Ref Origin, !GetAtt Site.Url.Https]], MaxAge: 60}}}
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
    changed = json.loads(with_code(template, "builds", {"Code": "api/1.zip", "Other": "capture/1.zip"}))
    for function, key in (("Code", "api/1.zip"), ("Other", "capture/1.zip")):
        assert changed["Resources"][function]["Properties"].pop("CodeUri") == {"Bucket": "builds", "Key": key}
        assert template["Resources"][function]["Properties"].pop("CodeUri") == "build/"
    assert changed == template
    assert before != json.dumps(changed)


def test_a_parameter_that_is_a_number_becomes_one_wherever_it_is_referred_to() -> None:
    template = {
        "Parameters": {"Most": {"Type": "Number"}},
        "Resources": {"Mapping": {"Most": {"Ref": "Most"}, "Names": [{"Ref": "Most"}, {"Ref": "Other"}]}},
    }
    changed = with_number(template, "Most", "7")
    assert changed["Resources"] == {"Mapping": {"Most": 7, "Names": [7, {"Ref": "Other"}]}}
    assert changed["Parameters"] == template["Parameters"]


def test_cors_names_the_one_origin(path: Path) -> None:
    assert cors_of(read_template(path), "Api", "https://form.example") == {
        "AllowOrigins": ["https://form.example"],
        "MaxAge": 60,
    }


def test_lifecycle_rules_in_the_words_of_s3(path: Path) -> None:
    template = read_template(path)
    rule, other = lifecycle_of(template, "Data")
    assert rule == {
        "ID": "parts",
        "Filter": {"Prefix": ""},
        "Status": "Enabled",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    assert other == {"ID": "old", "Filter": {"Prefix": "old/"}, "Status": "Enabled", "Expiration": {"Days": 7}}
    assert lifecycle_of(template, "Bare") == []


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "!!python/object/apply:os.system [ls]"])
def test_what_is_not_a_template_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(DeployError, match=r"broken\.yaml: cannot be read"):
        read_template(path)
    with pytest.raises(DeployError, match="missing"):
        read_template(tmp_path / "missing.yaml")
