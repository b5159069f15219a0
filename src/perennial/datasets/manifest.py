"""The manifest of a dataset version: what it was made of, what was refused, and how it is split.

Its SHA-256 is the version's id. Names and times of landing files are no part of it, so the same
content gives the same id on any machine.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from perennial.canonical import Stored
from perennial.errors import IntegrityError
from perennial.keys import LandingKind
from perennial.spec import ModelSpec, canonical

SplitName = Literal["train", "holdout", "window"]
_HEX = r"^[0-9a-f]{64}$"
PICTURE_ROWS = "pictures 1"
"""Counts up when descriptors or fingerprints are measured otherwise: datasets are then made anew."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Frozen):
    """One landing file by its SHA-256. ``rows`` = ``accepted`` + ``refused``.

    ``duplicates`` counts accepted rows equal to an earlier one of the same file; ``held_back`` those kept
    out of training because they are copies of holdout rows, or pictures that belong together with some.
    ``kind`` is how it came: ``feedback`` was given through the API by whoever holds a prediction's token, and is not
    to be trusted as what the model's owner brings is.
    ``superseded`` counts its accepted rows that are left out, since a label file tells of the same predictions.
    """

    digest: str = Field(pattern=_HEX)
    rows: int = Field(ge=0)
    accepted: int = Field(ge=0)
    refused: int = Field(ge=0)
    duplicates: int = Field(ge=0)
    held_back: int = Field(ge=0)
    kind: LandingKind = "landed"
    superseded: int = Field(default=0, ge=0)


class Part(_Frozen):
    """One Parquet blob: the rows of one source on one side of the split. ``size`` in bytes."""

    digest: str = Field(pattern=_HEX)
    source: str = Field(pattern=_HEX)
    split: SplitName
    rows: int = Field(ge=1)
    size: int = Field(ge=1)


class Split(_Frozen):
    """How the holdout was drawn. Versions with an equal Split share one holdout; another Split draws a new one."""

    kind: Literal["stratified", "random", "chronological"]
    fraction: float
    seed: int
    target: str
    time: str | None

    @classmethod
    def of(cls, spec: ModelSpec) -> Split:
        """What the spec asks for."""
        drawn: Literal["stratified", "random"] = "random" if spec.task == "regression" else "stratified"
        return cls(
            kind="chronological" if spec.time is not None else drawn,
            fraction=spec.holdout.fraction,
            seed=spec.holdout.seed,
            target=spec.target.column,
            time=spec.time,
        )


class Window(_Frozen):
    """Rows that this version's training leaves out, to compare the model with the champion on what is new.

    ``index`` is the digest of the blob that lists them by source and row number. ``trusted`` where none of them is
    feedback. The next version takes them into its training.
    """

    index: str = Field(pattern=_HEX)
    trusted: bool


class DatasetManifest(Stored):
    """An immutable dataset version.

    ``holdout`` is the digest of the blob that lists the holdout's rows by source and row number; all
    descendants of a version carry the same one. ``classes`` stand in the order of the class index, the
    positive one last; a regression has none. ``duplicates`` counts rows of the parts that equal another.
    ``window`` is None in a version without a parent, and where too few rows are new; ``rows("window")`` counts it.
    """

    format: Literal[1] = 1
    model: str
    schema_digest: str = Field(pattern=_HEX)
    parent: str | None
    split: Split
    holdout: str = Field(pattern=_HEX)
    classes: tuple[str, ...]
    sources: tuple[Source, ...] = Field(min_length=1)
    parts: tuple[Part, ...] = Field(min_length=2)
    duplicates: int = Field(ge=0)
    window: Window | None = None

    @property
    def id(self) -> str:
        """SHA-256 (hex) of the manifest's bytes: the version's name."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def rows(self, split: SplitName | None = None) -> int:
        """Rows of one side of the split, or of all."""
        return sum(part.rows for part in self.parts if split in (None, part.split))

    def trained(self, kind: LandingKind) -> dict[str, int]:
        """Rows of training by source, of the sources that came this way."""
        found = {source.digest: 0 for source in self.sources if source.kind == kind}
        for part in self.parts:
            if part.split == "train" and part.source in found:
                found[part.source] += part.rows
        return found

    @property
    def refused(self) -> int:
        return sum(source.refused for source in self.sources)

    @property
    def held_back(self) -> int:
        return sum(source.held_back for source in self.sources)

    @classmethod
    def from_bytes(cls, data: bytes, dataset_id: str) -> DatasetManifest:
        """Read and verify a stored manifest.

        Raises:
            IntegrityError: the bytes are not those ``dataset_id`` names, or not a manifest.
        """
        if hashlib.sha256(data).hexdigest() != dataset_id:
            raise IntegrityError(f"The manifest of dataset {dataset_id[:12]} does not match its name.")
        try:
            return cls.read(data)
        except ValueError as error:  # pydantic's own, or that of a number that is none
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise IntegrityError(f"The manifest of dataset {dataset_id[:12]} is malformed: {reason}.") from error


def schema_digest(spec: ModelSpec) -> str:
    """SHA-256 (hex) of all in a spec that decides which rows are accepted and how they are stored.

    Titles, candidates, gates and schedules are no part of it: changing them makes no new dataset.
    """
    features = [
        [name, feature.model_dump(mode="json", exclude={"title", "description"})]
        for name, feature in spec.features.items()
    ]
    parts: list[object] = [spec.task, spec.target.model_dump(mode="json"), spec.id, spec.time, features]
    if spec.image is not None:  # size and colour are no part of it: pictures are stored as they came
        parts.append([PICTURE_ROWS, spec.image.group, spec.image.group_pattern])
    return hashlib.sha256(canonical(parts)).hexdigest()
