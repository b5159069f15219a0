"""What passes between a run and the process that writes it to MLflow: plain JSON, and a folder of files."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

RECORD = "record.json"
"""The name of the record in the folder; a run's files lie beside it, in the folder that it names."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrackedMetric(_Frozen):
    """``step`` numbers the folds of a cross-validation; other metrics have one value, at 0."""

    name: str
    value: float
    step: int = 0


class TrackedRun(_Frozen):
    """One candidate of one run. ``key`` is its own for ever: a record that is written again finds its MLflow run by it.

    ``files`` is a folder of artefacts; ``refused`` where the candidate could not be trained.
    """

    key: str
    name: str
    params: dict[str, str]
    metrics: tuple[TrackedMetric, ...]
    tags: dict[str, str]
    note: str = ""
    files: str | None = None
    refused: bool = False


class Record(_Frozen):
    """All that is to be logged of a run. ``version`` was registered by the MLflow run of ``version_key``.

    ``champion`` is the version that the alias shall name; None leaves the alias as it is.
    """

    uri: str
    model: str
    at_ms: int
    runs: tuple[TrackedRun, ...] = ()
    version: str | None = None
    version_key: str | None = None
    champion: str | None = None


class Logged(_Frozen):
    """What came of it. ``runs`` counts the MLflow runs; ``version`` and ``champion`` are MLflow's version numbers.

    ``problem`` is why not all was logged, ``note`` why nothing was to be.
    """

    runs: int = 0
    version: str | None = None
    champion: str | None = None
    problem: str | None = None
    note: str = ""
