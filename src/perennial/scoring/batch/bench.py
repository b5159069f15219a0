"""What the work on files is done with: the bucket and the way into it, the models, the clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from perennial.errors import IntegrityError, NotFoundError, OutOfTime
from perennial.scoring.batch.outputs import Outgoing, Uploads
from perennial.scoring.source import ObjectSource
from perennial.serving.batch_job import BatchInput
from perennial.serving.load import load
from perennial.serving.predictor import Predictor
from perennial.store import Store

KEPT_MODELS = 4
LONGEST_SECONDS = 800.0
"""What no single piece of work takes: a shift that has as much left is as good as a new one."""


class Models:
    """Verified versions of models, the last few of them kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._loaded: dict[tuple[str, str], Predictor] = {}

    def get(self, model: str, version: str) -> Predictor:
        """A version that was champion.

        Raises:
            IntegrityError: it cannot be verified, or is not in the registry.
            StoreUnavailable: S3 does not answer.
        """
        found = self._loaded.pop((model, version), None) or self._load(model, version)
        self._loaded[model, version] = found
        while len(self._loaded) > KEPT_MODELS:
            del self._loaded[next(iter(self._loaded))]
        return found

    def _load(self, model: str, version: str) -> Predictor:
        try:
            return load(self._store, model, version)
        except NotFoundError as error:  # the registry's fault, never the file's
            raise IntegrityError(f"{model} has no version {version}, which was its champion.") from error


@dataclass(frozen=True)
class Bench:
    """One bucket as a place to work in.

    ``elsewhere`` opens another bucket, by its name. ``now`` is the time (UTC) that is written down, ``clock`` seconds
    that only grow. ``part_bytes`` is about how much of a file one part takes.
    """

    store: Store
    bucket: str
    uploads: Uploads
    elsewhere: Callable[[str], Store]
    now: Callable[[], datetime]
    clock: Callable[[], float]
    part_bytes: int
    models: Models = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "models", Models(self.store))

    def store_of(self, bucket: str) -> Store:
        """This bucket, or another one by its name."""
        return self.store if bucket == self.bucket else self.elsewhere(bucket)

    def source(self, found: BatchInput, name: str) -> ObjectSource:
        """The very version of the object that is meant. ``name`` is what people call it."""
        return ObjectSource(self.store_of(found.bucket), found.key, found.size, found.etag, found.version, name)

    def outgoing(self, key: str, media_type: str) -> Outgoing:
        return Outgoing(self.store, self.uploads, key, media_type)


@dataclass(frozen=True)
class Shift:
    """The time there is. ``remaining`` gives seconds, or None where nothing ends it.

    What comes ``first`` in it is always begun: handed back, it would find no more time than this.
    """

    remaining: Callable[[], float] | None = None
    first: bool = True

    def has(self, seconds: float) -> None:
        """Raises OutOfTime where that much is not left."""
        if self.first or self.remaining is None or self.remaining() >= min(seconds, LONGEST_SECONDS):
            return
        raise OutOfTime(
            f"{self.remaining():.0f} s are left, and this may take {seconds:.0f}.", remedy="It comes again by itself."
        )
