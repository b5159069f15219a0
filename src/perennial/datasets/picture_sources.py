"""Reading pictures from wherever they are, and keeping those that can be decoded in the bucket."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from perennial.datasets.ahead import in_order
from perennial.datasets.class_folders import Place
from perennial.datasets.fetch import Fetcher
from perennial.datasets.pictures import put_picture
from perennial.datasets.text import is_missing_mark
from perennial.errors import DataError, InvalidPicture, NotFoundError, StoreUnavailable
from perennial.images.budget import in_the_works
from perennial.images.decode import MAX_BYTES, decode
from perennial.settings import Settings
from perennial.spec import ModelSpec
from perennial.spec_features import label
from perennial.store import Store
from perennial.store_opening import is_object, open_store

DOWNLOADS = 8
DECODERS = 2
TELL_EVERY = 250
Buckets = Callable[[str], Store]
"""Opens a bucket by its name."""
Progress = Callable[[str], None]


@cache
def named_bucket(name: str) -> Store:
    """A bucket by its name, where and as whom the settings say. Raises SettingsError without credentials."""
    return open_store(Settings.load().model_copy(update={"bucket": name}))


@dataclass(frozen=True)
class Taken:
    """What became of one place: the SHA-256 (hex) of the picture that is stored now, or why there is none."""

    place: Place
    image: str | None
    reason: str | None = None


@dataclass(frozen=True)
class PictureSources:
    """Takes pictures into the bucket of a model; whatever is wrong with one of them is told and not raised."""

    store: Store
    spec: ModelSpec
    buckets: Buckets = named_bucket
    fetcher: Fetcher = field(init=False)

    def __post_init__(self) -> None:
        assert self.spec.image is not None
        image = self.spec.image
        object.__setattr__(self, "fetcher", Fetcher(image.download_bytes, private=image.private_addresses))

    def take_all(self, places: Sequence[Place], progress: Progress | None = None) -> Iterator[Taken]:
        """Read, decode and store every picture, in their order.

        Raises:
            StoreUnavailable: the model's bucket does not answer; what was stored is found by the next attempt.
        """
        away = any(isinstance(place.where, str) and "://" in place.where for place in places)
        for count, taken in enumerate(in_order(self.take, places, DOWNLOADS if away else DECODERS), start=1):
            if progress is not None and count % TELL_EVERY == 0:
                progress(f"{count:,} of {len(places):,} pictures")
            yield taken

    def take(self, place: Place) -> Taken:
        """Read, decode and store one picture."""
        if (problem := self._unlabelled(place)) is not None:
            return Taken(place, None, problem)
        try:
            data = self._read(place.where)
            with in_the_works(data):
                decode(data)
        except InvalidPicture as error:
            return Taken(place, None, error.reason)
        except DataError as error:
            return Taken(place, None, error.message.rstrip("."))
        return Taken(place, put_picture(self.store, self.spec.name, data))

    def _unlabelled(self, place: Place) -> str | None:
        """What is wrong with the label of a place; None where it is one."""
        classes, told = self.spec.target.classes, place.label
        if told is None:
            return "has no label"
        if classes is not None:
            undeclared = label(told) not in classes
            return f"is of the class {told[:80]!r}, which the spec does not declare" if undeclared else None
        if is_missing_mark(label(told)):
            return f"is of the class {told[:80]!r}, which means that there is none; declare it in target.classes"
        return None

    def _read(self, where: Path | str) -> bytes:
        """The bytes of a picture. Raises DataError."""
        if isinstance(where, Path):
            return _local(where)
        if where.startswith("s3://"):
            return self._of_bucket(*where.removeprefix("s3://").partition("/")[::2])
        if "://" in where:
            return self.fetcher.fetch(where)
        return _stored(self.store, where, MAX_BYTES)

    def _of_bucket(self, bucket: str, key: str) -> bytes:
        """An object of any bucket; one that does not answer fails what it was to give, and nothing else."""
        if not is_object(bucket, key):
            raise DataError("names no object of a bucket")
        try:
            return _stored(self.buckets(bucket), key, self.fetcher.max_bytes)
        except StoreUnavailable as error:
            raise DataError(f"cannot be read: {error.message}") from error


def _local(path: Path) -> bytes:
    """A plain file of this machine: a pipe would wait for whoever writes to it, a device never end."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            raise DataError("is no plain file")
        if found.st_size > MAX_BYTES:
            raise _too_large(MAX_BYTES)
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({(error.strerror or 'unreadable').lower()})") from error
    except ValueError:  # a NUL byte
        raise DataError("is no path") from None


def _stored(store: Store, key: str, most: int) -> bytes:
    try:
        if store.head(key).size > most:
            raise _too_large(most)
        return store.get(key).data
    except NotFoundError as error:
        raise DataError("is not there") from error


def _too_large(most: int) -> DataError:
    return DataError(f"is larger than {most:,} bytes")
