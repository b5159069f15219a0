"""Gathering: pictures and listings that other tools put into landing become listings of stored pictures.

Each object is gathered once, whatever came of it: what could not be read stands in the listing with its reason, and
goes to quarantine from there. The listing is the commit; a run that was cut off goes on with what none holds.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from perennial import keys
from perennial.datasets.class_folders import Place, class_of
from perennial.datasets.landing import landing_entries
from perennial.datasets.listing import GatheredSoFar, Listed, gathered_so_far, listing_bytes
from perennial.datasets.picture_lists import is_listing_name, listed_places
from perennial.datasets.picture_sources import Buckets, PictureSources, Progress, Taken, named_bucket
from perennial.errors import AlreadyExistsError, DataError
from perennial.spec import ModelSpec
from perennial.spec_features import label
from perennial.store import Store
from perennial.store_objects import Entry

CHUNK = 1000
"""How many loose pictures make one listing: at most so many are read again after a run was cut off."""
LARGEST_LISTING = 100_000_000


@dataclass(frozen=True)
class Gathered:
    """Listings that were put, and how many pictures they hold and how many could not be read."""

    files: tuple[str, ...] = ()
    pictures: int = 0
    failures: int = 0


def gather(
    store: Store, spec: ModelSpec, progress: Progress | None = None, *, buckets: Buckets = named_bucket
) -> Gathered:
    """Put listings of all that lies loose in landing. A picture's class is the folder it lies in, below landing.

    Raises:
        IntegrityError: an earlier listing is damaged.
        StoreUnavailable: S3 does not answer; running it again goes on.
    """
    sources = PictureSources(store, spec, buckets)
    found = Gathered()
    while True:
        before = gathered_so_far(store, spec)
        chunk = _chunk(_fresh(store, spec, before))
        if not chunk:
            return found
        rows = _rows(sources, chunk, progress)
        key = keys.gathered(spec.name, before.next)
        try:
            store.put_new(key, listing_bytes(spec, rows))
        except AlreadyExistsError:
            continue  # another one gathers too: look again at what is left
        failed = sum(row.image is None for row in rows)
        found = Gathered((*found.files, key), found.pictures + len(rows) - failed, found.failures + failed)


def ungathered(store: Store, spec: ModelSpec) -> list[Entry]:
    """What lies loose in landing and was not gathered as it is now, listings first.

    Raises:
        IntegrityError: a listing is damaged.
    """
    return _fresh(store, spec, gathered_so_far(store, spec))


def _fresh(store: Store, spec: ModelSpec, before: GatheredSoFar) -> list[Entry]:
    """A picture that a listing names is that listing's, wherever it lies; what hidden folders hold is no data."""
    loose = [entry for entry in landing_entries(store, spec.name) if not keys.is_listing(spec.name, entry.key)]
    loose = [entry for entry in loose if "/." not in entry.key]
    named = {entry.key: _name(spec, entry.key) for entry in loose}
    fresh = [
        entry
        for entry in loose
        if (named[entry.key], entry.etag) not in before.objects and named[entry.key] not in before.named
    ]
    return sorted(fresh, key=lambda entry: (not is_listing_name(entry.key), entry.key))


def _chunk(fresh: Sequence[Entry]) -> Sequence[Entry]:
    """A listing by itself, else so many pictures at once."""
    return fresh[:1] if fresh and is_listing_name(fresh[0].key) else fresh[:CHUNK]


def _rows(sources: PictureSources, chunk: Sequence[Entry], progress: Progress | None) -> list[Listed]:
    spec = sources.spec
    rows: list[Listed] = []
    places: list[Place] = []
    origins: dict[int, tuple[str, str]] = {}
    for entry in chunk:
        name = _name(spec, entry.key)
        if is_listing_name(name):
            own, failures = _named_in(sources.store, spec, entry)
            rows += [_row(failed, (name, entry.etag)) for failed in failures]
        else:
            own = [Place(name, entry.key, class_of(PurePosixPath(name).parts[:-1], spec.target.classes or ()))]
        places += own
        origins |= {id(place): (name, entry.etag) for place in own}
    rows += [_row(taken, origins[id(taken.place)]) for taken in sources.take_all(places, progress)]
    return rows


def _named_in(store: Store, spec: ModelSpec, entry: Entry) -> tuple[list[Place], list[Taken]]:
    """The pictures that a listing in landing names, and its rows that name none; one failure where it is no listing."""
    name = _name(spec, entry.key)

    def locate(path: str) -> str:
        key = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        if key.startswith(("../", "/")) or key in (".", ".."):
            raise DataError("leaves the landing folder")
        return keys.landing(spec.name, key)

    try:
        if entry.size > LARGEST_LISTING:
            raise DataError(f"is larger than {LARGEST_LISTING:,} bytes")
        places, failures = listed_places(name, store.get(entry.key).data, spec, locate)
    except DataError as error:
        reason = error.message.removeprefix(name).lstrip(":, ").rstrip(".")
        return [], [Taken(Place(name, entry.key, None), None, reason)]
    own = keys.landing(spec.name)
    found = [
        replace(one, file=_name(spec, one.where)) if isinstance(one.where, str) and one.where.startswith(own) else one
        for one in places
    ]
    refused = [Taken(Place(one.file, "", None), None, f"row {one.row}: {one.reason}") for one in failures]
    return found, refused


def _row(taken: Taken, origin: tuple[str, str]) -> Listed:
    place = taken.place
    name = None if place.label is None else label(place.label)
    return Listed(place.file, taken.image, name, place.group, taken.reason, origin)


def _name(spec: ModelSpec, key: str) -> str:
    """What a key is called below landing."""
    return key.removeprefix(keys.landing(spec.name))
