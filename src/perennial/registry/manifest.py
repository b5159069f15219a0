"""The manifest of a model version: everything a server, a gate or an auditor needs to know of it.

Its SHA-256 names the version, so the same run always registers the same version, and a manifest
that was tampered with cannot answer to its own name.
"""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from perennial.canonical import Stored
from perennial.errors import IntegrityError, NotFoundError
from perennial.spec import NAME, Frame, ModelSpec

MODEL_FILE = "model.onnx"
VERSION_LENGTH = 16
MOST_BYTES = 64 << 20
"""What no manifest exceeds, whatever categories its spec lists."""
MOST_FILE_BYTES = 1 << 30
"""What no file of a version exceeds: whoever reads one holds it in memory, onnxruntime beside it once more."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileRef(_Frozen):
    """One content-addressed file of a version. ``size`` in bytes, ``digest`` SHA-256 in hex."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, le=MOST_FILE_BYTES)
    media_type: str


class Metric(_Frozen):
    """A metric on the holdout with its bootstrap confidence interval (95 %)."""

    value: float
    low: float | None = None
    high: float | None = None


class Parity(_Frozen):
    """How closely the exported graph matched scikit-learn, on the holdout and on boundary rows."""

    max_difference: float
    changed_classes: int
    holdout_rows: int
    boundary_rows: int


class ModelManifest(Stored):
    """What a version is. ``classes`` stand in the order of the graph's probabilities; a regression has none.

    ``slices`` maps column -> group -> metric -> value; ``files`` holds ``model.onnx``, the charts and
    ``evaluation.json``. ``pixels`` is the frame in which the graph takes pictures, None where it takes records.
    """

    format: int = 1
    spec: ModelSpec
    spec_digest: str
    classes: tuple[str, ...]
    candidate: str
    estimator: str
    params: dict[str, object]
    cross_validation: Metric
    metrics: dict[str, Metric]
    slices: dict[str, dict[str, dict[str, float]]] = Field(default_factory=dict)
    holdout_rows: int
    parity: Parity
    dataset: str
    code: str
    run: str
    seed: int
    libraries: dict[str, str]
    pixels: Frame | None = None
    files: dict[str, FileRef]

    @property
    def model(self) -> str:
        return self.spec.name

    @property
    def version(self) -> str:
        """The first hex digits of the SHA-256 of the manifest's bytes."""
        return version_of(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, version: str) -> ModelManifest:
        """Read and verify a stored manifest.

        Raises:
            IntegrityError: the bytes are not those ``version`` names, or not a manifest.
        """
        if version_of(data) != version:
            raise IntegrityError(f"The manifest of version {version} does not match its name.")
        try:
            return cls.read(data)
        except ValueError as error:  # pydantic's own, or that of a number that is none
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise IntegrityError(f"The manifest of version {version} is malformed: {what}.") from error


def version_of(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:VERSION_LENGTH]


def is_model_name(text: str) -> bool:
    """Whether a model could be called so; anything else may not become part of a key."""
    return len(text) <= 40 and NAME.fullmatch(text) is not None


def model_name(text: str) -> str:
    """A model's name as it came from outside. Raises NotFoundError for what can be none."""
    if not is_model_name(text):
        raise NotFoundError(f"There is no model {text[:40]!r}.", remedy="`perennial models` lists what there is.")
    return text
