"""What may be asked of a registry in a test, and how each operation is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from perennial.registry.entries import LogEntry
from perennial.registry.registry import Registry
from perennial.registry.trials import end_trial, start_trial
from tests.support.versions import MODEL, at, version

made = cache(version)


@dataclass(frozen=True)
class Call:
    """One operation somebody wants done. ``number`` chooses the version; without ``publish`` it may be missing."""

    kind: Literal["promote", "rollback", "rollback to", "canary", "shadow", "end"]
    op_id: str
    number: int = 0
    publish: bool = True
    share: float = 0.5

    @property
    def version(self) -> str:
        """The version it is about, where it is about one."""
        return made(self.number)[0].version

    @property
    def trial(self) -> tuple[str, str, float]:
        """Version, mode and share of the trial it begins, where it begins one."""
        return self.version, self.kind, self.share if self.kind == "canary" else 1.0

    def run(self, registry: Registry, minute: int) -> LogEntry:
        manifest, files = made(self.number)
        if self.kind in ("promote", "canary", "shadow") and self.publish:
            registry.publish(manifest, files)
        if self.kind in ("canary", "shadow"):
            share = self.share if self.kind == "canary" else 1.0
            return start_trial(
                registry.store, MODEL, manifest.version, mode=self.kind, share=share, op_id=self.op_id,
                actor="ada", reason="promising", now=at(minute),
            )  # fmt: skip
        if self.kind == "end":
            return end_trial(registry.store, MODEL, op_id=self.op_id, actor="ada", reason="enough", now=at(minute))
        if self.kind == "promote":
            return registry.promote(
                MODEL, manifest.version, op_id=self.op_id, actor="ada", reason="better", now=at(minute)
            )
        to = manifest.version if self.kind == "rollback to" else None
        return registry.rollback(MODEL, op_id=self.op_id, actor="ada", reason="worse", now=at(minute), to=to)
