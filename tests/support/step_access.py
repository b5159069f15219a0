"""Every step of every kind of run, done for real over stores that note what each of them asks of S3.

``recorded`` gives, for each step, the requests it made: of the model's bucket and of the site's. What a role has to be
allowed follows from it, and no more.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import MemoryStore

from perennial import keys
from perennial.datasets.labels import land_labels
from perennial.datasets.landing import land
from perennial.jobs.page import publishing
from perennial.jobs.steps import Arguments, perform
from perennial.jobs.workspace import Workspace
from perennial.settings import Settings
from perennial.spec import ModelSpec
from perennial.spec_source import parse_spec
from perennial.store import Store
from tests.support.pictures import blotches, image_spec, picture_bytes
from tests.support.scored import Counter
from tests.support.seam import Seam
from tests.support.shop import SPEC as SHOP
from tests.support.shop import write_rows
from tests.support.watched import NOW, TRAINED, Shop

T = TypeVar("T")
Bucket = Literal["data", "site"]
Action = Literal["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]
ACTIONS: dict[str, Action] = {
    "get": "s3:GetObject", "head": "s3:GetObject", "put": "s3:PutObject", "delete": "s3:DeleteObject",
    "list": "s3:ListBucket", "folders": "s3:ListBucket",
}  # fmt: skip
POLICY = """
retrain: {new_rows: 10, cooldown: 1h, schedule: null}
monitor: {keep_reports: 1}
sources: {orders: {connection: db, table: orders, watermark: at}}
"""


class Request(NamedTuple):
    """What one step asked of a bucket: an action, and a key or the prefix of a listing."""

    step: str
    bucket: Bucket
    action: Action
    key: str


@dataclass
class Recorder:
    """Notes the requests of the step that runs."""

    seen: set[Request]
    step: str = ""

    def store(self, raw: MemoryStore, bucket: Bucket) -> Store:
        """A store over ``raw`` that notes what passes."""

        def around(operation: str, key: str, request: Callable[[], Any]) -> Any:
            if self.step:
                self.seen.add(Request(self.step, bucket, ACTIONS[operation], key))
            return request()

        return Store(Seam(raw, around))

    def run(self, step: str, w: Workspace, candidate: str | None = None, **given: Any) -> Any:
        """One step, as ``python -m perennial.jobs`` does it."""
        self.step = step
        try:
            return perform(step, w, candidate, Arguments(**given))
        finally:
            self.step = ""


def recorded(folder: Path) -> frozenset[Request]:
    """What every step asks for: first and later trainings, with and without a person, monitoring, scoring, pictures."""
    recorder, site = Recorder(set()), MemoryStore()
    sites = lambda settings: recorder.store(site, "site") if settings.bucket == "site" else _no_other(settings)  # noqa: E731
    with patch.object(publishing, "open_store", sites):
        _table(recorder, folder)
        _pictures(recorder)
        _scoring(recorder)
    return frozenset(recorder.seen)


def _no_other(settings: Settings) -> Store:
    raise AssertionError(f"A step opened the bucket {settings.bucket}.")


SETTINGS = Settings(bucket="data", site_bucket="site", topic_arn="arn:aws:sns:us-east-1:123456789012:notices")


def _spec(*, person: bool = False) -> ModelSpec:
    """With a person, and then without feedback: what learnt from it must be better than it can be here."""
    text = SHOP.replace("{accuracy: 0.8}", "{accuracy: 0.5}, gain: -1") + POLICY
    if person:
        text = text.replace("gain: -1", "gain: -1, approval: human").replace("new_rows: 10", "feedback: false")
    return parse_spec(text)


def _table(recorder: Recorder, folder: Path) -> None:
    raw = MemoryStore()
    store = recorder.store(raw, "data")
    shop = Shop(_spec(), store, [])
    land(store, shop.spec, write_rows(folder / "first.csv", 600, 1))
    first = shop.workspace("first", now=TRAINED, settings=SETTINGS)
    _train(recorder, first)
    for step in ("promote", "smoke", "conclude", "release"):
        recorder.run(step, first)

    served = shop.serve(300)
    shop.tell(served[:200])
    told = "\n".join(f"{each.prediction_id},{each.prediction}" for each in served[200:260])
    (folder / "labels.csv").write_text(f"prediction_id,bought\n{told}\n")
    land_labels(store, shop.spec, folder / "labels.csv")
    for run, at in (("watch1", NOW), ("watch2", NOW + timedelta(hours=6))):
        _watch(recorder, shop.workspace(run, now=at, settings=SETTINGS))

    _pull(recorder, shop.workspace("pull", settings=SETTINGS))
    second = shop.workspace("second", settings=SETTINGS)
    _train(recorder, second)
    for step in ("conclude", "release"):
        recorder.run(step, second)

    _watch(recorder, shop.workspace("watch3", now=NOW + timedelta(hours=12), settings=SETTINGS))

    asked = shop.workspace("third", spec=_spec(person=True), settings=SETTINGS)
    _train(recorder, replace(asked, force=True))
    recorder.run("request-approval", asked)
    recorder.run("answer-approval", replace(asked, because="it is better"), approved=True, by="ada")
    for step in ("promote", "smoke", "rollback", "conclude", "report-failure"):
        recorder.run(step, replace(asked, because="smoke: it does not answer"))


def _train(recorder: Recorder, w: Workspace) -> None:
    for step in ("acquire", "collect", "snapshot"):
        recorder.run(step, w)
    for candidate in w.spec.candidates:
        recorder.run("train", w, candidate)
    for step in ("select", "register", "gate"):
        recorder.run(step, w)


def _watch(recorder: Recorder, w: Workspace) -> None:
    at = w.now()
    recorder.run("monitor-check", w, at=at.isoformat())
    for step in ("monitor-quality", "monitor-drift", "monitor-performance", "monitor-trial", "trial-check"):
        recorder.run(step, w)
    for step in ("monitor-retain", "monitor-summary"):
        recorder.run(step, w)


def _pull(recorder: Recorder, w: Workspace) -> None:
    for run in ("pull1", "pull2"):
        w = replace(w, run=run)
        recorder.run("pull-query", w, source="orders")
        rows = [{"customer": f"{run}-{n}", "price": 1.0, "colour": "red", "bought": "yes", "at": NOW} for n in range(3)]
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), sink)
        w.store.put_new(keys.pull_staging(w.spec.name, "orders", w.run), sink.getvalue())
        recorder.run("pull-land", w, source="orders")


def _pictures(recorder: Recorder) -> None:
    """Loose pictures of landing become rows, and a champion comes of them."""
    store = recorder.store(MemoryStore(), "data")
    spec = image_spec()
    for kind in ("cat", "dog"):
        for seed in range(60):
            store.put_new(keys.landing(spec.name, f"{kind}/{seed}.png"), picture_bytes(blotches(seed, kind)))
    w = Workspace(
        spec=spec, store=store, run="first", code="0123abc", api_url=None, progress=lambda line: None,
        now=lambda: TRAINED, settings=SETTINGS,
    )  # fmt: skip
    _train(recorder, w)
    for step in ("promote", "smoke"):
        recorder.run(step, w)


def _scoring(recorder: Recorder) -> None:
    for engine, spark in (("lambda", "scoring-request"), ("spark", "scoring-hand-over")):
        world = Counter()
        world.promote()
        world.bring("a.csv", "b.csv")
        w = world.workspace(f"score-{engine}", engine=engine)
        w = replace(w, store=recorder.store(world.raw, "data"), settings=SETTINGS)
        for step in ("scoring-list", spark, "scoring-await"):
            recorder.run(step, w)
        world.score(w)
        for step in ("scoring-await", "scoring-check", "scoring-summary"):
            recorder.run(step, w)


@contextmanager
def nobody_is_told() -> Iterator[None]:
    """SNS of moto, in which the topic of the settings is."""
    import boto3
    from moto import mock_aws

    with mock_aws():
        boto3.client("sns", region_name="us-east-1").create_topic(Name="notices")
        yield
