"""A model over the mixed data, trained, exported and made champion, for benchmarks to serve and to score with."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression

from benchmarks import mixed
from perennial.export import export_pipeline, prove
from perennial.records import RecordSchema
from perennial.registry.manifest import MODEL_FILE, FileRef, Metric, ModelManifest
from perennial.registry.registry import Registry
from perennial.spec import ModelSpec
from perennial.store import Store
from perennial.training.preprocess import build_pipeline

BUCKET = "benchmark"
ROWS = 3000


def publish(
    store: Store,
    spec: ModelSpec,
    records: list[mixed.Record],
    classes: list[int],
    estimator: ClassifierMixin | None = None,
) -> tuple[bytes, list[float]]:
    """Train ours, logistic unless said, export it, and make it champion; the graph, and the first record's row."""
    schema = RecordSchema(spec)
    x = np.array([schema.row(schema.validate(record)) for record in records])
    learner = estimator or LogisticRegression(max_iter=1000)
    pipeline = build_pipeline(schema.columns, learner).fit(x, np.array(classes))
    onnx = export_pipeline(pipeline, schema.columns, 2)
    parity = prove(pipeline, onnx, schema.columns, x)
    score = Metric(value=float((pipeline.predict(x) == np.array(classes)).mean()))
    manifest = ModelManifest(
        spec=spec, spec_digest=spec.digest(), classes=("0", "1"), candidate="logistic",
        estimator=spec.candidates["logistic"].estimator, params={}, cross_validation=score,
        metrics={spec.metric: score}, holdout_rows=len(records), parity=parity, dataset="0" * 64, code="benchmark",
        run="benchmark", seed=0, libraries={},
        files={MODEL_FILE: FileRef(digest=hashlib.sha256(onnx).hexdigest(), size=len(onnx),
                                   media_type="application/octet-stream")},
    )  # fmt: skip
    registry = Registry(store)
    version = registry.publish(manifest, {MODEL_FILE: onnx})
    registry.promote(spec.name, version, op_id="benchmark", actor="benchmark", reason="", now=datetime.now(UTC))
    return onnx, x[0].tolist()
