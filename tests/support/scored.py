"""A model whose files are scored on a schedule: its bucket, its champion, and the results as an engine leaves them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from obstore.store import MemoryStore

from perennial import keys
from perennial.jobs.scoring_list import files_of_run
from perennial.jobs.scoring_results import ScoringFile
from perennial.jobs.workspace import Workspace
from perennial.registry.registry import Registry
from perennial.serving.batch_job import BatchCounts, BatchOutput, BatchResult
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_objects import Raw
from tests.support.versions import MODEL, START, at, spec, version

BUCKET = "models"
VERSION = version()[0].version


@dataclass
class Counter:
    """One bucket, with a clock that the test moves. ``raw`` is for what is not done through a store: replacing."""

    raw: MemoryStore = field(default_factory=MemoryStore)
    lines: list[str] = field(default_factory=list)
    now: datetime = START

    @property
    def store(self) -> Store:
        return Store(self.raw)

    def promote(self) -> None:
        manifest, files = version()
        registry = Registry(self.store)
        registry.publish(manifest, files)
        registry.promote(MODEL, manifest.version, op_id="first", actor="ada", reason="better", now=at(0))

    def bring(self, *names: str, data: bytes = b"Age,Gender\n40,F\n", folder: str = "batch/waiting/") -> None:
        """Put files, or put them anew."""
        for name in names:
            self.raw.put(f"{MODEL}/{folder}{name}", data)

    def later(self, **much: float) -> None:
        self.now += timedelta(**much)

    def workspace(self, run: str = "run", *, through: Raw | None = None, **batch: Any) -> Workspace:
        """A run of the model with these keys in its ``batch``."""
        return Workspace(
            spec=spec(batch=batch),
            store=Store(through) if through else self.store,
            run=run,
            code="0123abc",
            api_url=None,
            progress=self.lines.append,
            now=lambda: self.now,
            settings=Settings(bucket=BUCKET),
        )

    def score(self, w: Workspace, *, failing: dict[str, str] | None = None, but: tuple[str, ...] = ()) -> None:
        """Leave a result for each file of a run: ten rows of which one is refused, or a failure with its reason."""
        for file in files_of_run(w).files:
            if file.name not in but:
                self.leave(file, reason=(failing or {}).get(file.name))

    def leave(self, file: ScoringFile, *, reason: str | None = None, **changes: Any) -> BatchResult:
        """Store the outputs and the result of one file."""
        work = file.input.work
        state: Literal["done", "failed"] = "failed" if reason else "done"
        values: dict[str, Any] = {
            "state": state, "model": MODEL, "version": VERSION, "input": file.input, "name": file.name,
            "counts": BatchCounts(), "reason": reason, "started": self.now, "ended": self.now + timedelta(seconds=9),
        }  # fmt: skip
        if reason is None:
            scored = keys.batch_out(MODEL, file.name, VERSION, work, "csv")
            refused = keys.batch_quarantine(MODEL, file.name, VERSION, work)
            self.store.put_new(scored, b"n" * 90)
            self.store.put_new(refused, b"q" * 10)
            values |= {
                "counts": BatchCounts(rows=10, scored=9, quarantined=1),
                "scored": BatchOutput(key=scored, size=90, media_type="text/csv"),
                "quarantined": BatchOutput(key=refused, size=10, media_type="text/csv"),
            }
        result = BatchResult(**(values | changes))
        self.store.put_new(keys.batch_result(MODEL, work), result.to_bytes())
        return result
