"""One event, one message: whoever claims it first tells it, and marks it told.

A claim without its mark is taken over after a while: its maker died between the two, or could not send.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, ValidationError

from perennial import keys
from perennial.canonical import canonical
from perennial.errors import AlreadyExistsError, ConflictError, IntegrityError
from perennial.store import Store
from perennial.store_objects import Blob

LAPSE = timedelta(minutes=5)
"""After this long a claim is another's to take over: much longer than any channel is waited for."""


class Claim(BaseModel):
    """Who tells an event, and since when. ``by`` is of one teller alone, so that no two claims are alike."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: str
    by: str
    at: datetime


def tell_once(store: Store, model: str, event: str, *, by: str, now: datetime, send: Callable[[], None]) -> str:
    """Send, unless it was done or is being done; returns why not, or nothing where it was sent.

    Raises:
        StoreUnavailable: S3 does not answer. What was sent may then be sent again.
        IntegrityError: a claim is damaged.
        whatever ``send`` raises: the event stays claimed, and may be told again after LAPSE.
    """
    sent = keys.notice_sent(model, event)
    if store.exists(sent):
        return "it was told before"
    claim = canonical(Claim(event=event, by=by, at=now).model_dump(mode="json"))
    if not _claim(store, keys.notice(model, event), claim, now):
        return "another process is telling it"
    if store.exists(sent):  # by one whose claim lapsed while it was still sending
        return "it was told before"
    send()
    with suppress(AlreadyExistsError):  # another took over while we were sending
        store.put_new(sent, claim)
    return ""


def _claim(store: Store, key: str, claim: bytes, now: datetime) -> bool:
    """Whether the event is ours to tell."""
    try:
        store.put_new(key, claim)
        return True
    except AlreadyExistsError:
        found = store.get(key)
    if now - _read(found, key).at < LAPSE:
        return False
    try:
        store.put_if_match(key, claim, found.etag)
    except ConflictError:
        return False
    return True


def _read(found: Blob, key: str) -> Claim:
    try:
        return Claim.model_validate_json(found.data)
    except ValidationError as error:
        raise IntegrityError(f"{key} is malformed.", remedy="Delete it; the event may then be told again.") from error
