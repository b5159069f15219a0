"""GET /models, GET /models/{model}, GET /models/{model}/schema."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request, Response

from lambdas.api.services import services_of
from perennial.images.kinds import MEDIA_TYPES
from perennial.serving.picture_requests import MAX_BYTES, record_schema
from perennial.serving.refresh import Snapshot

DIALECT = "https://json-schema.org/draft/2020-12/schema"


async def list_models(request: Request) -> Response:
    """The deployed models: name, version, generation, and since when."""
    deployed = await services_of(request).deployed()
    return _json(
        {
            "models": [
                {
                    "name": model.name,
                    "version": model.champion.entry.version,
                    "generation": model.champion.entry.generation,
                    "promoted_at": model.champion.since.isoformat(),
                }
                for model in deployed
                if model.champion is not None  # else its champion could never be verified: see `/ready`
            ]
        }
    )


async def show_model(request: Request) -> Response:
    """What is served under this name: version, lineage, metrics with intervals, and how exact the export is."""
    snapshot = await services_of(request).snapshot(request, request.path_params["model"])
    manifest = snapshot.predictor.manifest
    return _json(
        {
            "name": manifest.spec.name,
            "task": manifest.spec.task,
            "input": manifest.spec.input,
            "classes": list(manifest.classes),
            "version": snapshot.entry.version,
            "generation": snapshot.entry.generation,
            "promoted_at": snapshot.champion.since.isoformat(),
            "trial": trial_of(snapshot),
            "candidate": manifest.candidate,
            "estimator": manifest.estimator,
            "metric": manifest.spec.metric,
            "metrics": {name: metric.model_dump() for name, metric in manifest.metrics.items()},
            "holdout_rows": manifest.holdout_rows,
            "parity": manifest.parity.model_dump(),
            "dataset": manifest.dataset,
            "code": manifest.code,
            "run": manifest.run,
        }
    )


def trial_of(snapshot: Snapshot) -> dict[str, Any] | None:
    """The trial that runs, and whether this server takes part in it; None where none runs."""
    trial = snapshot.entry.trial
    if trial is None:
        return None
    status = snapshot.challenger.status if snapshot.challenger else "loading"
    return {"version": trial.version, "mode": trial.mode, "share": trial.share, "status": status}


async def show_schema(request: Request) -> Response:
    """The JSON Schema (2020-12) of one record, from which a form can be drawn; the task stands in `x-perennial`."""
    return _json(schema_of(await services_of(request).snapshot(request, request.path_params["model"])))


def schema_of(snapshot: Snapshot) -> dict[str, Any]:
    """The schema of one record of the model being served."""
    manifest = snapshot.predictor.manifest
    spec, frame = manifest.spec, manifest.pixels
    target = spec.target.column
    if frame is None:
        what, record = "record", snapshot.predictor.schema.json_schema()
    else:
        what, record = "picture", {"title": spec.name, **record_schema()}
    known: dict[str, Any] = {
        "model": spec.name,
        "version": snapshot.entry.version,
        "task": spec.task,
        "target": target,
        "classes": list(manifest.classes),
        "input": spec.input,
    }
    if frame is not None:
        known["image"] = {**frame.model_dump(), "max_bytes": MAX_BYTES, "media_types": list(MEDIA_TYPES)}
    description = f"One {what}, from which {spec.name} predicts {target}."
    return {"$schema": DIALECT, "description": description, **record, "x-perennial": known}


def _json(content: object) -> Response:
    return Response(json.dumps(content), media_type="application/json", headers={"cache-control": "no-cache"})
