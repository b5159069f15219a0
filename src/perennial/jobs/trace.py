"""From one prediction back to all that it rests on: version, dataset, landing files, code, gate and champion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from perennial import keys
from perennial.datasets.history import read_manifest as read_dataset
from perennial.datasets.landing import list_landed
from perennial.datasets.manifest import DatasetManifest
from perennial.errors import IntegrityError, NotFoundError
from perennial.jobs.trace_find import FoundTruth, find_prediction, ground_truth
from perennial.keys import LandingKind
from perennial.registry.gate import Decision, find_decision
from perennial.registry.log import LogEntry, ModelLog
from perennial.registry.manifest import Metric, ModelManifest
from perennial.registry.verify import look_up as read_version
from perennial.serving.captured import CapturedPrediction
from perennial.store import Store

T = TypeVar("T")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TracedVersion(_Frozen):
    """The version that answered: what it reached on its holdout, and what it was made by. ``code`` is the commit."""

    version: str
    candidate: str
    estimator: str
    metrics: dict[str, Metric]
    spec_digest: str
    run: str
    code: str


class Ancestor(_Frozen):
    """A dataset version that another one was made from."""

    id: str
    rows: int


class LandingFile(_Frozen):
    """A file that a dataset version was made from. ``found`` is where it lies (keys); nowhere, where it is gone."""

    digest: str
    kind: LandingKind
    rows: int
    accepted: int
    found: tuple[str, ...]


class TracedDataset(_Frozen):
    """The dataset version that the version learnt from; ``parents`` from the nearest to the root."""

    id: str
    train_rows: int
    holdout_rows: int
    window_rows: int
    parents: tuple[Ancestor, ...]
    files: tuple[LandingFile, ...]


class Trace(_Frozen):
    """One prediction and what stands behind it.

    ``champion`` is the log entry in force when it answered, by which the version was champion, or on trial. ``gate`` is
    None where the gate never judged it, and not passed where a person promoted it all the same: ``champion`` then says
    who, and why.
    ``picture`` is where the picture lies that was asked about (key), None for a record or where it is gone. ``gaps``
    names what is gone or damaged.
    """

    prediction: CapturedPrediction
    truth: FoundTruth | None
    version: TracedVersion
    champion: LogEntry | None
    gate: Decision | None
    dataset: TracedDataset | None
    picture: str | None = None
    gaps: tuple[str, ...]


def trace(store: Store, prediction_id: str, model: str | None = None) -> Trace:
    """Follow a prediction back. Without ``model``, every model's predictions of that moment are searched.

    Raises:
        NotFoundError: the id is none, its prediction was not captured, or the version that answered is gone.
        IntegrityError: that version was tampered with.
        StoreUnavailable: S3 does not answer.
    """
    found = find_prediction(store, prediction_id, model)
    manifest = _version(store, found)
    gaps: list[str] = []
    truth = _or_gap(gaps, lambda: ground_truth(store, manifest.spec, found))
    champion = _or_gap(gaps, lambda: _champion(store, found))
    gate = _or_gap(gaps, lambda: _gate(store, manifest))
    dataset = _or_gap(gaps, lambda: _dataset(store, manifest, gaps))
    return Trace(
        prediction=found,
        truth=truth,
        version=TracedVersion(
            version=manifest.version,
            candidate=manifest.candidate,
            estimator=manifest.estimator,
            metrics=manifest.metrics,
            spec_digest=manifest.spec_digest,
            run=manifest.run,
            code=manifest.code,
        ),
        champion=champion,
        gate=gate,
        dataset=dataset,
        picture=_or_gap(gaps, lambda: _picture(store, manifest, found)),
        gaps=tuple(gaps),
    )


def _version(store: Store, found: CapturedPrediction) -> ModelManifest:
    try:
        return read_version(store, found.model, found.version)
    except NotFoundError as error:
        raise NotFoundError(
            f"Version {found.version} of {found.model}, which answered {found.prediction_id}, is gone.",
            remedy="Restore its manifest from a backup.",
        ) from error


def _picture(store: Store, manifest: ModelManifest, found: CapturedPrediction) -> str | None:
    """Raises NotFoundError where the picture of an answer is gone."""
    if manifest.pixels is None:
        return None
    key = keys.image(found.model, str(found.record.get("image")))
    if not store.exists(key):
        raise NotFoundError(f"The picture that was asked about is gone: {key}.", remedy="Restore it from a backup.")
    return key


def _champion(store: Store, found: CapturedPrediction) -> LogEntry:
    """The entry by whose generation it answered."""
    entry = ModelLog(store, found.model).entry(found.generation)
    if found.version not in (entry.version, entry.trial.version if entry.trial else None):
        raise IntegrityError(
            f"Generation {entry.generation} of {found.model} made {entry.version} champion, not {found.version}."
        )
    return entry


def _gate(store: Store, manifest: ModelManifest) -> Decision | None:
    """The answer in the run that made the version, under the name by which a workspace calls its operations."""
    decision = find_decision(store, manifest.model, f"gate-{manifest.run}-{manifest.spec_digest[:12]}")
    return decision if decision and decision.candidate == manifest.version else None


def _dataset(store: Store, manifest: ModelManifest, gaps: list[str]) -> TracedDataset:
    dataset = read_dataset(store, manifest.model, manifest.dataset)
    lying: dict[str, list[str]] = {}
    for file in list_landed(store, manifest.spec):
        lying.setdefault(file.digest, []).append(file.key)
    files = tuple(
        LandingFile(
            digest=source.digest,
            kind=source.kind,
            rows=source.rows,
            accepted=source.accepted,
            found=tuple(lying.get(source.digest, ())),
        )
        for source in dataset.sources
    )
    gaps += [f"The landing file {file.digest[:12]} is gone." for file in files if not file.found]
    return TracedDataset(
        id=dataset.id,
        train_rows=dataset.rows("train"),
        holdout_rows=dataset.rows("holdout"),
        window_rows=dataset.rows("window"),
        parents=tuple(Ancestor(id=one.id, rows=one.rows()) for one in _parents(store, manifest.model, dataset, gaps)),
        files=files,
    )


def _parents(store: Store, model: str, dataset: DatasetManifest, gaps: list[str]) -> list[DatasetManifest]:
    found: list[DatasetManifest] = []
    parent = dataset.parent
    while parent is not None:  # it ends: an id is a hash over the parent's
        try:
            found.append(read_dataset(store, model, parent))
        except (IntegrityError, NotFoundError) as error:
            gaps.append(error.message)
            break
        parent = found[-1].parent
    return found


def _or_gap(gaps: list[str], read: Callable[[], T]) -> T | None:
    """What can be read; what is gone or damaged is noted instead, since the rest still tells something."""
    try:
        return read()
    except (IntegrityError, NotFoundError) as error:
        gaps.append(error.message)
        return None
