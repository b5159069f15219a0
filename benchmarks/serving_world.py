"""What the serving benchmark measures: a model for each service on the same data, in one bucket, ours packaged."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import boto3
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from benchmarks import mixed
from benchmarks.mixed_models import BUCKET, ROWS, publish
from benchmarks.mixed_spec import MODEL, make_spec
from perennial.deploy.package import build_package
from perennial.deploy.recipes import API
from perennial.deploy.template import read_templates
from perennial.jobs.signers import FileSigner
from perennial.registry.registry import Registry
from perennial.registry.signing import sign_version
from perennial.settings import VARIABLES, Settings
from perennial.store import Store
from perennial.store_opening import open_store

ROOT = Path(__file__).parents[1]
BUCKET_VARIABLE = VARIABLES["bucket"]


@dataclass(frozen=True)
class World:
    """``package`` is our Lambda package, ``onnx`` the graph it will serve, ``row`` the matrix row of one record.

    The version that is served is signed; ``environment`` is what the template gives the function, the key of that
    signature as the one that is trusted.
    """

    folder: Path
    package: Path
    onnx: Path
    row: list[float]
    environment: dict[str, str]


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
    trusted = sign_champion(store, FileSigner(generate_private_key(SECP256R1())))
    package = build_package(API, "local", ROOT / "build/benchmark", python=Path(sys.executable))
    return World(folder, package.folder, folder / "model.onnx", row, environment_of(trusted))


def environment_of(trusted: str) -> dict[str, str]:
    """The variables of the API's function where ``trusted`` is the deployment's parameter of that name."""
    values = {"Stage": "benchmark", "TrustedKeys": trusted}
    properties = read_templates(ROOT / "template.yaml").properties("ApiFunction", values)
    declared = properties["Environment"]["Variables"].items()
    return {name: str(value) for name, value in declared if isinstance(value, str | int) and name != BUCKET_VARIABLE}


def sign_champion(store: Store, signer: FileSigner) -> str:
    """Sign the version that is served; returns the key that is to be trusted."""
    head = Registry(store).head(MODEL)
    assert head is not None
    sign_version(store, signer, MODEL, head.version)
    return signer.public_key().text
