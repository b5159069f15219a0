"""The checks behind ``perennial doctor``: each says what it found and, where that is a fault, what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

from perennial.errors import SettingsError
from perennial.jobs.doctor import access, bucket, functions, machine, queues, quotas, registries
from perennial.jobs.doctor.finding import Finding, Patient, Unseen, looking
from perennial.notify.aws import client
from perennial.settings import Settings
from perennial.store_opening import open_store

__all__ = ["Finding", "examine", "look_at"]


def examine() -> list[Finding]:
    """Look at this machine, and at the deployment that the environment names."""
    findings = [*machine.machine()]
    try:
        settings = Settings.load()
    except SettingsError as error:
        remedy = error.remedy or 'Set that variable right, or `eval "$(perennial env)"` within the repository.'
        return [*findings, Finding(what="settings", ok=False, found=error.message, remedy=remedy)]
    endpoint = settings.aws_endpoint_url or "AWS"
    findings.append(Finding(what="settings", ok=True, found=f"bucket {settings.bucket} at {endpoint}"))

    @cache
    def of(service: str) -> Any:
        return client(settings, service, "")

    try:
        with looking("bucket"):
            store = open_store(settings, client_timeout=5)
    except Unseen as unseen:
        return [*findings, unseen.finding]
    return findings + look_at(Patient(settings=settings, store=store, client=of, now=lambda: datetime.now(UTC)))


def look_at(patient: Patient) -> list[Finding]:
    """Look at a deployment; a fault in one place never hides the others, unless nothing can be read at all."""
    findings = [*_told(bucket.clock, patient), *_told(bucket.readable, patient)]
    if not all(finding.ok for finding in findings):
        return findings
    parts: list[Callable[[Patient], Iterable[Finding]]] = [bucket.settings, access.permissions, registries.registries]
    if patient.deployment:
        parts += [functions.functions, queues.queues, queues.alarms, quotas.quotas]
    parts.append(functions.api)
    return findings + [finding for part in parts for finding in _told(part, patient)]


def _told(part: Callable[[Patient], Iterable[Finding]], patient: Patient) -> Iterator[Finding]:
    try:
        yield from part(patient)
    except Unseen as unseen:
        yield unseen.finding
