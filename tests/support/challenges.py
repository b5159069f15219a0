"""Champions and challengers from data that comes in over time: dataset versions, quick fits, and the gate's view."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from sklearn.base import BaseEstimator

from perennial import keys
from perennial.datasets.collected import CollectedKind, collected_bytes
from perennial.datasets.load import load_split
from perennial.datasets.manifest import DatasetManifest
from perennial.datasets.reading import RawFile, read_file
from perennial.datasets.snapshot import snapshot
from perennial.datasets.validate import validate
from perennial.export import export_pipeline
from perennial.records import columns
from perennial.registry.gain import Champion
from perennial.registry.gate import Decision, decide
from perennial.registry.manifest import FileRef, Metric, ModelManifest, Parity
from perennial.serving.predictor import Predictor
from perennial.spec import ModelSpec
from perennial.store import Store, memory_store
from perennial.training.champion import challenge
from perennial.training.evaluate import answered
from perennial.training.metrics import measure_all
from perennial.training.preprocess import build_pipeline
from tests.support.captures import prediction_id

Columns = Mapping[str, Any]
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Trained:
    """A model with the version it was trained on, and its holdout."""

    model: Predictor
    dataset: DatasetManifest


class Challenges:
    """A bucket into which data comes as it does in life, and models are fitted on what it comes to."""

    def __init__(self, spec: ModelSpec, estimator: BaseEstimator) -> None:
        self.spec, self.estimator = spec, estimator
        self.store: Store = memory_store()
        self.landed = 0
        self.predictions = 0

    def land(self, rows: Columns) -> None:
        """What the owner brings."""
        self.landed += 1
        self.store.put_new(keys.landing(self.spec.name, f"{self.landed:04}.csv"), csv_bytes(rows))

    def collected(self, kind: CollectedKind, rows: Columns) -> None:
        """What was predicted and labelled, as the step that collects it files it."""
        table = validate(_raw(rows), self.spec).table
        first, self.predictions = self.predictions, self.predictions + table.num_rows
        ids = [prediction_id(NOW, number) for number in range(first, self.predictions)]
        number = 1 + sum(1 for _ in self.store.list(keys.landing(self.spec.name, f"{kind}/")))
        data = collected_bytes(self.spec, table, pa.chunked_array([ids]), "run", NOW)
        self.store.put_new(keys.collected(self.spec.name, kind, number), data)

    def train(self) -> Trained:
        """Fit on the version of all that is there."""
        dataset = snapshot(self.store, self.spec).manifest
        rows, holdout = (load_split(self.store, self.spec, dataset, side) for side in ("train", "holdout"))
        shape = columns(self.spec)
        pipeline = build_pipeline(shape, self.estimator)
        pipeline.fit(rows.x, rows.y.astype(np.int64) if dataset.classes else rows.y)
        onnx = export_pipeline(pipeline, shape, len(dataset.classes))
        model = Predictor(_manifest(self.spec, dataset, onnx), onnx)
        metrics = measure_all(self.spec.task, answered(model, holdout))
        measured = model.manifest.model_copy(
            update={"metrics": {name: Metric(value=value) for name, value in metrics.items()}}
        )
        return Trained(Predictor(measured, onnx), dataset)

    def compared(self, champion: Trained, challenger: Trained) -> Champion:
        return challenge(self.store, champion.model, challenger.model, challenger.dataset)

    def judged(self, champion: Trained, challenger: Trained) -> Decision:
        return decide(challenger.model.manifest, self.compared(champion, challenger))


def gain_reason(decision: Decision) -> str:
    (found,) = (rule.reason for rule in decision.rules if rule.rule.startswith("gain."))
    return found


def csv_bytes(rows: Columns) -> bytes:
    sink = io.BytesIO()
    pa_csv.write_csv(pa.table(dict(rows)), sink)
    return sink.getvalue()


def _raw(rows: Columns) -> RawFile:
    return read_file("collected", csv_bytes(rows))


def _manifest(spec: ModelSpec, dataset: DatasetManifest, onnx: bytes) -> ModelManifest:
    return ModelManifest(
        spec=spec,
        spec_digest=spec.digest(),
        classes=dataset.classes,
        candidate=next(iter(spec.candidates)),
        estimator="sklearn.linear_model.LogisticRegression",
        params={},
        cross_validation=Metric(value=0.5),
        metrics={},
        holdout_rows=dataset.rows("holdout"),
        parity=Parity(max_difference=0.0, changed_classes=0, holdout_rows=1, boundary_rows=1),
        dataset=dataset.id,
        code="c0de",
        run="run",
        seed=42,
        libraries={},
        files={"model.onnx": FileRef(digest="0" * 64, size=len(onnx), media_type="application/octet-stream")},
    )
