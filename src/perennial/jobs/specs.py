"""Finding the specs a scheduler serves."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from perennial.errors import SpecError
from perennial.spec import ModelSpec, load_spec


@dataclass(frozen=True)
class SpecFile:
    """One ``model.yaml`` found: the spec it holds, or why it could not be read."""

    path: Path
    spec: ModelSpec | None
    error: str | None

    @property
    def name(self) -> str:
        """The model's name, or the folder's (as far as it is fit for a name) where the spec cannot be read."""
        return self.spec.name if self.spec else re.sub(r"[^A-Za-z0-9_.-]+", "-", self.path.resolve().parent.name)


def find_specs(places: str) -> list[SpecFile]:
    """All specs in ``places``: files and folders separated by ``os.pathsep``; folders are searched for model.yaml.

    A spec that cannot be read is returned with its error, so that one mistake does not hide the other models;
    so is a second spec with a name already taken.
    """
    found: list[SpecFile] = []
    for place in filter(None, places.split(os.pathsep)):
        path = Path(place)
        for file in [path] if path.is_file() else sorted(path.rglob("model.yaml")):
            found.append(_read(file, {known.name: known.path for known in found}))
    return found


def _read(file: Path, taken: dict[str, Path]) -> SpecFile:
    try:
        spec = load_spec(file)
    except SpecError as error:
        return SpecFile(file, None, str(error))
    if spec.name in taken:
        return SpecFile(file, None, f"{file}: model {spec.name} is already defined by {taken[spec.name]}. Rename one.")
    return SpecFile(file, spec, None)
