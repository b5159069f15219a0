"""Publish the built pages: their files, and where their API is. What they show is written by others."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from perennial import keys
from perennial.deploy.aws import aws_errors
from perennial.errors import DeployError

CONFIG = "config.json"
API_ORIGIN = "__API_ORIGIN__"  # stands in a page's Content-Security-Policy for the origin of the API
UPLOAD_URL = "__UPLOAD_URL__"  # stands there for the one address it may send files to
NAMED_BY_HASH = "assets/"  # as `frontend/build.mjs` names what it bundles, so that it may be kept for good
FOREVER, REVALIDATED = "public, max-age=31536000, immutable", "no-cache"

_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".map": "application/json", ".woff2": "font/woff2"}


def publish(s3: Any, bucket: str, dist: Path, api_url: str, upload_url: str) -> int:
    """Upload the folder ``dist`` and ``config.json``, remove what is no longer part of it; returns the number of files.

    ``api_url`` is where the pages ask, ``upload_url`` where they send files, as
    :func:`perennial.serving.presign.upload_address` says it. What stands under ``data/`` is not of the site's making,
    and stays.

    Raises:
        DeployError: the site has not been built, or S3 refused.
    """
    if not (dist / "index.html").is_file():
        raise DeployError(f"{dist}/index.html does not exist.", remedy="Run `make build`.")
    files = {path.relative_to(dist).as_posix(): path for path in sorted(dist.rglob("*")) if path.is_file()}
    bodies = {key: _body(path, api_url, upload_url) for key, path in files.items()}
    bodies[CONFIG] = json.dumps({"api": api_url}).encode()
    with aws_errors():
        _replace(s3, bucket, bodies)
    return len(bodies)


def distribution_of(cloudformation: Any, stack: str) -> str | None:
    """The distribution before the site of a stack; None where its pages lie in a bucket that everyone reads.

    Raises:
        DeployError: CloudFormation refused.
    """
    with aws_errors():
        [found] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}
    return outputs.get("DistributionId")


def invalidate(cloudfront: Any, distribution: str, reference: str) -> None:
    """Have a distribution ask its bucket anew for all of the site.

    A page is revalidated at each visit anyway; this is for what an edge holds that said nothing, or another thing,
    when it was published. ``reference`` names this request: one that was made before is not made again. The first
    thousand of a month are free, and one for all of the site counts as one.

    Raises:
        DeployError: CloudFront refused.
    """
    paths = {"Quantity": 1, "Items": ["/*"]}
    with aws_errors():
        cloudfront.create_invalidation(
            DistributionId=distribution, InvalidationBatch={"Paths": paths, "CallerReference": reference}
        )


def cache_control(key: str) -> str:
    """How long browsers and CloudFront may keep a file of the site without asking for it again."""
    return FOREVER if key.startswith(NAMED_BY_HASH) else REVALIDATED


def _replace(s3: Any, bucket: str, bodies: Mapping[str, bytes]) -> None:
    parts_first = sorted(bodies, key=lambda key: (not key.startswith(NAMED_BY_HASH), key))  # a page finds all its parts
    for key in parts_first:
        s3.put_object(
            Bucket=bucket, Key=key, Body=bodies[key], ContentType=content_type(key), CacheControl=cache_control(key)
        )
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    for key in [entry["Key"] for page in pages for entry in page.get("Contents", [])]:
        if key not in bodies and not key.startswith(keys.PAGE_ROOT):
            s3.delete_object(Bucket=bucket, Key=key)


def content_type(key: str) -> str:
    """Media type by a file's ending, with the charset where it is text."""
    kind = _TYPES.get(Path(key).suffix) or mimetypes.guess_type(key)[0] or "application/octet-stream"
    is_text = kind.startswith("text/") or kind in {"application/json", "image/svg+xml"}
    return f"{kind}; charset=utf-8" if is_text else kind


def _body(path: Path, api_url: str, upload_url: str) -> bytes:
    body = path.read_bytes()
    if path.suffix != ".html":
        return body
    address = urlsplit(api_url)
    filled = body.replace(API_ORIGIN.encode(), f"{address.scheme}://{address.netloc}".encode())
    return filled.replace(UPLOAD_URL.encode(), upload_url.encode())
