"""Each model's registry: its invariants, its alias, and who signed what it serves."""

from __future__ import annotations

from collections.abc import Iterator

from perennial import keys
from perennial.errors import PerennialError
from perennial.jobs.doctor.finding import Finding, Patient
from perennial.registry.check import check
from perennial.registry.entries import MOST_BYTES
from perennial.registry.log import CHAMPION, LogEntry
from perennial.registry.registry import Registry, models
from perennial.registry.signing import check_signature, find_signature
from perennial.trust import PublicKey, TrustedKeys


def registries(patient: Patient) -> Iterator[Finding]:
    """All models of the bucket."""
    trust = patient.settings.trust
    if trust is None:
        yield Finding(
            what="trusted keys", ok=patient.settings.emulated or patient.settings.trusted_keys is None,
            found="versions are served whoever wrote them",
            remedy="Deploy with keys that are trusted: see docs/signing.md.",
        )  # fmt: skip
    for model in models(patient.store):
        try:
            yield from _registry(patient, model, trust)
        except PerennialError as error:
            yield Finding(
                what=f"registry of {model}", ok=False, found=error.message, remedy=error.remedy or "Ask again."
            )


def _registry(patient: Patient, model: str, trust: TrustedKeys | None) -> Iterator[Finding]:
    violations = check(patient.store, model)
    yield Finding(
        what=f"registry of {model}",
        ok=not violations,
        found="; ".join(str(violation) for violation in violations[:3]) or "all invariants hold",
        remedy=f"See `perennial log {model}`; a promotion or rollback works all the same.",
    )
    head = Registry(patient.store).head(model)
    if head is None:
        return
    yield _alias(patient, model, head)
    if trust is not None:
        yield _signed(patient, model, head.version, trust)


def _alias(patient: Patient, model: str, head: LogEntry) -> Finding:
    """The log is the commit; an alias that is behind is one that nobody moved after it, and servers go by the alias."""
    key = keys.alias(model, CHAMPION)
    stored = patient.store.find(key, most=MOST_BYTES)
    at = LogEntry.from_bytes(stored.data, key).generation if stored else 0
    return Finding(
        what=f"alias of {model}", ok=at >= head.generation, found=f"generation {at} of {head.generation}",
        remedy=f"Whoever promoted died before moving it: `perennial promote {model} {head.version}` moves it.",
    )  # fmt: skip


def _signed(patient: Patient, model: str, version: str, trust: TrustedKeys) -> Finding:
    """Which of the trusted keys signed the champion.

    Where the first did not, and keys are changed by putting the new one first, nothing serves once the old one goes.
    """
    what, again = f"signature of {model}", f"`perennial keys sign {model} {version}` signs it with the newest."
    manifest = patient.store.get(keys.version_manifest(model, version)).data
    by: list[PublicKey] = []
    for key in trust.keys:
        alone = TrustedKeys((key,))
        found = find_signature(patient.store, alone, model, version)
        if found is not None:
            check_signature(found, alone, model, version, manifest)
            by.append(key)
    if not by:
        names = ", ".join(key.id for key in trust.keys)
        return Finding(what=what, ok=False, found=f"{version}: by no key that is trusted ({names})", remedy=again)
    newest = trust.keys[0] in by
    names = ", ".join(key.id for key in by)
    found_by = f"{version}: by {names}" + ("" if newest else f", not by {trust.keys[0].id}, which comes first")
    return Finding(what=what, ok=newest, found=found_by, remedy=f"Before the older key is removed: {again}")
