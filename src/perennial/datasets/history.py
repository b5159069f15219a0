"""Which dataset versions there are, and which of them a new one descends from. Decided from manifests alone."""

from __future__ import annotations

import re

from perennial import keys
from perennial.datasets.manifest import DatasetManifest, Split
from perennial.errors import NotFoundError
from perennial.store import Store

_ID = re.compile(r"^[0-9a-f]{64}$")


def read_manifest(store: Store, model: str, dataset_id: str) -> DatasetManifest:
    """One version. Raises NotFoundError, or IntegrityError when it was altered."""
    try:
        data = store.get(keys.dataset_manifest(model, dataset_id)).data
    except NotFoundError as error:
        raise NotFoundError(
            f"Model {model} has no dataset {dataset_id[:12]}.", remedy="Run `perennial cycle` to make one."
        ) from error
    return DatasetManifest.from_bytes(data, dataset_id)


def read_manifests(store: Store, model: str) -> tuple[DatasetManifest, ...]:
    """Every version of a model, by id."""
    names = [name for name in store.folders(keys.datasets(model)) if _ID.match(name)]
    return tuple(read_manifest(store, model, name) for name in names)


def same_version(
    history: tuple[DatasetManifest, ...], sources: frozenset[str], schema: str, split: Split
) -> DatasetManifest | None:
    """The version of exactly these sources under this schema and split; a descendant goes before a root."""
    found = [one for one in history if one.schema_digest == schema and one.split == split and _sources(one) == sources]
    return min(found, key=lambda one: (one.parent is None, one.id), default=None)


def parent_of(
    history: tuple[DatasetManifest, ...], sources: frozenset[str], schema: str, split: Split, champion: str | None
) -> DatasetManifest | None:
    """The version to descend from, of those with this split whose sources are all still there.

    That is the one the champion was trained on, so that what is new is new to the champion, however many versions
    came in between; else the largest. Among equals one of the same schema goes first (its parts are taken over), then
    a descendant, then the smallest id, so that every process with the same manifests decides alike.

    Args:
        champion: id of the champion's dataset version, None where there is no champion.
    """
    found = [one for one in history if one.split == split and _sources(one) <= sources]
    return min(
        found,
        key=lambda one: (
            one.id != champion, -len(one.sources), one.schema_digest != schema, one.parent is None, one.id,
        ),
        default=None,
    )  # fmt: skip


def _sources(manifest: DatasetManifest) -> frozenset[str]:
    return frozenset(source.digest for source in manifest.sources)
