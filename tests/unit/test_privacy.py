"""Nothing is told to anyone: no library below us writes a device id or queues usage data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SERVE_ONE = """
from tests.support import models
from perennial.serving.predictor import Predictor
built = models.build()
predictor = Predictor(built.manifest, built.onnx)
print(predictor.predict([predictor.schema.validate(models.IRIS_RECORD)])[0].prediction)
"""


def test_a_prediction_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    env |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", SERVE_ONE], cwd=Path(__file__).parents[2], env=env, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == []
