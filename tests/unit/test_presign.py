"""Links signed by hand are those that botocore signs for the same moment, keys and object."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from botocore.config import Config
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import SettingsError
from perennial.serving.file_names import LONGEST_STEM, disposition, key_name, saved_as
from perennial.serving.presign import AwsKeys, Links
from perennial.settings import Settings

NOW = datetime(2026, 11, 21, 9, 30, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalr/+=secret"}
SESSION = KEYS | {"AWS_SESSION_TOKEN": "IQoJb3Jp//+abc=="}
PLAIN = "iris/batch/in/api/00ff/customers.csv"
STRANGE = "m/batch/out/a b+c=d&e?f#g%20~é/京都*'(),;:@$!.csv"
PLACES = [
    Settings(bucket="perennial-data", region="eu-central-1"),
    Settings(bucket="perennial-data", region="us-east-1"),
    Settings(bucket="dotted.bucket.name", region="eu-west-1"),
    Settings(bucket="perennial-data", region="cn-north-1"),
    Settings(bucket="perennial-data", region="us-east-1", aws_endpoint_url="http://127.0.0.1:4566"),
    Settings(bucket="perennial-data", region="us-east-1", aws_endpoint_url="https://s3.example.org:443/"),
]


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """botocore's clock, and nothing else of it, stands still."""
    with (
        patch("botocore.auth.get_current_datetime", lambda *_, **__: moment),
        patch("botocore.signers.get_current_datetime", lambda *_, **__: moment),
    ):
        yield


def oracle(settings: Settings, env: dict[str, str]) -> Any:
    """botocore's own client."""
    emulated = settings.aws_endpoint_url is not None
    style = "path" if emulated or "." in settings.bucket else "virtual"
    return Session().create_client(
        "s3",
        region_name=settings.region,
        endpoint_url=settings.aws_endpoint_url,
        aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=env.get("AWS_SESSION_TOKEN"),
        config=Config(
            signature_version="s3v4", s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"}
        ),
    )


@pytest.mark.parametrize("env", [KEYS, SESSION], ids=["keys", "session"])
@pytest.mark.parametrize("settings", PLACES, ids=lambda place: f"{place.bucket}-{place.region}")
class TestAsBotocoreSigns:
    @pytest.mark.parametrize("key", [PLAIN, STRANGE])
    def test_an_upload(self, settings: Settings, env: dict[str, str], key: str) -> None:
        found = Links(settings, env).upload(key, 1_000_000, now=NOW, lasting=HOUR)
        with at(NOW):
            expected = oracle(settings, env).generate_presigned_post(
                settings.bucket, key, Conditions=[["content-length-range", 0, 1_000_000]], ExpiresIn=3600
            )
        assert found.fields == expected["fields"]
        assert _address(found.url) == _address(expected["url"])

    @pytest.mark.parametrize("key", [PLAIN, STRANGE])
    def test_a_download(self, settings: Settings, env: dict[str, str], key: str) -> None:
        header, kind = disposition("Größe & 京都.csv"), "text/csv; charset=utf-8"
        found = Links(settings, env).download(key, now=NOW, lasting=HOUR, disposition=header, media_type=kind)
        with at(NOW):
            expected = oracle(settings, env).generate_presigned_url(
                "get_object",
                {
                    "Bucket": settings.bucket,
                    "Key": key,
                    "ResponseContentDisposition": header,
                    "ResponseContentType": kind,
                },
                ExpiresIn=3600,
            )
        mine, theirs = urlsplit(found), urlsplit(expected)
        assert sorted(parse_qsl(mine.query)) == sorted(parse_qsl(theirs.query))
        assert _address(found) == _address(expected) and unquote(mine.path).endswith(f"/{key}")


def _address(url: str) -> tuple[str, str, str]:
    """What a client connects to; a port that goes without saying is not said."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.removesuffix(":443"), parts.path.rstrip("/")


class TestUpload:
    def test_the_policy_leaves_the_client_no_choice(self) -> None:
        form = Links(PLACES[0], SESSION).upload(PLAIN, 5, now=NOW, lasting=HOUR)
        policy = json.loads(base64.b64decode(form.fields["policy"]))
        assert policy["expiration"] == "2026-11-21T10:30:05Z"
        ranged, *fixed = policy["conditions"]
        assert ranged == ["content-length-range", 0, 5]
        named = {name: value for condition in fixed for name, value in condition.items()}
        assert named.pop("bucket") == "perennial-data"
        assert named == {key: form.fields[key] for key in form.fields.keys() - {"policy", "x-amz-signature"}}
        assert form.fields["key"] == PLAIN

    def test_a_moment_is_the_same_in_every_zone(self) -> None:
        elsewhere = NOW.astimezone(timezone(timedelta(hours=13)))
        forms = [Links(PLACES[0], KEYS).upload(PLAIN, 5, now=now, lasting=HOUR) for now in (NOW, elsewhere)]
        assert forms[0] == forms[1]

    def test_no_link_lasts_longer_than_a_signature(self) -> None:
        form = Links(PLACES[0], KEYS).upload(PLAIN, 5, now=NOW, lasting=timedelta(days=30))
        assert b"2026-11-28T09:30:05Z" in base64.b64decode(form.fields["policy"])


class TestKeys:
    def test_are_read_each_time(self) -> None:
        env = dict(KEYS)
        links = Links(PLACES[0], env)
        before = links.upload(PLAIN, 5, now=NOW, lasting=HOUR)
        env |= {"AWS_ACCESS_KEY_ID": "ASIARENEWED", "AWS_SESSION_TOKEN": "token"}
        after = links.upload(PLAIN, 5, now=NOW, lasting=HOUR)
        assert before.fields["x-amz-credential"].startswith("AKIAEXAMPLE/")
        assert after.fields["x-amz-credential"].startswith("ASIARENEWED/")
        assert after.fields["x-amz-security-token"] == "token"

    @pytest.mark.parametrize(
        "env", [{}, {"AWS_PROFILE": "me"}, {"AWS_ACCESS_KEY_ID": "a"}, KEYS | {"AWS_ACCESS_KEY_ID": ""}]
    )
    def test_there_must_be_some(self, env: dict[str, str]) -> None:
        with pytest.raises(SettingsError, match="export-credentials"):
            Links(PLACES[0], env).upload(PLAIN, 5, now=NOW, lasting=HOUR)

    def test_a_local_emulator_takes_any(self) -> None:
        assert AwsKeys.find(PLACES[4], {}) == AwsKeys("test", "test")

    def test_are_not_shown(self) -> None:
        shown = repr(AwsKeys.find(PLACES[0], SESSION))
        assert "AKIAEXAMPLE" in shown and "wJalr" not in shown and "IQoJ" not in shown


class TestFileNames:
    @pytest.mark.parametrize(
        ("name", "key"),
        [
            ("customers.csv", "customers.csv"),
            ("Kunden März.CSV.GZ", "Kunden-Marz.csv.gz"),
            ("../../etc/passwd", "passwd"),
            ("C:\\data\\in.parquet", "in.parquet"),
            ("京都.jsonl", "file.jsonl"),
            ("Meine Tiere.ZIP", "Meine-Tiere.zip"),
            ("rex.v2.jpeg", "rex-v2.jpeg"),
            ("..", "file"),
            ("", "file"),
            (".csv", "file.csv"),
            ("a\r\nb\0.csv", "ab.csv"),
            ("data.v1.2.csv", "data-v1-2.csv"),
            ("dt=2026-11-21.csv", "dt-2026-11-21.csv"),
            ("${filename}", "filename"),
            ("x" * 255, "x" * LONGEST_STEM),
        ],
    )
    def test_in_a_key(self, name: str, key: str) -> None:
        assert key_name(name) == key

    @given(st.text(max_size=300))
    def test_any_name_is_one_plain_segment(self, name: str) -> None:
        found = key_name(name)
        assert found.isascii() and 1 <= len(found) <= 100 and found[0].isalnum()
        assert not set(found) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert ".." not in found and key_name(found) == found

    @pytest.mark.parametrize(
        ("name", "saved", "plain"),
        [
            ("customers.csv.gz", "customers.predictions.csv", "customers.predictions.csv"),
            ("Kunden März.csv", "Kunden März.predictions.csv", "Kunden Marz.predictions.csv"),
            ("京都.csv", "京都.predictions.csv", "__.predictions.csv"),
            ('"q%41\\x.csv', "x.predictions.csv", "x.predictions.csv"),
            ('"q%41.csv', '"q%41.predictions.csv', "_q_41.predictions.csv"),
            ("evil\u202evsc\r\n.exe", "evilvsc.exe.predictions.csv", "evilvsc.exe.predictions.csv"),
        ],
    )
    def test_where_results_are_saved(self, name: str, saved: str, plain: str) -> None:
        assert saved_as(name, ".predictions.csv") == saved
        header = disposition(saved)
        assert header.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
        assert unquote(header.rpartition("''")[2]) == saved

    @given(st.text(max_size=300))
    def test_any_name_makes_one_header(self, name: str) -> None:
        header = disposition(saved_as(name, ".csv"))
        assert header.isascii() and header.isprintable() and header.count('"') == 2
        assert unquote(header.rpartition("''")[2]) == saved_as(name, ".csv")
