"""What `perennial doctor` prints and ends with, where nothing can be looked at but this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def doctor(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from perennial.cli import main; main()", "doctor", *arguments]
    nothing = {"PATH": os.defpath, "HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}
    return subprocess.run(command, cwd=folder, env=nothing | env, capture_output=True, text=True, check=False)


def test_a_fault_ends_it_with_one_and_stands_beside_its_remedy(tmp_path: Path) -> None:
    result = doctor(tmp_path)
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("FAIL  settings: No bucket is named."))
    assert "make up" in lines[place + 1]
    assert result.stderr == "error: Something is wrong. Follow the remedies.\n"


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"PERENNIAL_BUCKET": ""},
        {"PERENNIAL_BUCKET": "models", "PERENNIAL_TRUSTED_KEYS": "no key"},
        {"PERENNIAL_BUCKET": "models", "AWS_ENDPOINT_URL": "no address"},
        {"PERENNIAL_BUCKET": "models", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
    ],
)
def test_json_has_every_finding_and_each_fault_a_remedy(tmp_path: Path, env: dict[str, str]) -> None:
    result = doctor(tmp_path, "--json", **env)
    assert result.returncode == 1
    found = json.loads(result.stdout)
    assert {"python", "disk", "settings"} <= {finding["what"] for finding in found}
    assert all(finding["remedy"] for finding in found if not finding["ok"])
    assert not all(finding["ok"] for finding in found)
