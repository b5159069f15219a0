"""The application as a server runs it for long: in a process of its own, for what it does to the collector stays."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
STARTED = """
import gc
from lambdas.api.server import create_server
app = create_server()
assert app.url_path_for("ready") == "/ready"
print(gc.get_freeze_count(), len(gc.get_objects()))
"""
PLACE = {
    "PERENNIAL_BUCKET": "bucket",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


def test_collections_pass_over_all_that_was_imported() -> None:
    result = subprocess.run(
        [sys.executable, "-c", STARTED], capture_output=True, text=True, cwd=ROOT, env=os.environ | PLACE, check=False
    )
    assert result.returncode == 0, result.stderr
    passed_over, walked = map(int, result.stdout.split())
    assert passed_over > 10_000 and walked < passed_over / 100
