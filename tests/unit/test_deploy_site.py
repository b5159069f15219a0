from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from perennial import keys
from perennial.deploy.site import content_type, distribution_of, invalidate, publish
from perennial.errors import DeployError

API = "https://abc.execute-api.eu-west-1.amazonaws.com/prod"
UPLOADS = "https://data.s3.eu-west-1.amazonaws.com/"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="site")
        yield client


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<meta content=\"connect-src 'self' __API_ORIGIN__ __UPLOAD_URL__\">")
    (tmp_path / "assets/app.js").write_text("__API_ORIGIN__ __UPLOAD_URL__")
    return tmp_path


def body(s3: Any, key: str) -> str:
    return str(s3.get_object(Bucket="site", Key=key)["Body"].read().decode())


def test_pages_may_call_the_api_and_send_files_to_one_address_and_no_other(s3: Any, dist: Path) -> None:
    assert publish(s3, "site", dist, API, UPLOADS) == 3
    assert body(s3, "index.html") == (
        "<meta content=\"connect-src 'self' https://abc.execute-api.eu-west-1.amazonaws.com "
        'https://data.s3.eu-west-1.amazonaws.com/">'
    )
    assert body(s3, "assets/app.js") == "__API_ORIGIN__ __UPLOAD_URL__"
    assert json.loads(body(s3, "config.json")) == {"api": API}


def test_pages_are_revalidated_and_what_is_named_by_its_hash_is_kept_for_good(s3: Any, dist: Path) -> None:
    publish(s3, "site", dist, API, UPLOADS)
    heads = {key: s3.head_object(Bucket="site", Key=key) for key in ("index.html", "config.json", "assets/app.js")}
    assert heads["assets/app.js"]["ContentType"] == "text/javascript; charset=utf-8"
    assert {key: head["CacheControl"] for key, head in heads.items()} == {
        "index.html": "no-cache",
        "config.json": "no-cache",
        "assets/app.js": "public, max-age=31536000, immutable",
    }


def test_a_page_is_put_after_all_that_it_loads(s3: Any, dist: Path) -> None:
    put: list[str] = []
    s3.meta.events.register("provide-client-params.s3.PutObject", lambda params, **_: put.append(params["Key"]))
    publish(s3, "site", dist, API, UPLOADS)
    assert put == ["assets/app.js", "config.json", "index.html"]


def test_a_distribution_asks_anew_for_all_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        cloudfront = boto3.client("cloudfront", region_name="us-east-1")
        made = cloudfront.create_distribution(DistributionConfig=_distribution())["Distribution"]["Id"]
        invalidate(cloudfront, made, "first")
        [found] = cloudfront.list_invalidations(DistributionId=made)["InvalidationList"]["Items"]
        batch = cloudfront.get_invalidation(DistributionId=made, Id=found["Id"])["Invalidation"]["InvalidationBatch"]
        assert (batch["Paths"]["Items"], batch["CallerReference"]) == (["/*"], "first")
        with pytest.raises(DeployError, match="distribution"):
            invalidate(cloudfront, "E0000000000000", "second")


@pytest.mark.parametrize(
    ("outputs", "expected"), [({"DistributionId": "E1"}, "E1"), ({"SiteUrl": "x"}, None), ({}, None)]
)
def test_a_stack_says_which_distribution_is_before_its_site(
    s3: Any, outputs: dict[str, str], expected: str | None
) -> None:
    cloudformation = boto3.client("cloudformation", region_name="us-east-1")
    said = {name: {"Value": value} for name, value in outputs.items()}
    topic = {"Topic": {"Type": "AWS::SNS::Topic"}}
    cloudformation.create_stack(StackName="perennial-a", TemplateBody=json.dumps({"Resources": topic, "Outputs": said}))
    assert distribution_of(cloudformation, "perennial-a") == expected


def _distribution() -> dict[str, Any]:
    origin = {"Id": "site", "DomainName": "site.s3.amazonaws.com", "S3OriginConfig": {"OriginAccessIdentity": ""}}
    behaviour = {"TargetOriginId": "site", "ViewerProtocolPolicy": "redirect-to-https"}
    origins = {"Quantity": 1, "Items": [origin]}
    return {"CallerReference": "site", "Comment": "", "Enabled": True, "DefaultCacheBehavior": behaviour,
            "Origins": origins}  # fmt: skip


def test_what_is_no_longer_part_of_the_site_goes(s3: Any, dist: Path) -> None:
    publish(s3, "site", dist, API, UPLOADS)
    (dist / "assets/app.js").rename(dist / "assets/app-2.js")
    publish(s3, "site", dist, API, UPLOADS)
    keys = {entry["Key"] for entry in s3.list_objects_v2(Bucket="site")["Contents"]}
    assert keys == {"index.html", "config.json", "assets/app-2.js"}


def test_what_the_pages_show_stays(s3: Any, dist: Path) -> None:
    s3.put_object(Bucket="site", Key=keys.page_data("iris", "model.json"), Body=b"{}")
    s3.put_object(Bucket="site", Key="database.json", Body=b"{}")
    publish(s3, "site", dist, API, UPLOADS)
    found = {entry["Key"] for entry in s3.list_objects_v2(Bucket="site")["Contents"]}
    assert found == {"index.html", "config.json", "assets/app.js", "data/iris/model.json"}


def test_an_unbuilt_site_is_not_published(s3: Any, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"index\.html does not exist.*make build"):
        publish(s3, "site", tmp_path, API, UPLOADS)
    assert "Contents" not in s3.list_objects_v2(Bucket="site")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("a/b.css", "text/css; charset=utf-8"),
        ("logo.svg", "image/svg+xml; charset=utf-8"),
        ("config.json", "application/json; charset=utf-8"),
        ("photo.png", "image/png"),
        ("font.woff2", "font/woff2"),
        ("unknown.thing", "application/octet-stream"),
    ],
)
def test_content_types(key: str, expected: str) -> None:
    assert content_type(key) == expected
