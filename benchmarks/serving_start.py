"""One fresh process that serves an event of an HTTP API, timed from its start to its first answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import mixed

PROCESS = Path(__file__).with_name("serving_process.py")


def event_of(path: str, body: object = None) -> dict[str, Any]:
    """One prediction, as an HTTP API hands it to a function; of one record unless ``body`` says otherwise."""
    return {
        "version": "2.0", "routeKey": f"POST {_route(path)}", "rawPath": path, "rawQueryString": "",
        "isBase64Encoded": False,
        "headers": {"content-type": "application/json", "host": "api.example.org"},
        "requestContext": {"http": {"method": "POST", "path": path, "sourceIp": "192.0.2.1"}},
        "body": json.dumps(body or mixed.records(1, seed=99)[0][0]),
    }  # fmt: skip


def _route(path: str) -> str:
    """The route that an HTTP API chooses for a path, by which a server knows what was let through."""
    parts = path.split("/")
    return "/".join(["", "models", "{model}", *parts[3:]]) if parts[1] == "models" else path


def run_process(
    plan: Mapping[str, Any], folder: Path, endpoint: str, bucket: str, more: Mapping[str, str] | None = None
) -> tuple[float, dict[str, Any]]:
    """One fresh process: milliseconds from its start to its first answer, and its report."""
    path = folder / "plan.json"
    path.write_text(json.dumps(dict(plan)))
    environment = {
        "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_LAMBDA_FUNCTION_NAME": "benchmark", "PERENNIAL_BUCKET": bucket, "BUCKET": bucket, **(more or {}),
    }  # fmt: skip
    started = time.monotonic()
    subprocess.run([sys.executable, "-I", str(PROCESS), str(path)], env=environment, check=True, timeout=120)
    report: dict[str, Any] = json.loads(Path(plan["report"]).read_text())
    return (report["answered"] - started) * 1000, report


def percentile(values: list[float], percent: int) -> float:
    """The value below which so many of a hundred lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
