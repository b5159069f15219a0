"""Who answers over HTTP, each as its own documentation starts it: one worker, one numeric thread, no access log.

All serve the same 20 columns to the same requests. Those on onnxruntime run the graph that ours exported; those on
scikit-learn were fitted on the same rows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import http_image, mixed
from benchmarks.mixed_models import BUCKET
from benchmarks.mixed_spec import MODEL, make_spec
from benchmarks.serving_world import ROOT, World
from perennial.records import RecordSchema
from perennial.settings import VARIABLES

ENVIRONMENTS = ROOT / ".local/envs"
SCRIPTS = ROOT / "benchmarks/rivals"
HOST = "127.0.0.1"
OURS, LITSERVE, QUEUED, BENTOML = "ours", "LitServe", "LitServe, fast queue", "BentoML"
MLFLOW, SKLEARN, BARE, HELLO = "MLflow", "FastAPI + scikit-learn", "FastAPI + onnxruntime", "raw asyncio, constant"
ON_ONNX = (LITSERVE, QUEUED, BENTOML)
"""The rivals that serve a model with onnxruntime; what one writes oneself with it is measured beside."""


@dataclass(frozen=True)
class Server:
    """How to start one and what to ask it. ``probability`` is that of class 1 in an answer; None where it has none."""

    name: str
    command: Callable[[int], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = SCRIPTS
    path: str = "/predict"
    body: Callable[[mixed.Record], object] = lambda record: record
    probability: Callable[[Any], float] | None = lambda answer: float(answer["probabilities"]["1"])


def servers(world: World, endpoint: str) -> dict[str, Server]:
    """All of them, by name. Installs ours, and has MLflow save the model it is to serve."""
    named = (ours(world, endpoint), *on_onnx(world), *on_sklearn(world, endpoint), hello())
    return {server.name: server for server in named}


def ours(world: World, endpoint: str) -> Server:
    """The image's own entry: the whole API, with the version's signature checked and each prediction captured."""
    task = world.folder / "task"
    http_image.install(task)
    trusted = VARIABLES["trusted_keys"]
    told = {VARIABLES["bucket"]: BUCKET, trusted: world.environment[trusted], "HOST": HOST}
    return Server(
        OURS,
        lambda port: ["env", f"PORT={port}", "sh", str(http_image.START)],
        aws(endpoint) | http_image.variables(task) | told,
        path=f"/models/{MODEL}/predict",
        probability=lambda answer: float(answer["probabilities"]["1"]) if answer["feedback_token"] else float("nan"),
    )


def on_onnx(world: World) -> tuple[Server, ...]:
    """LitServe with both of its queues, BentoML, and a service written by hand, in LitServe's environment."""
    columns = world.folder / "columns.json"
    known = RecordSchema(make_spec()).columns
    columns.write_text(json.dumps([(one.name, {value: at for at, value in enumerate(one.values)}) for one in known]))
    model = {"ONNX": str(world.onnx), "COLUMNS": str(columns)}
    litserve, bentoml = ENVIRONMENTS / "rivals-litserve/bin", ENVIRONMENTS / "rivals-bentoml/bin"
    quiet = {"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": str(world.folder / "bentoml")}

    def lit(port: int) -> list[str]:
        return [str(litserve / "python"), "litserve_service.py", HOST, str(port)]

    def bento(port: int) -> list[str]:
        return [str(bentoml / "bentoml"), "serve", "bentoml_service:Mixed", "--host", HOST, "--port", str(port)]

    return (
        Server(LITSERVE, lit, model),
        Server(QUEUED, lit, model | {"FAST_QUEUE": "1"}),
        Server(BENTOML, bento, model | quiet | path_of(bentoml), body=lambda record: {"record": record}),
        Server(BARE, lambda port: uvicorn(litserve, "uvicorn_onnx_service:app", port), model),
    )


def on_sklearn(world: World, endpoint: str) -> tuple[Server, ...]:
    """MLflow's server of the pipeline that it logged, and the handwritten service, which fetches its own from S3."""
    own, mlflow = ENVIRONMENTS / "rivals/bin", ENVIRONMENTS / "rivals-mlflow/bin"
    data, joblib, saved = world.folder / "data.json", world.folder / "mlflow.joblib", world.folder / "mlflow"
    for script, *arguments in (("handwritten_train.py", data, joblib), ("mlflow_train.py", joblib, data, saved)):
        subprocess.run(
            [mlflow / "python", SCRIPTS / script, *arguments], check=True, stderr=subprocess.DEVNULL,
            env=os.environ | path_of(mlflow) | {"MLFLOW_DISABLE_TELEMETRY": "true"},
        )  # fmt: skip

    def serve(port: int) -> list[str]:
        command = [str(mlflow / "mlflow"), "models", "serve", "--env-manager", "local", "--workers", "1"]
        return [*command, "--model-uri", str(saved), "--host", HOST, "--port", str(port)]

    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "UVICORN_ACCESS_LOG": "false"}
    return (
        Server(
            MLFLOW, serve, quiet | path_of(mlflow), path="/invocations",
            body=lambda record: {"dataframe_split": {"columns": list(record), "data": [list(record.values())]}},
            probability=lambda answer: float(answer["predictions"][0][1]),
        ),
        Server(SKLEARN, lambda port: uvicorn(own, "handwritten_service:app", port), aws(endpoint) | {"BUCKET": BUCKET}),
    )  # fmt: skip


def hello() -> Server:
    """The least that Python can answer."""
    script = str(ROOT / "benchmarks/http_hello.py")
    return Server(HELLO, lambda port: [sys.executable, "-I", script, HOST, str(port)], probability=None)


def uvicorn(environment: Path, app: str, port: int) -> list[str]:
    return [str(environment / "uvicorn"), app, "--host", HOST, "--port", str(port), "--no-access-log"]


def aws(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
    }  # fmt: skip


def path_of(binaries: Path) -> dict[str, str]:
    """For commands that start others by name."""
    return {"PATH": f"{binaries}:{os.defpath}"}
