"""What Airflow needs of Perennial on another machine: its wheel, and the files that have Amazon MWAA install it.

The wheel lies in a folder named by its content, beside the constraints it was checked under, so that an environment
which starts a worker tomorrow installs what it was told today, whatever was deployed meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perennial.deploy.package import ROOT
from perennial.errors import DeployError

AIRFLOW = ROOT / "airflow"
UV = ROOT / ".local/uv/bin/uv"
ON_MWAA = "/usr/local/airflow/dags"
"""Where Amazon MWAA keeps the DAGs folder of the bucket, before it installs requirements."""
BIRTH = "1577836800"  # of every file in the wheel: 2020-01-01


@dataclass(frozen=True)
class AirflowPackage:
    """Files by their place below the DAGs folder, the text of ``requirements.txt``, and the digest of all of it."""

    digest: str
    files: Mapping[str, bytes]
    requirements: str

    @property
    def folder(self) -> str:
        return f"packages/{self.digest}"


def build_airflow_package(into: Path) -> AirflowPackage:
    """Build the wheel in the folder ``into``, and say how it is installed. The same source gives the same bytes.

    Raises:
        DeployError: the wheel cannot be built.
    """
    wheel = build_wheel(into)
    constraints = (AIRFLOW / "constraints.txt").read_bytes()
    wanted = (AIRFLOW / "requirements.txt").read_text(encoding="utf-8")
    data = wheel.read_bytes()
    hashed = hashlib.sha256(data).hexdigest()
    digest = hashlib.sha256(b"\0".join((data, constraints, wanted.encode()))).hexdigest()[:16]
    place = f"{ON_MWAA}/packages/{digest}"
    requirements = (
        f'--constraint "{place}/constraints.txt"\nperennial @ file://{place}/{wheel.name}#sha256={hashed}\n{wanted}'
    )
    files = {f"packages/{digest}/{wheel.name}": data, f"packages/{digest}/constraints.txt": constraints}
    return AirflowPackage(digest, files, requirements)


def build_wheel(into: Path) -> Path:
    """The wheel of this source, with nothing of the machine or of the time in it.

    Raises:
        DeployError: it cannot be built.
    """
    into.mkdir(parents=True, exist_ok=True)
    for old in into.glob("perennial-*.whl"):
        old.unlink()
    result = subprocess.run(  # noqa: S603
        [str(UV), "build", "--quiet", "--wheel", "--build-constraints", str(ROOT / "requirements/build.txt"),
         "--require-hashes", "--out-dir", str(into), str(ROOT)],
        capture_output=True, text=True, check=False, env={**os.environ, "SOURCE_DATE_EPOCH": BIRTH},
    )  # fmt: skip
    found = sorted(into.glob("perennial-*.whl"))
    if result.returncode != 0 or len(found) != 1:
        said = " ".join((result.stderr or "no wheel was made").split())[-300:]
        raise DeployError(f"The wheel of Perennial cannot be built: {said}", remedy="Run `make setup`.")
    return found[0]


def startup_script(variables: Mapping[str, str]) -> str:
    """What Amazon MWAA runs before Airflow in every container: it knows no other way to set variables.

    Raises:
        DeployError: a value has a line break.
    """
    for name, value in variables.items():
        if "\n" in value or "\r" in value:
            raise DeployError(f"{name} has a line break, which no variable of a script may have.")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
    return "\n".join(["#!/bin/sh", "# Written by `make deploy-dags`.", *lines]) + "\n"
