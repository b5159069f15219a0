from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perennial.store import Store
from tests.support.stack import stack, store

__all__ = ["stack", "store"]

COMMAND = Path(sys.executable).with_name("perennial")


@pytest.fixture
def perennial(store: Store, tmp_path: Path) -> Callable[..., Any]:
    """Runs a command in the stack's environment and returns what it printed as JSON."""

    def run(*arguments: str | Path, code: int = 0) -> Any:
        done = subprocess.run(
            [COMMAND, *map(str, arguments), "--json"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    return run
