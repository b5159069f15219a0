"""Versions to publish where only identity matters: real manifests, files of a few bytes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from perennial.registry.manifest import MODEL_FILE, FileRef, Metric, ModelManifest, Parity
from perennial.spec import ModelSpec

MODEL = "churn"
START = datetime(2026, 11, 21, 9, tzinfo=UTC)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def spec(**changes: Any) -> ModelSpec:
    values: dict[str, Any] = {
        "name": MODEL,
        "task": "binary",
        "target": {"column": "Churn", "positive": "1"},
        "features": {
            "Age": {"type": "number"},
            "Gender": {"type": "category", "values": ["F", "M"]},
        },
        "candidates": {"logistic": {"estimator": "sklearn.linear_model.LogisticRegression"}},
    }
    return ModelSpec.model_validate(values | changes)


def version(number: int = 0, **changes: Any) -> tuple[ModelManifest, dict[str, bytes]]:
    """The manifest and files of one version; another ``number`` is another version."""
    files = {MODEL_FILE: b"graph %d" % number, "charts/roc.svg": b"<svg/>"}
    of = changes.pop("spec", None) or spec()
    values: dict[str, Any] = {
        "spec": of,
        "spec_digest": of.digest(),
        "classes": ("0", "1"),
        "candidate": "logistic",
        "estimator": "sklearn.linear_model.LogisticRegression",
        "params": {},
        "cross_validation": Metric(value=0.9),
        "metrics": {"roc_auc": Metric(value=0.9)},
        "holdout_rows": 100,
        "parity": Parity(max_difference=1e-9, changed_classes=0, holdout_rows=100, boundary_rows=10),
        "dataset": "d" * 64,
        "code": "c" * 40,
        "run": f"run-{number}",
        "seed": number,
        "libraries": {},
        "files": {name: ref(data) for name, data in files.items()},
    }
    return ModelManifest(**(values | changes)), files


def ref(data: bytes) -> FileRef:
    return FileRef(digest=hashlib.sha256(data).hexdigest(), size=len(data), media_type="application/octet-stream")
