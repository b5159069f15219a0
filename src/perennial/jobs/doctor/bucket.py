"""The bucket: whose it is, what it promises, and whether it and this machine agree on the time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from perennial import keys
from perennial.errors import AlreadyExistsError, PerennialError
from perennial.jobs.doctor.finding import Finding, Patient, looking

SKEW_SECONDS = 120.0
"""S3 refuses requests that are 15 minutes off; ids and times of predictions are wrong well before."""
SKEWED = "RequestTimeTooSkewed"
POLICY = ("NobodyDeletesWhatIsCommitted", "OnlyOverTls")


def clock(patient: Patient) -> Iterator[Finding]:
    """This machine's time against that of S3's answers, which carry it whether they grant or refuse."""
    remedy = "Set this machine's clock, for one by `timedatectl set-ntp true`; S3 refuses requests that are 15 min off."
    with looking("clock"):
        try:
            answer: dict[str, Any] = patient.client("s3").head_bucket(Bucket=patient.settings.bucket)
        except ClientError as error:
            answer = dict(error.response)
    now = patient.now()
    told = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    if told is None:
        return
    ahead = (now - parsedate_to_datetime(told)).total_seconds()
    refused = answer.get("Error", {}).get("Code") == SKEWED
    found = f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} S3's"
    ok = abs(ahead) <= SKEW_SECONDS and not refused
    yield Finding(what="clock", ok=ok, found=found, remedy=remedy)


def readable(patient: Patient) -> Iterator[Finding]:
    """Whose it is, whether it can be read, and whether it keeps the one promise everything rests on."""
    deployment, store, name = patient.deployment, patient.store, patient.settings.bucket
    if deployment:
        with looking("bucket"):
            try:
                patient.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=deployment.account)
            except ClientError as error:
                if error.response["Error"].get("Code") not in ("403", "AccessDenied"):
                    raise
                yield Finding(
                    what="bucket", ok=False, found=f"{name} is not of account {deployment.account}, or not to be read",
                    remedy="Check PERENNIAL_BUCKET and AWS_PROFILE: what is written there, another account would have.",
                )  # fmt: skip
                return
    try:
        store.folders()
        yield Finding(what="bucket", ok=True, found="readable")
        store.put_new(keys.PROBE, b"first")
        try:
            store.put_new(keys.PROBE, b"second")
        except AlreadyExistsError:
            yield Finding(what="conditional writes", ok=True, found="honoured")
        else:
            yield Finding(
                what="conditional writes", ok=False, found="ignored",
                remedy="This endpoint overwrites in spite of If-None-Match: the registry is not safe on it. Use S3.",
            )  # fmt: skip
    except PerennialError as error:
        yield Finding(what="bucket", ok=False, found=error.message, remedy=error.remedy)


def settings(patient: Patient) -> Iterator[Finding]:
    """What keeps the bucket's content: versions, privacy, encryption, an end to what is unfinished, and its policy."""
    s3, name = patient.client("s3"), patient.settings.bucket
    with looking("bucket settings"):
        status = s3.get_bucket_versioning(Bucket=name).get("Status", "off")
        yield _setting(patient, "versioning", status == "Enabled", f"versioning {status}")
        blocked = _or_none(lambda: s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]) or {}
        private = len(blocked) == 4 and all(blocked.values())
        yield _setting(patient, "public access", private, "blocked" if private else "not blocked in every way")
        encryption = _or_none(lambda: s3.get_bucket_encryption(Bucket=name))
        yield _setting(patient, "encryption", encryption is not None, "on" if encryption else "off")
        rules = (_or_none(lambda: s3.get_bucket_lifecycle_configuration(Bucket=name)) or {}).get("Rules", [])
        ends = any("AbortIncompleteMultipartUpload" in rule for rule in rules)
        yield _setting(
            patient, "lifecycle", ends, f"{len(rules)} rules" if ends else "unfinished uploads stay for ever"
        )
        if patient.deployment:
            yield _policy(patient, _or_none(lambda: s3.get_bucket_policy(Bucket=name)["Policy"]))


def _policy(patient: Patient, text: str | None) -> Finding:
    said = {statement.get("Sid") for statement in json.loads(text)["Statement"]} if text else set()
    needed = POLICY[:1] if patient.settings.emulated else POLICY
    missing = [sid for sid in needed if sid not in said]
    found = f"lacks {', '.join(missing)}" if missing else "nobody deletes what is committed"
    return _setting(patient, "policy", not missing, found)


def _setting(patient: Patient, what: str, ok: bool, found: str) -> Finding:
    remedy = (
        f"{patient.again} sets it again." if patient.deployment else "See infra/stacks/storage.yaml for what is right."
    )
    return Finding(what=f"bucket: {what}", ok=ok, found=found, remedy=remedy)


def _or_none(ask: Any) -> Any:
    """What S3 says, or None where nothing of that kind is set."""
    try:
        return ask()
    except ClientError as error:
        if str(error.response["Error"].get("Code")).startswith(("NoSuch", "ServerSideEncryptionConfigurationNotFound")):
            return None
        raise
