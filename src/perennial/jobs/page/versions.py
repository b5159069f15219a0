"""The versions of a model and what became of each: from the registry, its log, the gate and the people asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict

from perennial import keys
from perennial.jobs.page.data import Event, Status, VersionView
from perennial.jobs.page.files import TYPES
from perennial.jobs.page.read import find_model, read_all, read_model
from perennial.jobs.results import ApprovalAnswer, OutcomeResult
from perennial.registry.entries import MOST_BYTES
from perennial.registry.gate import Decision
from perennial.registry.log import LogEntry
from perennial.registry.manifest import ModelManifest
from perennial.registry.registry import Registry
from perennial.store import Store
from perennial.store_objects import Entry
from perennial.training.evaluation import CARD_FILE, SHEET_FILE

VERSIONS = 50
ENTRIES = 100
GATE = "the gate"


class _Request(BaseModel):
    """What a page needs of a request for approval."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: datetime
    until: datetime


@dataclass(frozen=True)
class Versions:
    """What the page says of versions. ``manifest`` is the champion's, else the newest; None before the first."""

    manifest: ModelManifest | None
    head: LogEntry | None
    views: tuple[VersionView, ...]
    events: tuple[Event, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Known:
    """One version with all that was found of it."""

    manifest: ModelManifest
    at: datetime
    outcome: OutcomeResult | None
    decision: Decision | None
    request: _Request | None
    answer: ApprovalAnswer | None


def versions(store: Store, m: str, now: datetime) -> Versions:
    """The newest versions, the champion among them, and what happened to them.

    Raises:
        StoreUnavailable: S3 does not answer; what is missing or damaged is left out and named.
    """
    log = read_all(_newest(store.list(keys.log_entries(m)), ENTRIES), lambda entry: _log_entry(store, entry.key))
    entries = sorted(log.values.values(), key=lambda entry: entry.generation)
    head = entries[-1] if entries else None
    outcomes = read_all(
        _newest(store.list(keys.outcomes(m)), 2 * VERSIONS), lambda entry: read_model(store, entry.key, OutcomeResult)
    )
    by_version = {outcome.version: outcome for outcome in outcomes.values.values() if outcome.version}
    stored = _stored(store, m)
    wanted = _wanted(stored, head.version if head else None)
    asked = {entry.key for entry in store.list(keys.approvals(m))}
    registry = Registry(store)
    found = read_all(wanted, lambda version: _known(registry, m, version, stored[version], by_version, asked))
    known = sorted(found.values.values(), key=lambda one: (one.at, one.manifest.version), reverse=True)
    champion = found.values.get(head.version) if head else None
    newest = champion or (known[0] if known else None)
    return Versions(
        manifest=newest.manifest if newest else None,
        head=head,
        views=tuple(_view(one, entries, now) for one in known),
        events=_events(known, entries, now),
        left_out=(*log.left_out, *outcomes.left_out, *found.left_out),
    )


def _newest(listed: Iterable[Entry], count: int) -> list[Entry]:
    return sorted(listed, key=lambda entry: (entry.modified, entry.key))[-count:]


def _log_entry(store: Store, key: str) -> LogEntry:
    return LogEntry.from_bytes(store.get(key, most=MOST_BYTES).data, key)


def _stored(store: Store, m: str) -> dict[str, datetime]:
    """When each version's manifest was stored. Signatures lie beside the manifests and are none."""
    found = ((PurePosixPath(entry.key).parent.name, entry) for entry in store.list(keys.versions(m)))
    return {version: entry.modified for version, entry in found if entry.key == keys.version_manifest(m, version)}


def _wanted(stored: Mapping[str, datetime], champion: str | None) -> list[str]:
    """The newest versions by when they were stored; the champion always, however old."""
    newest = sorted(stored, key=lambda version: (stored[version], version), reverse=True)[:VERSIONS]
    if champion in stored and champion not in newest:
        newest[-1] = str(champion)
    return newest


def _known(
    registry: Registry,
    m: str,
    version: str,
    stored_at: datetime,
    outcomes: Mapping[str, OutcomeResult],
    asked: set[str],
) -> _Known:
    """Raises NotFoundError and IntegrityError for the version alone."""
    manifest = registry.manifest(m, version)
    outcome = outcomes.get(version)
    store = registry.store
    decision = find_model(store, keys.gate_decision(m, _gate_operation(manifest)), Decision)
    request, answer = keys.approval_request(m, version), keys.approval(m, version)
    return _Known(
        manifest=manifest,
        at=(outcome.at if outcome else None) or stored_at,
        outcome=outcome,
        decision=decision if decision and decision.candidate == version else None,
        request=read_model(store, request, _Request) if request in asked else None,
        answer=read_model(store, answer, ApprovalAnswer) if answer in asked else None,
    )


def _gate_operation(manifest: ModelManifest) -> str:
    """Under which name the gate's answer is kept: that of the run, as a workspace names its operations."""
    return f"gate-{manifest.run}-{manifest.spec_digest[:12]}"


def _view(one: _Known, entries: list[LogEntry], now: datetime) -> VersionView:
    manifest = one.manifest
    return VersionView(
        version=manifest.version,
        status=_status(one, entries, now),
        at=one.at,
        run=manifest.run,
        candidate=manifest.candidate,
        estimator=manifest.estimator,
        dataset=manifest.dataset,
        code=manifest.code,
        because=one.outcome.because if one.outcome else "",
        metrics=manifest.metrics,
        cross_validation=manifest.cross_validation,
        holdout_rows=manifest.holdout_rows,
        decision=one.decision,
        answered_by=one.answer.by if one.answer else None,
        files=tuple(sorted(name for name in manifest.files if _is_shown(name, manifest))),
    )


def _is_shown(name: str, manifest: ModelManifest) -> bool:
    """Whether a file may stand on a page that anyone can open: what shows landed pictures may not."""
    if manifest.pixels is not None and name in (CARD_FILE, SHEET_FILE):
        return False
    return PurePosixPath(name).suffix in TYPES and "/" not in name


def _status(one: _Known, entries: list[LogEntry], now: datetime) -> Status:
    version = one.manifest.version
    if entries and entries[-1].version == version:
        return "champion"
    left = [entry for entry in entries if entry.moves and entry.previous == version]
    if left:
        return "rolled_back" if left[-1].kind == "rollback" else "former"
    if _rejection(one, now):
        return "rejected"
    return "waiting" if one.request and not one.answer else "registered"


def _rejection(one: _Known, now: datetime) -> tuple[datetime, str, tuple[str, ...]] | None:
    """When a version was turned down, by whom and why; None where it was not."""
    if one.decision and not one.decision.passed:
        return one.at, GATE, tuple(f"{rule.rule}: {rule.reason}" for rule in one.decision.rules if not rule.passed)
    if one.answer and not one.answer.approved:
        return one.answer.at, one.answer.by, (one.answer.reason,) if one.answer.reason else ()
    if one.request and not one.answer and one.request.until <= now:
        return one.request.until, GATE, ("nobody answered in time",)
    return None


def _events(known: list[_Known], entries: list[LogEntry], now: datetime) -> tuple[Event, ...]:
    events = [
        Event(
            kind="promoted" if entry.kind == "promotion" else "rolled_back",
            version=entry.version,
            at=entry.time,
            by=entry.actor,
            reasons=(entry.reason,) if entry.reason else (),
            previous=entry.previous,
            generation=entry.generation,
        )
        for entry in entries
        if entry.moves  # trials leave the champion where it is
    ]
    for one in known:
        version = one.manifest.version
        if rejection := _rejection(one, now):
            at, by, reasons = rejection
            events.append(Event(kind="rejected", version=version, at=at, by=by, reasons=reasons))
        elif _status(one, entries, now) == "waiting" and one.request:
            at, until, why = one.request.at, one.request.until, "passed the gate; a person decides"
            events.append(Event(kind="waiting", version=version, at=at, by=GATE, reasons=(why,), until=until))
    return tuple(sorted(events, key=lambda event: (event.at, event.generation or 0), reverse=True))
