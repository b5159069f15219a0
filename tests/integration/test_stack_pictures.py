"""Pictures as their users send them: HTTP, API Gateway, a Lambda function from the built package, S3."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import numpy as np
import pytest

from perennial import keys
from perennial.deploy.up import LocalStack
from perennial.images.decode import decode
from perennial.images.pixels import framed
from perennial.serving.picture_requests import MAX_BYTES
from perennial.store import Store
from tests.support.hostile_pictures import SVG, bomb_png
from tests.support.models import promote
from tests.support.picture_models import BuiltPictures, answer, build_pictures
from tests.support.pictures import SUFFIXES, blotches, image_spec, pet_bytes, picture_bytes

MODEL = "photographed"
PREDICT = f"/models/{MODEL}/predict"


@pytest.fixture
def api(stack: LocalStack) -> httpx.Client:
    return httpx.Client(base_url=stack.api_url, timeout=60)


@pytest.fixture
def built(store: Store) -> BuiltPictures:
    built = build_pictures(image_spec(name=MODEL))
    promote(store, built)
    return built


def check(found: httpx.Response, built: BuiltPictures, picture: bytes) -> Any:
    assert found.status_code == 200, found.text
    expected = answer(built, framed(decode(picture), built.frame))
    assert list(found.json()["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-12)
    return found.json()


@pytest.mark.parametrize("format", [*SUFFIXES, "MPO"])
def test_every_kind_is_read_by_the_package_that_ships(
    api: httpx.Client, built: BuiltPictures, store: Store, format: str
) -> None:
    """Its Pillow is without the libraries of the kinds that are not read. What was asked about is kept."""
    picture = picture_bytes(blotches(1), format)
    check(api.post(PREDICT, content=picture, headers={"content-type": "image/x"}), built, picture)
    assert store.get(keys.image(MODEL, hashlib.sha256(picture).hexdigest())).data == picture


def test_a_form_reaches_the_function_whole(api: httpx.Client, built: BuiltPictures) -> None:
    picture = pet_bytes(2, format="JPEG")
    found = check(api.post(f"{PREDICT}?explain=1", files={"image": ("cat.jpg", picture, "image/jpeg")}), built, picture)
    assert found["explanation"]["class"] == found["prediction"] and len(found["explanation"]["drops"]) == 8
    many = api.post(PREDICT, files=[("image", ("a", picture)), ("image", ("b", pet_bytes(3)))]).json()
    assert many["predictions"][0]["probabilities"] == found["probabilities"] and len(many["predictions"]) == 2


def test_the_largest_picture_comes_through(api: httpx.Client, built: BuiltPictures) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1245, 3), np.uint8)
    picture = picture_bytes(noise, "BMP")
    assert MAX_BYTES - 20_000 < len(picture) <= MAX_BYTES
    check(api.post(PREDICT, content=picture, headers={"content-type": "image/bmp"}), built, picture)
    found = api.post(PREDICT, content=picture + bytes(40_000), headers={"content-type": "image/bmp"})
    assert found.status_code == 413


@pytest.mark.parametrize(("picture", "status"), [(SVG, 415), (bomb_png(9_000, 9_000), 413), (pet_bytes(1)[:300], 422)])
def test_hostile_files_are_refused_in_words(
    api: httpx.Client, built: BuiltPictures, picture: bytes, status: int
) -> None:
    found = api.post(PREDICT, content=picture, headers={"content-type": "application/octet-stream"})
    assert (found.status_code, found.headers["content-type"]) == (status, "application/problem+json")
    assert found.json()["errors"][0]["field"] == "image"
