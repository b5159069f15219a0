"""A model of pictures that serves: trained for real, asked about pictures, and told what they showed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from perennial.datasets.landing import land
from perennial.datasets.pictures import put_picture
from perennial.images.record import read_record
from perennial.jobs.cycle import run_cycle
from perennial.jobs.workspace import Workspace
from perennial.registry.registry import Registry
from perennial.serving.captured import CapturedPrediction
from perennial.serving.load import load
from perennial.spec import ModelSpec
from perennial.store import Store
from tests.support.captures import capture, give, line
from tests.support.pictures import Pixels, blotches, class_folders, image_spec, picture_bytes

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TRAINED = NOW - timedelta(days=20)
KINDS = ("cat", "dog")


def dark(pixels: Pixels) -> Pixels:
    """As if the lamp had gone out."""
    return (pixels // 4).astype(np.uint8)


@dataclass
class Pets:
    """One bucket with a champion of pictures in it."""

    spec: ModelSpec
    store: Store
    lines: list[str]

    def workspace(self, run: str = "pass", now: datetime = NOW) -> Workspace:
        return Workspace(
            spec=self.spec, store=self.store, run=run, code="0123abc", api_url=None, progress=self.lines.append,
            now=lambda: now,
        )  # fmt: skip

    def serve(
        self, count: int, *, start: int = 5000, changed: Callable[[Pixels], Pixels] = lambda pixels: pixels
    ) -> list[tuple[CapturedPrediction, str]]:
        """So many pictures, one a minute until now, answered by the champion and captured; each with its class."""
        head = Registry(self.store).head(self.spec.name)
        assert head is not None
        champion, found = load(self.store, self.spec.name, head.version), []
        for number in range(1, count + 1):
            kind = KINDS[number % 2]
            data = picture_bytes(changed(blotches(start + number, kind)))
            record = read_record(data)
            put_picture(self.store, self.spec.name, data)
            answer = champion.predict([record])[0]
            moment = NOW - timedelta(minutes=count + 1 - number)
            made = line(
                self.spec.name, moment, start + number, record.model_dump(mode="json"), answer.prediction,
                probabilities=answer.probabilities, version=champion.manifest.version, instance=f"server {start}",
            )  # fmt: skip
            found.append((made.model_copy(update={"number": number, "served": number}), kind))
        capture(self.store, [made for made, _ in found], batch=50)
        return found

    def tell(self, asked: Iterable[tuple[CapturedPrediction, str]], *, truth: str | None = None) -> None:
        """Label predictions by what the pictures show, or all of them as ``truth``."""
        for made, kind in asked:
            give(self.store, self.spec.name, made.prediction_id, truth or kind, NOW - timedelta(seconds=1))


def pets_spec() -> ModelSpec:
    return image_spec(
        gate={"minimum": {"accuracy": 0.8}},
        retrain={"new_rows": 100_000, "performance": {"accuracy": 0.9, "labels": 100}, "cooldown": "1h"},
    )


def open_pets(store: Store, folder: Path) -> Pets:
    """Train and promote the first model, some weeks ago."""
    pets = Pets(pets_spec(), store, [])
    land(store, pets.spec, class_folders(folder / "pets", {"cat": 80, "dog": 80}))
    outcome = run_cycle(pets.workspace("first", TRAINED))
    assert outcome.promoted, outcome
    pets.lines.clear()
    return pets
