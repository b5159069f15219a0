"""Who may do what, as a table for ``docs/security.md``: ``python -m tests.support.iam_page`` prints it."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterable, Iterator

from tests.support.iam_listed import is_listed
from tests.support.iam_statements import Right, all_rights
from tests.support.templates import ROOT, all_templates

OF_CLOUDFORMATION = ("RolesPolicy", "StagePolicy", "EventsPolicy", "EdgePolicy")
"""What CloudFormation may make: long, and one with the templates' types of resources."""
VERBS = {"s3:GetObject": "reads", "s3:GetObjectVersion": "reads versions", "s3:PutObject": "writes",
         "s3:ListBucket": "lists", "s3:DeleteObject": "removes", "s3:AbortMultipartUpload": "gives up uploads",
         "s3:CreateBucket": "makes"}  # fmt: skip
VALUES = {
    "Stage": "STAGE", "DataBucketName": "perennial-STAGE-data-000000000000-us-east-1",
    "SiteBucketName": "perennial-STAGE-site-000000000000-us-east-1", "TopicArn": "arn:aws:sns:::notices",
    "ScoringSource": "arn:aws:s3:::ScoringSource", "TrainingSource": "arn:aws:s3:::TrainingSource",
    "Source": "arn:aws:s3:::Source", "SigningKeyArn": "arn:aws:kms:::SigningKeyArn", "Image": "one",
    "DagsBucket": "DagsBucket", "Repository": "one/name",
}  # fmt: skip
_OWN = re.compile(r"perennial-STAGE-(\w+)-(000000000000-us-east-1|\*)")


def table() -> str:
    """A row for each holder of rights: what code of ours does under it, and what services of AWS do besides."""
    rights = all_rights({str(path.relative_to(ROOT)): VALUES for path in all_templates()})
    holders = [
        one for one in dict.fromkeys(right.holder for right in rights) if one.split()[1] not in OF_CLOUDFORMATION
    ]
    lines = ["| Holder | May | Used by AWS or Airflow itself |", "|---|---|---|"]
    for holder in holders:
        own = [right for right in rights if right.holder == holder]
        ours, theirs = (told(one for one in own if is_listed(one) is listed) for listed in (False, True))
        path, name = holder.split()
        lines.append(f"| `{name}` of `{path}` | {ours} | {theirs} |")
    return "\n".join(lines) + "\n"


def told(rights: Iterable[Right]) -> str:
    """The rights of a holder in a cell, each verb once."""
    found: dict[str, dict[str, None]] = {}
    for right in rights:
        found.setdefault(VERBS.get(right.action, right.action), {}).update(dict.fromkeys(_places(right)))
    return "; ".join(f"{verb} {', '.join(places)}".strip() for verb, places in found.items()) or "nothing"


def _places(right: Right) -> Iterator[str]:
    if not right.action.startswith("s3:"):
        return
    bucket, _, key = right.pattern.removeprefix("arn:aws:s3:::").partition("/")
    named = _OWN.sub(r"\1", bucket)
    if right.prefix == "":
        yield "what is missing"
    elif right.prefix is not None:
        yield f"`{_folder(right.prefix)}`"
    else:
        yield f"`{_folder(key)}`" if named == "data" and key else f"`{named}{'/' if key else ''}{_folder(key)}`"


def _folder(pattern: str) -> str:
    """The folders of a pattern, less that of the model and from the first on that may be any."""
    parts = pattern.removeprefix("*/").split("/")
    fixed = list(itertools.takewhile(lambda part: not set("*?") & set(part), parts))
    return "/".join(fixed) + ("/" if len(fixed) < len(parts) and fixed else "")


if __name__ == "__main__":
    sys.stdout.write(table())
