"""What Airflow in the cloud reads: DAG files, specs, and the package they need, each by its key in the DAGs bucket."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from perennial.deploy.airflow_package import AIRFLOW, AirflowPackage
from perennial.errors import DeployError, SpecError
from perennial.jobs.specs import SpecFile, find_specs

FOLDER = "dags/"
REQUIREMENTS, STARTUP = "requirements.txt", "startup.sh"


@dataclass(frozen=True)
class Delivery:
    """All that a bucket is to hold, by key.

    ``staged`` is inert until an environment is told of it: packages in folders of their own, and two files that an
    environment has by their versions. ``live`` is read as it comes, and is put in this order.
    """

    package: str
    staged: Mapping[str, bytes]
    live: Mapping[str, bytes]

    @property
    def files(self) -> dict[str, bytes]:
        return {**self.staged, **self.live}


def delivery(package: AirflowPackage, specs: Collection[SpecFile], startup: str) -> Delivery:
    """What is to be sent. ``startup`` is the text of the script that sets the environment's variables.

    Raises:
        DeployError: there are no DAG files.
    """
    staged = {f"{FOLDER}{place}": data for place, data in package.files.items()}
    staged |= {REQUIREMENTS: package.requirements.encode(), STARTUP: startup.encode()}
    return Delivery(package.digest, staged, dag_files(specs))


def read_specs(places: str) -> list[SpecFile]:
    """The specs in files and folders, separated like PATH; all of them are sound.

    Raises:
        DeployError: there is none, or a place does not exist.
        SpecError: one is wrong; names every such file with line and key.
    """
    absent = [place for place in places.split(os.pathsep) if place and not Path(place).exists()]
    if absent:
        raise DeployError(f"SPECS names what is not there: {', '.join(absent)}.", remedy="Name a model.yaml or folder.")
    found = find_specs(places)
    if wrong := [each.error for each in found if each.error]:
        raise SpecError(" ".join(wrong), remedy="Nothing was sent.")
    if not found:
        raise DeployError(f"{places!r} holds no model.yaml.", remedy="Name one: make deploy-dags SPECS=examples")
    return found


def dag_files(specs: Collection[SpecFile], folder: Path = AIRFLOW / "dags") -> dict[str, bytes]:
    """Key -> content of what Airflow reads while it runs: specs, then what DAG files share, then the DAG files.

    Raises:
        DeployError: the folder holds none.
    """
    found = {f"{FOLDER}specs/{each.name}/model.yaml": each.path.read_bytes() for each in specs}
    found = dict(sorted(found.items()))
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    if not any(path.suffix == ".py" for path in files):
        raise DeployError(f"{folder} holds no DAG files.")
    ignored = (folder / ".airflowignore").read_text(encoding="utf-8").split()
    for path in sorted(files, key=lambda path: (not _shared(path.relative_to(folder), ignored), path)):
        found[f"{FOLDER}{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    return found


def _shared(path: Path, ignored: Collection[str]) -> bool:
    """Whether Airflow takes a file for no DAG file, as ``.airflowignore`` says."""
    return path.name == ".airflowignore" or any(part in ignored or f"{part}/" in ignored for part in path.parts)
