"""What the functions of the API and of the capture do, done for real: by the deployed code under their own roles."""

from __future__ import annotations

import base64
import gzip
import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import httpx
from obstore.store import S3Store

from lambdas.capture.handler import capture
from perennial import keys, store_opening
from perennial.serving.ids import day_of
from perennial.store_opening import open_store
from tests.support import models
from tests.support.iam_world import World
from tests.support.picture_models import build_pictures
from tests.support.pictures import image_spec, pet_bytes
from tests.support.seam import Script, Seam

SECONDS = 120.0
ROWS, PETS = "served-rows", "served-pets"
HEADER = ",".join(models.MEASURES)
GOOD, BAD = "5.1,3.5,1.4,0.2", "5.9,many,5.1,1.8"
CAPTURE = "infra/stacks/serving.yaml CaptureRole"


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def table(rows: int, *more: str) -> bytes:
    return "\n".join([HEADER, *[GOOD] * rows, *more, ""]).encode()


def promote_models(w: World) -> None:
    models.promote(w.store, models.build(models.make_spec(ROWS)))
    models.promote(w.store, build_pictures(image_spec(name=PETS)))


def answer(w: World) -> None:
    """Every route of the API, and the capture of what it answered."""
    api = httpx.Client(base_url=w.stack.api_url, timeout=60)
    for path in ("/health", "/models", f"/models/{ROWS}/schema", "/docs", "/openapi.json"):
        assert api.get(path).status_code == 200, path
    assert api.get("/models/none/schema").status_code == 404
    found = api.post(f"/models/{ROWS}/predict", json=models.IRIS_RECORD).json()
    for truth, status in (("setosa", 202), ("setosa", 200), ("virginica", 409)):
        said = {name: found[name] for name in ("prediction_id", "feedback_token")} | {"ground_truth": truth}
        assert api.post(f"/models/{ROWS}/feedback", json=said).status_code in (status, 202), truth
    for _ in range(2):  # the second time it is there
        sent = api.post(f"/models/{PETS}/predict", content=pet_bytes(1), headers={"content-type": "image/png"})
        assert sent.status_code == 200, sent.text
    until(lambda: list(w.store.list(keys.predictions(ROWS, day_of(found["prediction_id"])))))
    _deliver_again(w)
    _upload(w, api, ROWS, "rows.csv", table(2, BAD))
    _upload(w, api, PETS, "pets.zip", _zip({f"{n}.png": pet_bytes(n) for n in range(3)} | {"bad.png": b"no"}))


def _deliver_again(w: World) -> None:
    """CloudWatch Logs may call twice with the same lines; and a write may meet another and not land."""
    (entry, *_) = w.store.list(keys.predictions(ROWS))
    line = w.store.get(entry.key).data.decode()
    called = w.root.client("lambda").invoke(FunctionName=w.stack.capture, Payload=json.dumps(_delivery(line)))
    assert json.load(called["Payload"]) == {"lines": 1, "kept": 1, "objects": 1}
    conflict = Script("conflict")
    opened: Callable[..., Any] = lambda *place, **how: Seam(S3Store(*place, **how), conflict)  # noqa: E731
    with w.acting(w.roles[CAPTURE]) as settings, patch.object(store_opening, "S3Store", opened):
        capture(_delivery(line.replace('"number":1', '"number":2')), open_store(settings))
    assert conflict.requests[:3] == ["put", "get", "put"]


def _delivery(line: str) -> dict[str, Any]:
    message = {"messageType": "DATA_MESSAGE", "logEvents": [{"message": line}]}
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(message).encode())).decode()}}


def _upload(w: World, api: httpx.Client, model: str, name: str, data: bytes) -> None:
    made = api.post(f"/models/{model}/batches", json={"name": name, "size": len(data)}).json()
    assert api.get(made["status_url"]).json()["state"] == "waiting"
    assert httpx.post(made["upload"]["url"], data=made["upload"]["fields"], files={"file": data}).status_code == 204
    told: dict[str, Any] = {}

    def ended() -> bool:
        told.update(api.get(made["status_url"]).json())
        return told["state"] in ("done", "failed")

    until(ended)
    assert told["state"] == "done", told
    for name in ("results", "quarantine"):
        assert httpx.get(told[name]["url"]).status_code == 200


def _zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()
