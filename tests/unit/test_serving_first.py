"""A process's first look at S3 makes it ready to load a version, whatever comes of the look."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from pydantic import BaseModel
BaseModel.model_config["defer_build"] = True
from perennial.errors import NotFoundError
from perennial.registry.manifest import ModelManifest
from perennial.serving.load import first_champion
from perennial.store import memory_store
from perennial.trust import PublicKey, TrustedKeys
assert not ModelManifest.__pydantic_complete__ and "ecdsa" not in sys.modules
store = memory_store()
store.trust = TrustedKeys(()) if sys.argv[1] == "trusting" else None
for _ in range(2):
    try:
        first_champion(store, "iris")
    except NotFoundError:
        continue
    raise SystemExit("no such model is there")
assert ModelManifest.__pydantic_complete__
assert ("ecdsa" in sys.modules) is (store.trust is not None)
"""


def test_a_first_look_makes_ready() -> None:
    for trust in ("trusting", "without"):
        done = subprocess.run(
            [sys.executable, "-c", CODE, trust], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
