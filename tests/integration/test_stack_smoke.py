"""What is run after each deployment, on the real stack: what works passes, and what does not is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perennial import keys
from perennial.deploy.smoke import Site, site_of, smoke
from perennial.deploy.up import LocalStack
from perennial.errors import SmokeTestError
from perennial.store import Store
from tests.support import models
from tests.support.picture_models import build_pictures
from tests.support.pictures import image_spec


@pytest.fixture
def site(stack: LocalStack) -> Site:
    return site_of(stack.aws(), "local")


def quiet(line: str) -> None:
    pass


def test_a_stack_that_works_says_so_line_by_line(site: Site, stack: LocalStack, store: Store) -> None:
    assert site == Site(stack.api_url, stack.site_url, reading_open=True, prediction_open=True)
    built, pets = models.build(models.make_spec("smoked")), build_pictures(image_spec(name="smoked-pets"))
    models.promote(store, built)
    models.promote(store, pets)
    said: list[str] = []
    smoke(site, said.append, models=["smoked", "smoked-pets"])
    alive, ready, *predictions, page = said
    assert alive.endswith("/health: alive") and ready.endswith("/ready: 2 of 2 models are ready")
    assert {line.rsplit(" ", 1)[1] for line in predictions} == {built.version, pets.version}
    assert page == f"{stack.site_url}: loads, with all that it names"


def test_a_model_that_cannot_be_served_fails_it(site: Site, store: Store) -> None:
    built = models.build(models.make_spec("smoked-out"), seed=11)
    models.promote(store, built)
    for file in built.manifest.files.values():
        key = keys.registry_blob("smoked-out", file.digest)
        store.put_if_match(key, b"not what the manifest says", store.get(key).etag)
    with pytest.raises(SmokeTestError, match="smoked-out is unavailable"):
        smoke(site, quiet, models=["smoked-out"])


def test_what_does_not_work_is_named(site: Site, store: Store) -> None:
    models.promote(store, models.build(models.make_spec("smoked-well")))
    wrong = {
        replace(site, page_url=f"{site.page_url}.none"): r"\.none: answered 40[34], not 200",
        replace(site, page_url=f"{site.api_url}/health"): "is no page, but application/json",
        replace(site, api_url="http://127.0.0.1:9"): "127.0.0.1:9/health: no answer",
        replace(site, reading_open=False): "/models: answered 200, not 40",
        replace(site, prediction_open=False): "/predict: answered 200, not 40",
    }
    for changed, reason in wrong.items():
        with pytest.raises(SmokeTestError, match=reason):
            smoke(changed, quiet, models=["smoked-well"], patience=0)
    with pytest.raises(SmokeTestError, match="does not know nobodys"):
        smoke(site, quiet, models=["nobodys"])
