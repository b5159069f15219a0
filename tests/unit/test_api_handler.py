"""The Lambda entry point in a process of its own: what importing it brings along, and what it must not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FORBIDDEN = ("boto3", "botocore", "pandas", "sklearn", "scipy", "pyarrow", "airflow", "joblib", "yaml", "rich", "typer",
             "onnx", "skl2onnx", "aws_xray_sdk", "uvicorn", "httpx", "aws_lambda_powertools", "PIL",
             "lambdas.api.pictures", "perennial.serving.picture_forms")  # fmt: skip


def run(folder: Path, code: str, **environment: str) -> Any:
    """What the last line of a program printed, as JSON. It runs where no local stack can be found."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_import_reads_no_settings_and_brings_nothing_heavy(tmp_path: Path) -> None:
    """No bucket is named here, so reading the settings at import would fail."""
    loaded = run(
        tmp_path,
        "import json, sys, lambdas.api.handler, lambdas.api.app\n"
        f"print(json.dumps([name for name in {FORBIDDEN!r} if name in sys.modules]))",
    )
    assert loaded == []


def test_the_document_survives_the_deferred_models(tmp_path: Path) -> None:
    """FastAPI's OpenAPI models are left unbuilt at import; asked for, they are all there. S3 is down meanwhile."""
    event = {
        "version": "2.0", "routeKey": "GET /openapi.json", "rawPath": "/openapi.json", "rawQueryString": "",
        "headers": {}, "isBase64Encoded": False,
        "requestContext": {"http": {"method": "GET", "path": "/openapi.json", "sourceIp": "192.0.2.1"}},
    }  # fmt: skip
    found = run(
        tmp_path,
        f"import json\nfrom lambdas.api.handler import handler\nanswer = handler({event!r}, None)\n"
        "assert answer['statusCode'] == 200\nprint(json.dumps(json.loads(answer['body'])))",
        PERENNIAL_BUCKET="bucket", AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_REGION="us-east-1",
        AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test",
    )  # fmt: skip
    assert found == json.loads((ROOT / "docs/openapi.json").read_text())


def test_settings_are_read_at_the_first_event(tmp_path: Path) -> None:
    found = run(
        tmp_path,
        "import json\nfrom lambdas.api.handler import handler\nfrom perennial.errors import SettingsError\n"
        "try:\n    handler({}, None)\nexcept SettingsError as error:\n    print(json.dumps(str(error)))",
    )
    assert "PERENNIAL_BUCKET" in found
