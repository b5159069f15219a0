"""What is attacked: an API over a bucket of a local S3 with a model of each kind in it, in whichever shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from lambdas.api import app as api
from perennial.deploy.ministack import MiniStack
from perennial.settings import Settings
from perennial.store_opening import open_store
from tests.support import models
from tests.support.picture_models import build_pictures
from tests.support.pictures import image_spec


@dataclass(frozen=True)
class Attacked:
    """A bucket, by the variables under which a server finds it and signs links to it."""

    settings: Settings

    @property
    def variables(self) -> Mapping[str, str]:
        return self.settings.exports()

    def app(self) -> FastAPI:
        """The API over it, in this process."""
        return api.create_app(self.settings)


@dataclass(frozen=True)
class Targets:
    """``three`` has the models ``iris``, ``mixed`` and ``pets``; ``one`` has ``iris``, which needs no name then."""

    three: Attacked
    one: Attacked


@contextmanager
def targets(folder: Path) -> Iterator[Targets]:
    """Both on an emulator of their own, for the length of a block."""
    iris = models.build(models.make_spec("iris"))
    mixed = models.build(models.make_spec("mixed", "binary", models.MIXED), scale=1e-3)
    with MiniStack(folder) as emulator:
        found = []
        for name, built in (("three", (iris, mixed, build_pictures(image_spec()))), ("one", (iris,))):
            bucket = f"attacked-{name}"
            emulator.aws.client("s3").create_bucket(Bucket=bucket)
            settings = emulator.aws.settings(bucket)
            store = open_store(settings)
            for each in built:
                models.promote(store, each)
            found.append(Attacked(settings))
        yield Targets(*found)
