"""What the serving benchmark measures: a model for each service on the same data, in one bucket, ours packaged."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import boto3
import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks import mixed
from perennial.deploy.package import build_api_package
from perennial.export import export_pipeline, prove
from perennial.records import RecordSchema
from perennial.registry.manifest import MODEL_FILE, FileRef, Metric, ModelManifest
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.spec import ModelSpec
from perennial.store import Store, open_store
from perennial.training.preprocess import build_pipeline

ROOT = Path(__file__).parents[1]
BUCKET, MODEL = "benchmark", "mixed"
ROWS = 3000


@dataclass(frozen=True)
class World:
    """``package`` is our Lambda package, ``onnx`` the graph it will serve, ``row`` the matrix row of one record."""

    folder: Path
    package: Path
    onnx: Path
    row: list[float]


def prepare(folder: Path, endpoint: str, rival_python: Path) -> World:
    """Train, export, register and package. Takes about a minute the first time, seconds after that."""
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket=BUCKET)
    records, classes = mixed.records(ROWS)
    data, joblib = folder / "data.json", folder / "model.joblib"
    data.write_text(json.dumps({"records": records, "classes": classes}))
    trainer = ROOT / "benchmarks/rivals/handwritten_train.py"
    subprocess.run([str(rival_python), str(trainer), str(data), str(joblib)], check=True)
    client.put_object(Bucket=BUCKET, Key="handwritten/model.joblib", Body=joblib.read_bytes())
    store = open_store(Settings(bucket=BUCKET, aws_endpoint_url=endpoint))
    onnx, row = publish(store, make_spec(), records, classes)
    (folder / "model.onnx").write_bytes(onnx)
    package = build_api_package("local", ROOT / "build/benchmark", python=Path(sys.executable))
    return World(folder, package.folder, folder / "model.onnx", row)


def publish(
    store: Store, spec: ModelSpec, records: list[mixed.Record], classes: list[int]
) -> tuple[bytes, list[float]]:
    """Train ours, export it, and make it champion; the graph, and the first record's row."""
    schema = RecordSchema(spec)
    x = np.array([schema.row(schema.validate(record)) for record in records])
    pipeline = build_pipeline(schema.columns, LogisticRegression(max_iter=1000)).fit(x, np.array(classes))
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


def make_spec(name: str = MODEL, *, capture: float = 1.0) -> ModelSpec:
    numbers = {name: {"type": "number"} for name in mixed.NUMBERS}
    categories = {name: {"type": "category", "values": values} for name, values in mixed.CATEGORIES.items()}
    return ModelSpec.model_validate(
        {
            "name": name,
            "task": "binary",
            "metric": "accuracy",
            "target": {"column": mixed.TARGET, "positive": 1},
            "features": {**numbers, **categories},
            "monitor": {"capture": capture},
            "candidates": {"logistic": {"estimator": "sklearn.linear_model.LogisticRegression"}},
        }
    )
