"""Every step of every kind of run, done for real on a stage under the role that the templates give it.

Each write's first answer is lost on the way, so that whatever is written is also read back, as it is in bad weather.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from obstore.exceptions import GenericError
from obstore.store import S3Store

from perennial import keys, store_opening
from perennial.datasets.labels import land_labels
from perennial.datasets.landing import land
from perennial.export.backbones import add_backbone
from perennial.export.preparation import Preparation
from perennial.jobs.batch import BESIDE, TRAINING
from perennial.jobs.cycle import run_cycle
from perennial.jobs.staged import fetch_spec, keep_result, read_result, stage_spec
from perennial.jobs.steps import Arguments, perform
from perennial.jobs.watch import run_pass
from perennial.jobs.workspace import Workspace
from perennial.settings import Settings
from perennial.spec import ModelSpec
from perennial.spec_source import parse_spec
from perennial.store_opening import open_store
from tests.support.backbones import network
from tests.support.iam_world import DATA, LAKE, World
from tests.support.pictures import blotches, image_spec, picture_bytes
from tests.support.scored import Counter
from tests.support.seam import Seam
from tests.support.shop import SPEC as SHOP
from tests.support.shop import write_rows
from tests.support.watched import NOW, TRAINED, Shop

SECRET = "perennial/slack"
POLICY = f"""
retrain: {{new_rows: 10, cooldown: 1h, schedule: null}}
monitor: {{keep_reports: 1}}
notify: {{slack_webhook_secret: {SECRET}}}
sources: {{orders: {{connection: db, table: orders, watermark: at}}}}
"""
TRAINER, PROMOTER = "infra/stacks/jobs.yaml TrainerRole", "infra/stacks/jobs.yaml PromoterRole"
AIRFLOW, CYCLE = "infra/batch.yaml SubmitJobs", "infra/scheduler.yaml CycleRole"


@contextmanager
def bad_weather() -> Iterator[None]:
    """The answer to every write is lost, of stores that are opened within the block."""

    def around(operation: str, key: str, request: Callable[[], Any]) -> Any:
        answer = request()
        if operation == "put":
            raise GenericError("connection reset")
        return answer

    opened: Callable[..., Any] = lambda *place, **how: Seam(S3Store(*place, **how), around)  # noqa: E731
    with patch.object(store_opening, "S3Store", opened):
        yield


@dataclass
class Steps:
    """Does steps as AWS Batch has them done; ``done`` are the names of those that were."""

    world: World
    folder: Path
    done: set[str] = field(default_factory=set)

    def role(self, step: str) -> str:
        holder = AIRFLOW if step in BESIDE else TRAINER if step in TRAINING else PROMOTER
        return self.world.roles[holder]

    def run(self, step: str, w: Workspace, candidate: str | None = None, **given: Any) -> Any:
        """One step, as ``python -m perennial.jobs`` does it."""
        with self.under(self.role(step), w) as mine:
            result = perform(step, mine, candidate, Arguments(**given))
        self.done.add(step)
        return result

    @contextmanager
    def under(self, role: str, w: Workspace) -> Iterator[Workspace]:
        with bad_weather(), self.world.acting(role, PERENNIAL_MONITOR_PYTHON="/nonexistent") as settings:
            yield replace(w, store=open_store(settings), settings=settings)

    def all(self) -> None:
        """First and later trainings, with and without a person, monitoring, scoring, pictures."""
        self._handing_over()
        self._table()
        self._pictures()
        self._scoring()

    def _handing_over(self) -> None:
        """What of a job is around its step: Airflow stages the spec, the container keeps the result."""
        spec = self.folder / "model.yaml"
        spec.write_text(SHOP)
        for holder in (TRAINER, PROMOTER):
            result = f"s3://{DATA}/{keys.job_result('shop', 'first', Path(holder).suffix[-8:])}"
            with bad_weather():
                with self.world.acting(self.world.roles[AIRFLOW]) as settings:
                    staged = stage_spec(open_store(settings), DATA, "shop", spec)
                with self.world.acting(self.world.roles[holder]):
                    fetch_spec(staged, self.folder)
                    keep_result(result, b"{}")
                with self.world.acting(self.world.roles[AIRFLOW]):
                    assert read_result(result) == b"{}"

    def _table(self) -> None:
        shop = Shop(_spec(), self.world.store, [])
        land(shop.store, shop.spec, write_rows(self.folder / "first.csv", 600, 1))
        self._cycle(shop.workspace("first", now=TRAINED))

        served = shop.serve(300)
        shop.tell(served[:200])
        told = "\n".join(f"{each.prediction_id},{each.prediction}" for each in served[200:260])
        (self.folder / "labels.csv").write_text(f"prediction_id,bought\n{told}\n")
        land_labels(shop.store, shop.spec, self.folder / "labels.csv")
        for run, hours in (("watch1", 0), ("watch2", 6)):
            self._watch(shop.workspace(run, now=NOW + timedelta(hours=hours)))

        self._pull(shop.workspace("pull"))
        second = shop.workspace("second")
        self._train(second)
        for step in ("conclude", "release"):
            self.run(step, second)
        self._watch(shop.workspace("watch3", now=NOW + timedelta(hours=12)))
        with self.under(self.world.roles[CYCLE], shop.workspace("watch4", now=NOW + timedelta(hours=18))) as last:
            run_pass(last)

        asked = shop.workspace("third", spec=_spec(person=True))
        self._train(replace(asked, force=True))
        self.run("request-approval", asked)
        self.run("answer-approval", replace(asked, because="it is better"), approved=True, by="ada")
        for step in ("promote", "smoke", "rollback", "conclude", "report-failure"):
            self.run(step, replace(asked, because="smoke: it does not answer"))

        shop.tell(served[260:])  # and the same in one process: what became known, and asking a person
        self._cycle(shop.workspace("fourth"))
        self._cycle(shop.workspace("fifth", spec=_spec(person=True), now=NOW + timedelta(hours=2)), force=True)

    def _cycle(self, w: Workspace, **changes: Any) -> None:
        with self.under(self.world.roles[CYCLE], replace(w, **changes)) as mine:
            run_cycle(mine)

    def _train(self, w: Workspace) -> None:
        for step in ("acquire", "collect", "snapshot"):
            self.run(step, w)
        for candidate in w.spec.candidates:
            self.run("train", w, candidate)
        for step in ("select", "register", "gate"):
            self.run(step, w)

    def _watch(self, w: Workspace) -> None:
        self.run("monitor-check", w, at=w.now().isoformat())
        for step in (
            "monitor-quality", "monitor-drift", "monitor-performance", "monitor-trial", "trial-check",
            "monitor-retain", "monitor-summary",
        ):  # fmt: skip
            self.run(step, w)

    def _pull(self, w: Workspace) -> None:
        for run in ("pull1", "pull2"):
            w = replace(w, run=run)
            self.run("pull-query", w, source="orders")
            rows = [
                {"customer": f"{run}-{n}", "price": 1.0, "colour": "red", "bought": "yes", "at": NOW} for n in range(3)
            ]
            sink = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(rows), sink)
            w.store.put_new(keys.pull_staging(w.spec.name, "orders", w.run), sink.getvalue())
            self.run("pull-land", w, source="orders")

    def _pictures(self) -> None:
        """Loose pictures of landing, and those that a listing names in another bucket, become rows and a champion."""
        store, lake = self.world.store, self.world.open(LAKE)
        add_backbone(store, "tiny", network(), Preparation(layout="NCHW", size=16, range=(-1, 1)))
        frozen = {"backbone": "tiny", "estimator": "sklearn.linear_model.LogisticRegression"}
        specs = [image_spec(name=name, candidates={"frozen": frozen}) for name in ("pets", "pets-at-once")]
        for spec in specs:
            listed = []
            for kind in ("cat", "dog"):
                for seed in range(30):
                    picture = picture_bytes(blotches(seed, kind))
                    if seed < 25:
                        store.put_new(keys.landing(spec.name, f"{kind}/{seed}.png"), picture)
                    else:
                        lake.put_new(f"pictures/{kind}-{seed}.png", picture)
                        listed.append(f"s3://{LAKE}/pictures/{kind}-{seed}.png,{kind}")
            store.put_new(keys.landing(spec.name, "more.csv"), "\n".join(["path,label", *listed]).encode())
        w, at_once = (self._workspace(spec, "first", TRAINED) for spec in specs)
        self._cycle(at_once)
        self._train(w)
        for step in ("promote", "smoke"):
            self.run(step, w)
        store.put_new(f"{keys.batch_waiting(w.spec.name)}a.png", picture_bytes(blotches(99, "cat")))
        self.run("scoring-list", replace(w, run="nightly"))

    def _scoring(self) -> None:
        self.world.open(LAKE).put_new("tables/c.csv", b"Age,Gender\n40,F\n")
        counter = Counter(raw=self.world.raw(DATA))
        counter.promote()
        for engine, ask in (("lambda", "scoring-request"), ("spark", "scoring-hand-over")):
            counter.bring(f"{engine}-a.csv", f"{engine}-b.csv")
            w = counter.workspace(f"score-{engine}", engine=engine)
            for step in ("scoring-list", ask, "scoring-await"):
                self.run(step, w)
            counter.score(w)
            for step in ("scoring-await", "scoring-check", "scoring-summary"):
                self.run(step, w)
        self.run("scoring-list", counter.workspace("score-lake", source=f"s3://{LAKE}/tables/"))

    def _workspace(self, spec: ModelSpec, run: str, now: datetime) -> Workspace:
        return Workspace(
            spec=spec, store=self.world.store, run=run, code="0123abc", api_url=None, progress=lambda line: None,
            now=lambda: now, settings=Settings(bucket=DATA),
        )  # fmt: skip


def _spec(*, person: bool = False) -> ModelSpec:
    """With a person, and then without feedback: what learnt from it must be better than it can be here."""
    text = SHOP.replace("{accuracy: 0.8}", "{accuracy: 0.5}, gain: -1") + POLICY
    if person:
        text = text.replace("gain: -1", "gain: -1, approval: human").replace("new_rows: 10", "feedback: false")
    return parse_spec(text)
