"""What the soak asks and what must be answered: models of every kind, two versions of each, and questions to them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from perennial.datasets.landing import land
from perennial.images.decode import decode
from perennial.images.pixels import framed
from perennial.jobs.cycle import run_cycle
from perennial.serving.load import load
from perennial.settings import Settings
from perennial.store import Store
from tests.support import models, picture_models
from tests.support.picture_models import build_pictures
from tests.support.pictures import CLASSES, image_spec, pet_bytes
from tests.support.shop import write_rows
from tests.support.watched import Shop, shop_spec

QUESTIONS = 60
SHOP = "soaked-shop"
Answer = Mapping[str, float]
"""The probabilities of the classes."""


@dataclass(frozen=True)
class Asked:
    """One model: its versions, and questions with the answer that each version has for them."""

    name: str
    versions: tuple[str, ...]
    questions: tuple[Any, ...]
    answers: Mapping[str, tuple[Answer, ...]]
    truths: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """The models that are asked, and the shop whose model is trained for real and watched."""

    tables: tuple[Asked, ...]
    pictures: Asked
    shop: Shop

    @property
    def asked(self) -> tuple[Asked, ...]:
        return (*self.tables, self.pictures)


def build_world(store: Store, settings: Settings, folder: Path, draw: random.Random) -> World:
    """Register and promote the models on a stack. Its root trains the shop's."""
    return World((_iris(store, draw), _mixed(store, draw)), _pets(store, draw), _shop(store, settings, folder))


def _iris(store: Store, draw: random.Random) -> Asked:
    spec = models.make_spec("soaked-iris")
    built = [models.build(spec, seed=seed) for seed in (1, 2)]
    records = [{name: round(draw.uniform(0, 10), 2) for name in models.MEASURES} for _ in range(QUESTIONS)]
    rows = np.array([list(record.values()) for record in records])
    classes = built[0].manifest.classes
    answers = {
        each.version: tuple(dict(zip(classes, row, strict=True)) for row in models.answer(each, rows).tolist())
        for each in built
    }
    return Asked(spec.name, _published(store, built), tuple(records), answers, classes)


def _mixed(store: Store, draw: random.Random) -> Asked:
    spec = models.make_spec("soaked-mixed", "binary", models.MIXED)
    built = [models.build(spec, seed=seed, scale=1e-3) for seed in (1, 2)]
    sleeps = models.MIXED["Sleep Duration"]["values"]
    records = [
        models.MIXED_RECORD
        | {"Age": draw.randint(10, 100), "Sleep Duration": draw.choice(sleeps), "City": draw.choice(["Goa", "Zürich"])}
        for _ in range(QUESTIONS)
    ]
    versions = _published(store, built)
    answers: dict[str, tuple[Answer, ...]] = {}
    for version in versions:
        predictor = load(store, spec.name, version)
        found = predictor.predict([predictor.schema.validate(record) for record in records])
        answers[version] = tuple(one.probabilities or {} for one in found)
    return Asked(spec.name, versions, tuple(records), answers, built[0].manifest.classes)


def _pets(store: Store, draw: random.Random) -> Asked:
    built = [build_pictures(image_spec(name="soaked-pets"), seed=seed) for seed in (1, 2)]
    kinds = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
    pictures = tuple(
        pet_bytes(draw.randrange(1000), draw.choice(CLASSES[:2]), draw.choice(kinds)) for _ in range(QUESTIONS)
    )
    classes = built[0].manifest.classes
    answers = {
        each.version: tuple(
            dict(zip(classes, picture_models.answer(each, framed(decode(one), each.frame)).tolist(), strict=True))
            for one in pictures
        )
        for each in built
    }
    return Asked("soaked-pets", _published(store, built), pictures, answers, classes)


def _published(store: Store, built: Sequence[models.Publishable]) -> tuple[str, ...]:
    """Their versions; the last of them is champion."""
    for each in built:
        models.promote(store, each)
    return tuple(each.manifest.version for each in built)


def _shop(store: Store, settings: Settings, folder: Path) -> Shop:
    """Trained as any model is, so that there is a training to watch it against."""
    folder.mkdir(parents=True, exist_ok=True)
    shop = Shop(shop_spec().model_copy(update={"name": SHOP}), store, [])
    land(store, shop.spec, write_rows(folder / "first.csv", 600, 1))
    outcome = run_cycle(shop.workspace("first", now=datetime.now(UTC), settings=settings))
    assert outcome.promoted, outcome
    return shop
