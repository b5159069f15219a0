"""What the batch benchmark scores: the mixed data as large files, and a model of each kind for each side."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks import mixed
from benchmarks.mixed_models import BUCKET, ROWS, publish
from benchmarks.mixed_spec import make_spec
from perennial.settings import Settings
from perennial.store_opening import open_store

ROOT = Path(__file__).parents[1]
PIECE = 131_072
KINDS = ("logistic", "boosted")


@dataclass(frozen=True)
class World:
    """``folder`` holds ``<rows>.csv``, ``<rows>.parquet`` and ``<kind>.joblib``.

    A model of each kind, named as the kind, is champion in the bucket at ``endpoint``.
    """

    folder: Path
    endpoint: str

    def data(self, rows: int, kind: str) -> Path:
        return self.folder / f"{rows}.{kind}"


def prepare(folder: Path, endpoint: str, rival_python: Path) -> World:
    """Train both kinds on both sides, on the same records."""
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket=BUCKET)
    store = open_store(Settings(bucket=BUCKET, aws_endpoint_url=endpoint))
    records, classes = mixed.records(ROWS)
    data = folder / "data.json"
    data.write_text(json.dumps({"records": records, "classes": classes}))
    trainer = ROOT / "benchmarks/rivals/handwritten_train.py"
    for kind in KINDS:
        ours = HistGradientBoostingClassifier(random_state=0) if kind == "boosted" else None
        publish(store, make_spec(kind), records, classes, ours)
        subprocess.run([rival_python, trainer, data, folder / f"{kind}.joblib", kind], check=True)
    return World(folder, endpoint)


def write_data(world: World, rows: int, seed: int = 0) -> None:
    """The columns of ``mixed.records``, as CSV and as Parquet, a piece at a time."""
    rng = np.random.default_rng(seed)
    first = piece(rng, min(PIECE, rows))
    options = pa_csv.WriteOptions(quoting_style="none")
    with (
        pa_csv.CSVWriter(world.data(rows, "csv"), first.schema, write_options=options) as text,
        pq.ParquetWriter(world.data(rows, "parquet"), first.schema) as parquet,
    ):
        for start in range(0, rows, PIECE):
            table = first if start == 0 else piece(rng, min(PIECE, rows - start))
            text.write_table(table)
            parquet.write_table(table)


def piece(rng: np.random.Generator, rows: int) -> pa.Table:
    """``rows`` rows of the columns of ``mixed.records``."""
    columns = {name: pa.array(np.round(rng.normal(0, 1 + i, rows), 6)) for i, name in enumerate(mixed.NUMBERS)}
    for name, values in mixed.CATEGORIES.items():
        columns[name] = pa.array(values).take(pa.array(rng.integers(0, len(values), rows)))
    return pa.table(columns)
