"""Whether a server withstands what is wrong in its bucket; and broken servers that must be found out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from perennial.errors import IntegrityError, NotFoundError
from perennial.registry import signing, verify
from perennial.registry.manifest import ModelManifest
from perennial.serving import predictor
from perennial.serving.champion import read_champion
from perennial.serving.refresh import ModelCache, Snapshot
from perennial.trust import TrustedKeys
from tests.support.chaos.serving_models import FURTHER, NEW, OLD, Version
from tests.support.chaos.serving_site import REFRESH, Site, agrees, alarms
from tests.support.chaos.serving_spoiled import Spoiled
from tests.support.chaos.tally import Findings

CHECK = "serving"
SERVED = "another version answers"
FAILED = "the request fails"
PARSED = "something was parsed before it was verified"
MALFORMED = ("manifest nested deeply", "number that is none", "file larger than any may be", "manifest of another",
             "manifest that is none")  # fmt: skip
"""What comes with a true signature and its own name may be parsed: that is how it is found out."""


def withstood(site: Site, spoiled: Iterable[Spoiled]) -> Findings:
    """Spoil one thing after the other. At the end, nothing is spoiled any more, and the new version has to serve."""
    found = Findings()
    for one in spoiled:
        with parsed() as read, site.spoiled(one.objects):
            problem = stale_problem(site, OLD)
        if not problem and not one.what.startswith(MALFORMED) and not read <= GENUINE:
            problem = PARSED
        found.note(one.what, problem)
    site.clock.advance(REFRESH)
    found.note("nothing spoiled any more", "" if agrees(site.predict(), NEW) else "it is not served either")
    return found


def stale_problem(site: Site, served: Version) -> str:
    """What a server does wrong that cannot follow the alias and must serve this version; empty where nothing is."""
    told = site.predict()
    if not agrees(told, served):
        return f"{SERVED if told.status == 200 else FAILED}: {told.status} {told.answer}"
    if not any(alarms(line) for line in told.lines):
        return "nothing was told to the alarm"
    if not any(line.get("level") == "ERROR" for line in told.lines):
        return "the story is not told"
    ready = site.ready()
    model = ready.answer["models"][0]
    shown = (ready.status, model["status"], model.get("version"), model.get("failure", {}).get("reason"))
    if shown[:3] != (200, "stale", served.version) or shown[3] not in ("integrity", "signature", "not_found"):
        return f"/ready shows {shown}"
    return ""


def about(found: Findings, problem: str) -> bool:
    """Whether one of these problems was found, whatever else was."""
    return any(f": {problem}" in line for line in found.why)


GENUINE = frozenset(data for one in (OLD, NEW, FURTHER) for data in (one.manifest.to_bytes(), one.onnx))


@contextmanager
def parsed() -> Iterator[set[bytes]]:
    """All bytes that are parsed as manifest or graph within a block."""
    seen: set[bytes] = set()
    read, check = ModelManifest.read.__func__, predictor.check_graph  # type: ignore[attr-defined]

    def reading(cls: type[ModelManifest], data: bytes) -> ModelManifest:
        seen.add(data)
        found: ModelManifest = read(cls, data)
        return found

    def checking(onnx: bytes, what: str = "The graph") -> None:
        seen.add(onnx)
        check(onnx, what)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelManifest, "read", classmethod(reading))
        patch.setattr(predictor, "check_graph", checking)
        yield seen


def _no_digests(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verify, "matches", lambda data, ref: True)


def _no_names(patch: pytest.MonkeyPatch) -> None:
    def trusting(cls: type[ModelManifest], data: bytes, version: str) -> ModelManifest:
        try:
            return cls.read(data)
        except ValueError as error:
            raise IntegrityError("malformed") from error

    patch.setattr(ModelManifest, "from_bytes", classmethod(trusting))


def _no_signatures(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(verify, "check_signature", lambda *arguments: None)


def _parsed_first(patch: pytest.MonkeyPatch) -> None:
    check = signing.check_signature

    def late(found: Any, trusted: TrustedKeys, model: str, version: str, manifest: bytes) -> None:
        with suppress(ValueError):
            ModelManifest.read(manifest)
        check(found, trusted, model, version, manifest)

    patch.setattr(verify, "check_signature", late)


def _switched_first(patch: pytest.MonkeyPatch) -> None:
    follow = ModelCache._follow

    def switching(cache: ModelCache, model: str, snapshot: Snapshot | None) -> Snapshot:
        try:
            return follow(cache, model, snapshot)
        except (IntegrityError, NotFoundError):
            if snapshot is None:
                raise
            return replace(snapshot, champion=read_champion(cache._store, model, snapshot.champion))

    patch.setattr(ModelCache, "_follow", switching)


@dataclass(frozen=True)
class Mutant:
    """How a server is broken, the problem that tells of it, and whether its bucket asks for signatures."""

    become: Callable[[pytest.MonkeyPatch], None]
    problem: str
    signed: bool = True


MUTANTS: Mapping[str, Mutant] = {
    "blobs without their digest": Mutant(_no_digests, SERVED),
    "manifests without their digest": Mutant(_no_names, SERVED, signed=False),
    "signatures not checked": Mutant(_no_signatures, SERVED),
    "manifests parsed before they are checked": Mutant(_parsed_first, PARSED),
    "switched before it is verified": Mutant(_switched_first, SERVED),
}
