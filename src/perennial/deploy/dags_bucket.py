"""The bucket that Airflow reads DAGs from: what it holds, and how another delivery gets there.

Amazon MWAA copies the DAGs folder every half minute, file by file, and no two files at once. So what others need is put
before what needs it, what is gone is removed after that, and the manifest is written last, by compare-and-swap: it
says what the bucket holds, and a delivery that was cut off is begun anew by the next one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from perennial.deploy.aws import aws_errors
from perennial.deploy.dags import FOLDER, REQUIREMENTS, Delivery
from perennial.errors import DeployError

MANIFEST = "manifest.json"
_PACKAGE = re.compile(rf"{FOLDER}packages/([0-9a-f]+)/")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Holding:
    """What the bucket holds: key -> ETag as it is, key -> [SHA-256, ETag] as it was noted, and the manifest's ETag."""

    there: Mapping[str, str]
    noted: Mapping[str, list[str]]
    manifest: str | None

    def has(self, key: str, data: bytes) -> bool:
        """Whether this is there already, and nobody has put another one since."""
        return self.noted.get(key) == [_digest(data), self.there.get(key)]


@dataclass(frozen=True)
class Plan:
    """Keys that are to be put, in this order, and removed."""

    staged: tuple[str, ...]
    live: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def empty(self) -> bool:
        return not (self.staged or self.live or self.removed)

    def lines(self) -> list[str]:
        """For people: one line a key."""
        return [f"put     {key}" for key in (*self.staged, *self.live)] + [f"remove  {key}" for key in self.removed]


class DagsBucket:
    """One bucket. All methods raise DeployError where S3 refuses."""

    def __init__(self, s3: Any, name: str) -> None:
        self._s3, self.name = s3, name

    def holding(self) -> Holding:
        """Read what is there."""
        with aws_errors():
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name)
            there = {entry["Key"]: entry["ETag"] for page in pages for entry in page.get("Contents", [])}
            if MANIFEST not in there:
                return Holding(there, {}, None)
            found = self._s3.get_object(Bucket=self.name, Key=MANIFEST)
            body, etag = found["Body"].read(), found["ETag"]
        try:
            noted: dict[str, list[str]] = json.loads(body)["files"]
        except (ValueError, KeyError, TypeError):  # whatever it was, everything is sent again
            noted = {}
        return Holding(there, noted, etag)

    def plan(self, wanted: Delivery, holding: Holding, runs: str | None) -> Plan:
        """What is to be done. ``runs`` is the digest of the package that an environment has, which stays."""
        kept = {wanted.package, runs}
        sent = wanted.files
        return Plan(
            staged=tuple(key for key, data in wanted.staged.items() if not holding.has(key, data)),
            live=tuple(key for key, data in wanted.live.items() if not holding.has(key, data)),
            removed=tuple(sorted(
                key for key in holding.there
                if key not in sent and key != MANIFEST and not (package_of(key) and package_of(key) in kept)
            )),
        )  # fmt: skip

    def put(self, wanted: Delivery, keys: tuple[str, ...]) -> None:
        """Put files, in the order of their keys."""
        for key in keys:
            with aws_errors():
                self._s3.put_object(Bucket=self.name, Key=key, Body=wanted.files[key])

    def finish(self, wanted: Delivery, plan: Plan, before: Holding) -> None:
        """Remove what is gone, and note what the bucket holds.

        Raises:
            DeployError: someone else has delivered meanwhile.
        """
        from botocore.exceptions import ClientError

        with aws_errors():
            for key in plan.removed:
                self._s3.delete_object(Bucket=self.name, Key=key)
        there = self.holding().there
        noted = {key: [_digest(data), there.get(key)] for key, data in wanted.files.items()}
        body = json.dumps({"package": wanted.package, "files": noted}, indent=1).encode()
        condition = {"IfMatch": before.manifest} if before.manifest else {"IfNoneMatch": "*"}
        try:
            self._s3.put_object(Bucket=self.name, Key=MANIFEST, Body=body, **condition)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
                raise DeployError(
                    f"Bucket {self.name}: someone else delivered to it at the same time.", remedy="Do it again."
                ) from error
            with aws_errors():
                raise

    def version(self, key: str) -> str:
        """The version of a file as it is now, which an environment is told."""
        with aws_errors():
            found: str = self._s3.head_object(Bucket=self.name, Key=key).get("VersionId", "null")
        return found

    def package_in(self, version: str) -> str | None:
        """The digest of the package that a version of the requirements installs; None where it names none."""
        with aws_errors():
            found = self._s3.get_object(Bucket=self.name, Key=REQUIREMENTS, VersionId=version)
            match = re.search(r"/packages/([0-9a-f]+)/", found["Body"].read().decode())
        return match[1] if match else None


def package_of(key: str) -> str | None:
    """The digest of the package that a key belongs to; None where it belongs to none."""
    match = _PACKAGE.match(key)
    return match[1] if match else None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
