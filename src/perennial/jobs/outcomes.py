"""How earlier trainings ended, read back from the bucket."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import ValidationError

from perennial import keys
from perennial.datasets.history import read_manifest
from perennial.datasets.landing import LandedFile, list_landed
from perennial.datasets.manifest import DatasetManifest
from perennial.errors import IntegrityError, NotFoundError
from perennial.jobs.results import OutcomeResult
from perennial.jobs.workspace import Workspace
from perennial.store import Store

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def last_training(store: Store, model: str) -> OutcomeResult | None:
    """The newest training of a model that came to its end; None before the first."""
    found = [_read(store, entry.key) for entry in store.list(keys.outcomes(model))]
    trained = [outcome for outcome in found if outcome.trained]
    return max(trained, key=lambda outcome: (outcome.at or _LONG_AGO, outcome.run), default=None)


def learnt_sources(store: Store, model: str, last: OutcomeResult | None) -> frozenset[str]:
    """Digests of the landing files that the last training had; none where its dataset can no longer be read."""
    if last is None:
        return frozenset()
    try:
        manifest: DatasetManifest = read_manifest(store, model, last.dataset)
    except NotFoundError:
        return frozenset()
    return frozenset(source.digest for source in manifest.sources)


def unlearnt_files(w: Workspace) -> list[LandedFile]:
    """Files of landing that the last training had not, less feedback that the spec leaves out of every dataset."""
    learnt = learnt_sources(w.store, w.spec.name, last_training(w.store, w.spec.name))
    kept = w.spec.retrain.feedback
    landed = [file for file in list_landed(w.store, w.spec) if file.digest not in learnt]
    return [file for file in landed if kept or keys.landing_kind(w.spec.name, file.key) != "feedback"]


def _read(store: Store, key: str) -> OutcomeResult:
    try:
        return OutcomeResult.model_validate_json(store.get(key).data)
    except ValidationError as error:
        raise IntegrityError(f"{key} is malformed.", remedy="Restore it from a backup.") from error
