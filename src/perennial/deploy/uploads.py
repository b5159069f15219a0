"""What each function runs, zipped, and nested templates: put where CloudFormation takes them from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perennial.deploy.aws import Aws
from perennial.deploy.lock import only_one
from perennial.deploy.ours import bucket_exists, builds_bucket
from perennial.deploy.package import CAPTURE_PARTS, Package, zip_package


@dataclass(frozen=True)
class Code:
    """What a function runs: the ``parts`` of a package, all by default, under a name of its own."""

    name: str
    package: str
    parts: Collection[str] | None = None
    deflated: bool = False


FUNCTIONS = {
    "ApiFunction": Code("api", "api"),
    "FeedbackFunction": Code("api", "api"),
    "CaptureFunction": Code("capture", "api", CAPTURE_PARTS),
    "ScoreFunction": Code("score", "score", deflated=True),  # nobody waits for its start as one does for an answer
}


def upload(aws: Aws, packages: Mapping[str, Package], stage: str) -> tuple[str, dict[str, str]]:
    """Put what each function runs into the bucket for build results, unless it is there.

    Returns the bucket, and function -> key.
    """
    from botocore.exceptions import ClientError

    s3 = aws.client("s3")
    bucket = builds_bucket(aws, stage)
    there = bucket_exists(aws, bucket)
    found = {}
    for function, code in FUNCTIONS.items():
        package = packages[code.package]
        found[function] = key = f"{code.name}/{package.digest}.zip"
        try:
            s3.head_object(Bucket=bucket, Key=key)
        except ClientError:
            there = there or _create(s3, bucket, aws.region)
            place = package.folder.with_name(f"{package.folder.name}.zips")
            with only_one(place.with_name(place.name + ".lock")):  # others may zip, or clear away, at the same time
                s3.upload_file(str(_zipped(package, place, code)), bucket, key)
    return bucket, found


def upload_templates(aws: Aws, bucket: str, templates: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Put templates into the bucket for build results, under their hashes. Returns name -> address."""
    s3 = aws.client("s3")
    # An emulator has no names for buckets; AWS takes no template from where the bucket stands in the path everywhere.
    place = f"{aws.endpoint_url.rstrip('/')}/{bucket}" if aws.endpoint_url else _address(s3, bucket)
    found = {}
    for name, template in templates.items():
        body = json.dumps(template, sort_keys=True).encode()
        key = f"templates/{hashlib.sha256(body).hexdigest()}.json"
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
        found[name] = f"{place}/{key}"
    return found


def _address(s3: Any, bucket: str) -> str:
    """Of a bucket on AWS, in whatever partition."""
    scheme, host = s3.meta.endpoint_url.split("://", 1)
    return f"{scheme}://{bucket}.{host}"


def _create(s3: Any, bucket: str, region: str) -> bool:
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        s3.create_bucket(Bucket=bucket, **place)
    return True


def _zipped(package: Package, folder: Path, code: Code) -> Path:
    """The zip of this package under its name, made unless it is there; those of other packages go."""
    archive = folder / f"{code.name}.{package.digest[:16]}.zip"
    if not archive.is_file():
        folder.mkdir(exist_ok=True)
        for old in folder.glob(f"{code.name}.*"):
            old.unlink()
        zip_package(package, archive, code.parts, deflated=code.deflated)
    return archive
