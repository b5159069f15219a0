"""``land`` for pictures: a folder of class folders, or a listing, becomes stored pictures and one listing of them.

Pictures come first, by their digests, and the listing last: it is the commit. A run that was cut off is simply run
again, and finds the pictures that are there already. What an earlier listing holds does not land again.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from perennial import keys
from perennial.datasets.class_folders import Place, pictures_in
from perennial.datasets.landing import LandedPictures
from perennial.datasets.listing import Failure, Listed, known_pictures, listing_bytes
from perennial.datasets.picture_lists import listed_places
from perennial.datasets.picture_sources import Buckets, PictureSources, Progress, Taken, named_bucket
from perennial.datasets.unpack import read_local
from perennial.errors import DataError
from perennial.spec import ModelSpec
from perennial.spec_features import label
from perennial.store import Store

_UNSAFE = re.compile(r"[^A-Za-z0-9._()+=@-]+")
_LONGEST_NAME = 100


def land_pictures(
    store: Store,
    spec: ModelSpec,
    path: Path,
    name: str | None = None,
    *,
    progress: Progress | None = None,
    buckets: Buckets = named_bucket,
) -> LandedPictures:
    """Land the pictures of a local folder of class folders, or those a local listing names.

    ``buckets`` opens those that addresses of S3 name.

    Raises:
        DataError: nothing there is a picture that can be read; or the listing cannot be read, or lacks a column.
        StoreUnavailable: S3 does not answer; running it again goes on.
    """
    places, failures = _places(spec, path)
    taken = list(PictureSources(store, spec, buckets).take_all(places, progress))
    failures += [_failure(one) for one in taken if one.image is None]
    failures.sort(key=lambda one: (one.row or 0, one.file))
    rows = [_listed(one) for one in taken if one.image is not None]
    if not rows:
        raise _nothing(path, failures)
    held = known_pictures(store, spec)
    new = [row for row in rows if (row.image, row.label, row.group) not in held]
    if new:
        data = listing_bytes(spec, new)
        key = keys.listing(spec.name, _safe(name or path.resolve().name), hashlib.sha256(data).hexdigest())
        store.put_new(key, data)
    else:
        key = held[rows[0].image, rows[0].label, rows[0].group]
        data = store.get(key).data
    return LandedPictures(
        key=key,
        digest=hashlib.sha256(data).hexdigest(),
        size=len(data),
        new=bool(new),
        pictures=len(new),
        known=len(rows) - len(new),
        failures=tuple(failures),
    )


def _places(spec: ModelSpec, path: Path) -> tuple[list[Place], list[Failure]]:
    if path.is_dir():
        return pictures_in(path, spec.target.classes or ())
    return listed_places(str(path), read_local(path), spec, lambda name: path.parent / name)


def _listed(taken: Taken) -> Listed:
    place = taken.place
    return Listed(place.file, taken.image, None if place.label is None else label(place.label), place.group)


def _failure(taken: Taken) -> Failure:
    return Failure(file=taken.place.file, reason=taken.reason or "", row=taken.place.row)


def _nothing(path: Path, failures: Sequence[Failure]) -> DataError:
    if not failures:
        return DataError("holds no picture.", file=str(path), remedy="Give a folder with a folder for each class.")
    reasons = Counter(one.reason for one in failures).most_common(3)
    first = {one.reason: one.file for one in reversed(failures)}
    shown = "; ".join(f"{reason} ({times:,}, first {first[reason]})" for reason, times in reasons)
    return DataError(
        f"none of its {len(failures):,} pictures could be landed: {shown}.",
        file=str(path),
        remedy="Give a folder with a folder of pictures for each class, or a listing of paths or addresses.",
    )


def _safe(name: str) -> str:
    return (_UNSAFE.sub("_", name).lstrip("_.") or "pictures")[:_LONGEST_NAME]
