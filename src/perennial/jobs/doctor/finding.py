"""What a check says, and what it is given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from perennial.errors import PerennialError
from perennial.settings import Settings
from perennial.store import Store

_BUCKET = re.compile(r"perennial-([a-z][a-z0-9-]*)-data-(\d{12})-([a-z0-9-]+)")
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403"})
_STALE = frozenset({"ExpiredToken", "ExpiredTokenException", "InvalidAccessKeyId", "InvalidClientTokenId",
                    "SignatureDoesNotMatch", "UnrecognizedClientException"})  # fmt: skip


class Finding(BaseModel):
    """One thing looked at. A fault has a remedy."""

    model_config = ConfigDict(frozen=True)

    what: str
    ok: bool
    found: str
    remedy: str | None = None


@dataclass(frozen=True)
class Deployment:
    """The stack around a bucket that `make deploy` named: its stage, and the number of its account."""

    stage: str
    account: str

    def function(self, name: str) -> str:
        return f"perennial-{self.stage}-{name}"


@dataclass(frozen=True)
class Patient:
    """What is looked at. ``client`` gives a boto3 client of a service, ``now`` this machine's time."""

    settings: Settings
    store: Store
    client: Callable[[str], Any]
    now: Callable[[], datetime]

    @property
    def deployment(self) -> Deployment | None:
        """None for a bucket of another's naming, around which nothing is known to be."""
        found = _BUCKET.fullmatch(self.settings.bucket)
        return Deployment(found[1], found[2]) if found else None

    @property
    def again(self) -> str:
        """The command that brings a stack to what it should be."""
        stage = self.deployment.stage if self.deployment else "..."
        return "`make up`" if stage == "local" else f"`make deploy STAGE={stage}`"


class Unseen(Exception):
    """Something could not be looked at: not a fault of it, unless the finding says so."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.found)
        self.finding = finding


@contextmanager
def looking(what: str) -> Iterator[None]:
    """For a block that asks AWS: what it refuses to tell is no fault, what else goes wrong is one.

    Raises:
        Unseen: it could not be asked; carries what to say of that.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response["Error"].get("Code"))
        said = " ".join(str(error).split())[:300]
        if code in _DENIED:
            raise Unseen(Finding(what=what, ok=True, found=f"this identity may not look ({code})")) from error
        renew = "Renew the credentials: AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        remedy = renew if code in _STALE else "See what AWS says there; `aws sts get-caller-identity` says who asks."
        raise Unseen(Finding(what=what, ok=False, found=said, remedy=remedy)) from error
    except (BotoCoreError, Boto3Error, PerennialError, OSError, ValueError) as error:
        said = " ".join(str(error).split())[:300]
        remedy = "Check the endpoint, the region and the credentials."
        raise Unseen(Finding(what=what, ok=False, found=said, remedy=remedy)) from error
