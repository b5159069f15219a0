"""What the serving benchmark measures: a model for each service on the same data, in one bucket, ours packaged."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import boto3

from benchmarks import mixed
from benchmarks.mixed_models import BUCKET, ROWS, publish
from benchmarks.mixed_spec import make_spec
from perennial.deploy.package import build_package
from perennial.deploy.recipes import API
from perennial.settings import Settings
from perennial.store_opening import open_store

ROOT = Path(__file__).parents[1]


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
    package = build_package(API, "local", ROOT / "build/benchmark", python=Path(sys.executable))
    return World(folder, package.folder, folder / "model.onnx", row)
