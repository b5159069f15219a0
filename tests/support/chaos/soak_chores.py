"""What happens beside the questions of a soak: promotions, rollbacks, files to be scored, monitoring passes."""

from __future__ import annotations

import csv
import io
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx

from lambdas.api.batch_shapes import BatchStatus, CreatedBatch
from perennial.jobs.watch import run_pass
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.store import Store
from tests.support.chaos.soak_journal import Journal, Wrong, expect
from tests.support.chaos.soak_world import World
from tests.support.models import MEASURES

FILE_SECONDS = 120.0
ROWS = 200


@dataclass
class Chores:
    """One hand, who does one thing after the other."""

    http: httpx.Client
    store: Store
    settings: Settings
    world: World
    journal: Journal
    draw: random.Random
    number: int = field(default=0)

    def promotion(self) -> None:
        """Another version of some model, by a promotion or by going back."""
        self.number += 1
        asked, registry = self.draw.choice(self.world.asked), Registry(self.store)
        head = registry.head(asked.name)
        if head is None:
            raise Wrong(f"{asked.name} has no champion")
        (other,) = (version for version in asked.versions if version != head.version)
        op_id, now = f"soak-{self.number}", datetime.now(UTC)
        if self.draw.random() < 0.3:
            entry = registry.rollback(asked.name, op_id=op_id, actor="soak", reason="soak", now=now, to=other)
        else:
            entry = registry.promote(asked.name, other, op_id=op_id, actor="soak", reason="soak", now=now)
        self.journal.promoted[asked.name] += 1
        if entry.version != other or entry.generation != head.generation + 1:
            raise Wrong(f"{asked.name}: {entry} after {head}")

    def file(self) -> None:
        """A file is ordered, uploaded, scored, and its results come down."""
        made = CreatedBatch.model_validate_json(
            expect(self.http.post("/models/soaked-iris/batches", json={"name": "soak.csv"}), 201).content
        )
        sink = io.StringIO()
        rows = csv.writer(sink)
        rows.writerow(MEASURES)
        rows.writerows([[round(self.draw.uniform(0, 10), 2) for _ in MEASURES] for _ in range(ROWS - 1)])
        rows.writerow(["many"] * len(MEASURES))
        data = {"file": ("soak.csv", sink.getvalue().encode())}
        expect(httpx.post(made.upload.url, data=dict(made.upload.fields), files=data, timeout=60), 204)
        state = self._ended(made.status_url)
        if (state.state, state.rows.read, state.rows.scored, state.rows.quarantined) != ("done", ROWS, ROWS - 1, 1):
            raise Wrong(f"a file: {state}")
        assert state.results is not None
        results = expect(httpx.get(state.results.url, timeout=60), 200)
        if len(list(csv.DictReader(io.StringIO(results.text)))) != ROWS - 1:
            raise Wrong("a file: rows are missing among the results")

    def watch(self) -> None:
        """A monitoring pass of the model that serves, as Airflow runs it."""
        self.number += 1
        now = datetime.now(UTC)
        workspace = self.world.shop.workspace(f"soak-{self.number}", now=now, settings=self.settings)
        report = run_pass(workspace, html=False)
        if report.rows == 0 or report.quality.status != "ok":
            raise Wrong(f"a pass: {report.rows} rows, {report.quality}")

    def _ended(self, url: str) -> BatchStatus:
        deadline = time.monotonic() + FILE_SECONDS
        while time.monotonic() < deadline:
            found = BatchStatus.model_validate_json(expect(self.http.get(url), 200).content)
            if found.state in ("done", "failed"):
                return found
            time.sleep(0.5)
        raise Wrong(f"a file is not scored after {FILE_SECONDS:.0f} s: {found}")
