"""Who watches a registry under siege: what was acknowledged, what the log said, where the alias pointed, for good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from perennial import keys
from perennial.registry.check import check
from perennial.registry.entries import Intent
from perennial.registry.log import CHAMPION, LogEntry
from perennial.store import Store
from tests.support.chaos.registry_calls import Call
from tests.support.chaos.registry_due import Due
from tests.support.chaos.registry_work import Told
from tests.support.versions import MODEL

DOUBLED = ("op_id once",)
WORK = "work ends"
"""The promise of whoever is at work: that it neither dies by itself nor goes on for ever."""


Kind = Literal["lost", "doubled", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One broken promise: ``promise`` is its name, the same for all of its sort."""

    kind: Kind
    promise: str
    what: str


class Witness:
    """Looks at the bucket itself, past every fault. ``findings`` only grows."""

    def __init__(self, store: Store, s3: Any, bucket: str) -> None:
        self._store, self._s3, self._bucket = store, s3, bucket
        self.findings: dict[Finding, None] = {}
        self.log: dict[int, bytes] = {}
        self.told: dict[str, Told] = {}
        self.acknowledged = 0
        self._alias = 0
        self._pointed: list[int] = []
        self._unjudged: list[tuple[Call, Told, int]] = []

    def hears(self, call: Call, told: Told, *, alone: bool = True, known: int = 0) -> None:
        """Somebody was told how an operation ended; whoever is told of an entry is told of the same one.

        A refusal is final, unless another process is at the operation, who may find that it can be done by now.
        ``known`` is a generation that existed before the operation was first tried.
        """
        op_id = call.op_id
        if told.broken:
            self.finds("wrong", WORK, f"{op_id}: {told.broken}")
            return
        self._unjudged.append((call, told, known))
        if not alone and told.refused:
            return
        first = self.told.setdefault(op_id, told)
        if first.entry != told.entry:
            kind: Kind = "doubled" if told.entry else "lost"
            self.finds(kind, "one answer", f"{op_id} was told {first}, then {told}")
        self.acknowledged = max(self.acknowledged, told.generation)

    def looks(self) -> None:
        """At the alias, then at what is new in the log. Cheap: for any moment."""
        told = self.acknowledged
        alias = self._store.find(keys.alias(MODEL, CHAMPION))
        while found := self._store.find(keys.log_entry(MODEL, len(self.log) + 1)):
            self.log[len(self.log) + 1] = found.data
        if alias is None:
            if told:
                self.finds("wrong", "alias serves", f"generation {told} was acknowledged, and there is no alias")
            return
        generation = LogEntry.from_bytes(alias.data, "alias").generation
        if self.log.get(generation) != alias.data:
            self.finds("wrong", "alias copies", f"the alias differs from entry {generation}")
        if generation < self._alias:
            self.finds("wrong", "alias goes up", f"the alias went back from {self._alias} to {generation}")
        if generation < told:
            self.finds("wrong", "alias serves", f"generation {told} was acknowledged, and the alias is at {generation}")
        self._alias = max(self._alias, generation)

    def tests(self) -> None:
        """Every invariant that the bucket can show, and what was acknowledged so far."""
        told = dict(self.told)
        entries = {entry.key: self._store.get(entry.key).data for entry in self._store.list(keys.log_entries(MODEL))}
        for generation, before in self.log.items():
            if entries.get(keys.log_entry(MODEL, generation)) != before:
                self.finds("lost", "log stays", f"log entry {generation} was altered")
        committed = Counter(LogEntry.from_bytes(data, key).op_id for key, data in entries.items())
        for op_id, one in told.items():
            if one.entry:
                entry = LogEntry.from_bytes(one.entry.encode(), op_id)
                if entries.get(keys.log_entry(MODEL, entry.generation)) != entry.to_bytes():
                    self.finds(
                        "lost",
                        "acknowledged stays",
                        f"{op_id} was acknowledged as {one.entry}, which is not in the log",
                    )
            elif one.refused and committed[op_id]:
                self.finds("wrong", "refused is undone", f"{op_id} was refused ({one.refused}), and is in the log")
        self._judges(entries.values())
        self._alias_went_up()
        for violation in check(self._store, MODEL):
            kind: Kind = "doubled" if violation.invariant in DOUBLED else "wrong"
            self.finds(kind, violation.invariant, f"{violation}")

    def concludes(self) -> None:
        """When nobody writes any more: all of it, and how often each key was written, by the versions S3 keeps."""
        self.looks()
        self.tests()
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket)
        written = Counter(version["Key"] for page in pages for version in page.get("Versions", ()))
        for key, times in written.items():
            if times > 1 and key != keys.alias(MODEL, CHAMPION):
                self.finds("doubled", "written once", f"{key} was written {times} times")
        if self._alias != len(self.log):
            self.finds("wrong", "alias serves", f"the alias ends at {self._alias}, the log at {len(self.log)}")

    def _judges(self, entries: Iterable[bytes]) -> None:
        """Whether everyone was told what was due. What was told before ``entries`` were read is judged, and once."""
        unjudged, self._unjudged = self._unjudged, []
        due = Due(LogEntry.from_bytes(data, "log") for data in entries) if unjudged else Due(())
        for call, told, known in unjudged:
            kept = self._store.find(keys.intent(MODEL, call.op_id))
            if kept is None:
                self.finds("wrong", "intended", f"{call} ended, and nobody has kept what it asked for")
                continue
            since = Intent.from_bytes(kept.data, call.op_id).generation
            if since < known:
                self.finds("wrong", "intended", f"{call} was kept as of generation {since}, after {known} was there")
            if told.entry:
                why = due.wrong_answer(call, since, LogEntry.from_bytes(told.entry.encode(), call.op_id))
                if why:
                    self.finds("wrong", "right answer", f"{call}, first tried at {since}, was told {told.entry}: {why}")
            elif why := due.wrong_refusal(call, since, told.error or ""):
                self.finds(
                    "wrong", "due refusal", f"{call}, first tried at {since}: {told.error} {told.refused}: {why}"
                )

    def _alias_went_up(self) -> None:
        """Whether every version of the alias that S3 keeps is of a later generation than the one before."""
        alias = keys.alias(MODEL, CHAMPION)
        pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=alias)
        ids = [version["VersionId"] for page in pages for version in page.get("Versions", ())][::-1]
        for one in ids[len(self._pointed) :]:
            body = self._s3.get_object(Bucket=self._bucket, Key=alias, VersionId=one)["Body"].read()
            self._pointed.append(LogEntry.from_bytes(body, alias).generation)
        for before, after in pairwise(self._pointed):
            if after <= before:
                self.finds("wrong", "alias goes up", f"the alias was written for generation {before}, then for {after}")

    def finds(self, kind: Kind, promise: str, what: str) -> None:
        """Take down a broken promise, once."""
        self.findings[Finding(kind, promise, what)] = None
