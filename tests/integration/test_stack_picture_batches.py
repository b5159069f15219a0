"""Pictures scored on the real stack: a zip by the API's signed form, in parts, and a prefix by the schedule's steps."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest

from lambdas.api.batch_shapes import BatchStatus, CreatedBatch
from perennial import keys
from perennial.deploy.up import LocalStack
from perennial.jobs.scoring import run_scoring
from perennial.jobs.workspace import Workspace
from perennial.scoring.batch.records import find_plan
from perennial.serving.batch_job import BatchCounts, job_of
from perennial.settings import Settings
from perennial.store import Store
from tests.support import models
from tests.support.picture_models import build_pictures
from tests.support.pictures import image_spec, pet_bytes, picture_bytes

SECONDS = 120.0
LARGE = np.random.default_rng(5).integers(0, 256, (200, 300, 3)).astype(np.uint8)


@pytest.fixture
def api(stack: LocalStack) -> httpx.Client:
    return httpx.Client(base_url=stack.api_url, timeout=60)


def champion(store: Store, name: str) -> None:
    models.promote(store, build_pictures(image_spec(name=name)))


def uploaded(api: httpx.Client, model: str, name: str, data: bytes) -> tuple[CreatedBatch, BatchStatus]:
    """What became of a file that was sent by the form of the API."""
    found = api.post(f"/models/{model}/batches", json={"name": name, "size": len(data)})
    assert found.status_code == 201, found.text
    made = CreatedBatch.model_validate_json(found.content)
    sent = httpx.post(made.upload.url, data=dict(made.upload.fields), files={"file": (name, data)}, timeout=60)
    assert sent.status_code == 204, sent.text
    deadline = time.monotonic() + SECONDS
    while True:
        status = BatchStatus.model_validate_json(api.get(made.status_url).content)
        if status.state in ("done", "failed"):
            return made, status
        assert time.monotonic() < deadline, status
        time.sleep(0.3)


def rows_of(url: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(httpx.get(url).text)))


def test_a_zip_comes_back_with_the_answers_that_the_endpoint_gives(api: httpx.Client, store: Store) -> None:
    champion(store, "zipped-pets")
    pictures = {f"{seed}.png": pet_bytes(seed, "dog" if seed % 3 else "cat") for seed in range(6)}
    pictures |= {f"large/{place}.png": picture_bytes(np.roll(LARGE, place, axis=0)) for place in range(6)}
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in (pictures | {"notes.txt": b"of pets"}).items():
            file.writestr(name, data)
    made, status = uploaded(api, "zipped-pets", "Meine Tiere.zip", sink.getvalue())
    assert (status.state, status.reason) == ("done", None)
    assert status.rows.model_dump() == {"read": 13, "scored": 12, "quarantined": 1}
    plan = find_plan(store, "zipped-pets", job_of(made.id))
    assert plan is not None and len(plan.parts) > 2  # of a megabyte, by functions side by side
    assert status.results and status.quarantine and status.preview
    assert status.results.name == "Meine Tiere.predictions.csv" and status.preview.columns[1] == "file"
    rows = rows_of(status.results.url)
    assert [row["file"] for row in rows] == list(pictures)
    for row in [rows[0], rows[1], rows[-1]]:
        answer: dict[str, Any] = api.post(
            "/models/zipped-pets/predict", content=pictures[row["file"]], headers={"content-type": "image/png"}
        ).json()
        assert row["prediction"] == answer["prediction"]
        assert {name: float(row[f"probability_{name}"]) for name in ("cat", "dog")} == answer["probabilities"]
    (refused,) = rows_of(status.quarantine.url)
    assert (refused["row"], refused["column"]) == ("13", "file") and "is none of JPEG" in refused["reason"]


def test_one_picture_and_what_is_none(api: httpx.Client, store: Store) -> None:
    champion(store, "single-pets")
    _, status = uploaded(api, "single-pets", "rex.jpg", pet_bytes(1, "dog", "JPEG"))
    assert status.results is not None and status.results.name == "rex.predictions.csv"
    (row,) = rows_of(status.results.url)
    assert (row["file"], row["prediction"]) == ("rex.jpg", "dog")
    _, status = uploaded(api, "single-pets", "rex.zip", b"PK\x03\x04 and no more")
    assert status.state == "failed" and "is a damaged zip" in (status.reason or "")


def test_a_prefix_of_pictures_is_one_job(stack: LocalStack, store: Store) -> None:
    champion(store, "waiting-pets")
    for seed in range(5):
        store.put_new(f"{keys.batch_waiting('waiting-pets')}day=1/{seed}.png", pet_bytes(seed))
    workspace = Workspace(
        spec=image_spec(name="waiting-pets"), store=store, run="nightly", code="0123abc", api_url=None,
        progress=lambda line: None, now=lambda: datetime.now(UTC), settings=Settings.load(stack.environment()),
    )  # fmt: skip
    plan, summary = run_scoring(workspace, sleep=time.sleep)
    assert plan.files == 1 and summary is not None and summary.counts == BatchCounts(rows=5, scored=5)
    assert len(store.folders(keys.batch_works("waiting-pets"))) == 1
    again = Workspace(**{**vars(workspace), "run": "again"})
    assert run_scoring(again, sleep=time.sleep)[1] is None
