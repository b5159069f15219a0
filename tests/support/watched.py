"""A model that serves: trained for real, asked by people whose world may drift, and told what turned out true."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from perennial.datasets.landing import land
from perennial.jobs.cycle import run_cycle
from perennial.jobs.workspace import Workspace
from perennial.registry.registry import Registry
from perennial.serving.captured import CapturedPrediction
from perennial.serving.load import load
from perennial.serving.predictor import Predictor
from perennial.settings import Settings
from perennial.spec import ModelSpec
from perennial.spec_source import parse_spec
from perennial.store import Store
from tests.support.captures import capture, give, line
from tests.support.shop import SPEC, write_rows

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TRAINED = NOW - timedelta(days=20)
POLICY = "\nretrain: {new_rows: 100000, performance: {accuracy: 0.9, labels: 100}, cooldown: 1h}\n"


def shop_spec(more: str = "") -> ModelSpec:
    return parse_spec(SPEC + POLICY + more)


@dataclass
class Shop:
    """One bucket with a champion in it."""

    spec: ModelSpec
    store: Store
    lines: list[str]

    def workspace(
        self,
        run: str = "pass",
        *,
        now: datetime = NOW,
        store: Store | None = None,
        spec: ModelSpec | None = None,
        settings: Settings | None = None,
    ) -> Workspace:
        return Workspace(
            spec=spec or self.spec,
            store=store or self.store,
            run=run,
            code="0123abc",
            api_url=None,
            progress=self.lines.append,
            now=lambda: now,
            settings=settings,
        )

    @property
    def champion(self) -> Predictor:
        head = Registry(self.store).head(self.spec.name)
        assert head is not None
        return load(self.store, self.spec.name, head.version)

    def serve(
        self,
        count: int,
        *,
        seed: int = 1,
        before: datetime = NOW,
        price: Callable[[random.Random], float] = lambda draw: draw.uniform(0, 100),
        colours: tuple[str, ...] = ("red", "green", "blue"),
    ) -> list[CapturedPrediction]:
        """So many customers, one a minute until ``before``, answered by the champion and captured."""
        draw, champion, found = random.Random(seed), self.champion, []
        for number in range(1, count + 1):
            record = {"price": round(price(draw), 2), "colour": draw.choice(colours)}
            answer = champion.predict([champion.schema.validate(record)])[0]
            found.append(
                line(
                    self.spec.name,
                    before - timedelta(minutes=count + 1 - number),
                    number,
                    record,
                    answer.prediction,
                    probabilities=answer.probabilities,
                    version=champion.manifest.version,
                    instance=f"server {seed}",
                )
            )
        capture(self.store, found, batch=200)
        return found

    def tell(self, lines: list[CapturedPrediction], *, wrong: float = 0.0, at: datetime = NOW, seed: int = 1) -> None:
        """Label predictions by what the shop's customers do, the share ``wrong`` of them the other way round."""
        draw = random.Random(seed)
        for each in lines:
            buys = (float(str(each.record["price"])) < 50) != (draw.random() < wrong)
            moment = at - timedelta(seconds=1)
            give(self.store, self.spec.name, each.prediction_id, "yes" if buys else "no", moment)


def open_shop(store: Store, folder: Path, spec: ModelSpec | None = None) -> Shop:
    """Train and promote the shop's first model, some weeks ago."""
    shop = Shop(spec or shop_spec(), store, [])
    land(store, shop.spec, write_rows(folder / "first.csv", 600, 1))
    outcome = run_cycle(shop.workspace("first", now=TRAINED))
    assert outcome.promoted, outcome
    shop.lines.clear()
    return shop


def stored(store: Store, prefix: str) -> dict[str, bytes]:
    found: dict[str, Any] = {entry.key: store.get(entry.key).data for entry in store.list(prefix)}
    return found
