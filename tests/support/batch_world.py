"""A bucket that tells of its new objects, and what works on them: the scoring of files without AWS.

Every object that is created where the rules of ``template.yaml`` look leaves a message, as EventBridge would send it. A
test delivers the messages in what order, how often and to how many workers it likes, and may end a worker at any of its
requests.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from obstore.store import MemoryStore

from perennial import keys
from perennial.scoring.batch.bench import Bench, Shift
from perennial.scoring.batch.endings import Outcome
from perennial.scoring.batch.events import read_message
from perennial.scoring.batch.outputs import Upload
from perennial.scoring.batch.work import carry_out
from perennial.serving.batch_job import BatchInput, BatchResult
from perennial.store import Store
from tests.support.seam import Seam

T = TypeVar("T")
BUCKET = "data"
RULES = ("*/batch/in/*", "*/batch/requests/*", "*/batch/tasks/*")
START = datetime(2026, 11, 21, 9, tzinfo=UTC)


class Killed(BaseException):
    """The process died; no code of ours may catch this."""


def created(key: str, *, bucket: str = BUCKET, **told: Any) -> str:
    """What EventBridge says of a new object."""
    return json.dumps(
        {
            "version": "0",
            "source": "aws.s3",
            "detail-type": "Object Created",
            "detail": {"bucket": {"name": bucket}, "object": {"key": key} | told, "reason": "PutObject"},
        }
    )


@dataclass
class World:
    """One bucket, its messages that nobody took yet, and the workers' clock."""

    part_bytes: int = 1 << 30
    raw: MemoryStore = field(default_factory=MemoryStore)
    messages: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    buckets: dict[str, MemoryStore] = field(default_factory=dict)
    before: Callable[[str, str], None] = lambda operation, key: None
    _ticks: Any = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.store = Store(Seam(self.raw, self._telling))

    def _telling(self, operation: str, key: str, request: Callable[[], T]) -> T:
        self.before(operation, key)
        answer = request()
        if operation == "put":
            self.written.append(key)
            if any(fnmatchcase(key, rule) for rule in RULES):
                self.messages.append(created(key))
        return answer

    def bench(self, around: Callable[[str, str, Callable[[], Any]], Any] | None = None) -> Bench:
        """A worker; ``around`` stands between it and the bucket."""
        telling = Seam(self.raw, self._telling)
        store = Store(Seam(telling, around) if around else telling, sleep=lambda _: None)
        return Bench(
            store=store,
            bucket=BUCKET,
            uploads=MemoryUploads(store),
            elsewhere=lambda name: Store(self.buckets[name]),
            now=lambda: START + timedelta(seconds=next(self._ticks)),
            clock=lambda: float(next(self._ticks)),
            part_bytes=self.part_bytes,
        )

    def drop(self, model: str, name: str, data: bytes) -> str:
        """Put a file to be scored; gives the work on it."""
        key = keys.batch_in(model, name)
        self.store.put_new(key, data)
        head = self.store.head(key)
        return BatchInput(bucket=BUCKET, key=key, version=None, etag=head.etag, size=head.size).work

    def work(self, body: str, bench: Bench | None = None, shift: Shift | None = None) -> list[Outcome]:
        """Do what one message tells."""
        bench = bench or self.bench()
        return [carry_out(bench, told, shift or Shift()) for told in read_message(body, BUCKET)]

    def run(self, shuffled: random.Random | None = None) -> list[Outcome]:
        """Deliver messages until there are none."""
        found: list[Outcome] = []
        while self.messages:
            place = shuffled.randrange(len(self.messages)) if shuffled else 0
            found += self.work(self.messages.pop(place))
        return found

    def result(self, model: str, work: str) -> BatchResult:
        key = keys.batch_result(model, work)
        return BatchResult.from_bytes(self.store.get(key).data, key)

    def data(self, output: Any) -> bytes:
        """The bytes of an output, whose size and key a result names."""
        found = self.store.get(output.key).data
        assert len(found) == output.size
        return found

    def keys_of(self, prefix: str) -> list[str]:
        return [entry.key for entry in self.store.list(prefix)]


class MemoryUploads:
    """Uploads in parts, as S3 has them: nothing is there before they are completed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.begun: list[MemoryUpload] = []

    def begin(self, key: str, media_type: str) -> Upload:
        self.begun.append(MemoryUpload(self._store, key))
        return self.begun[-1]


class MemoryUpload:
    def __init__(self, store: Store, key: str) -> None:
        self._store, self._key = store, key
        self.parts: list[bytes] = []
        self.ended: str | None = None

    def send(self, data: bytes) -> None:
        self.parts.append(data)

    def complete(self) -> None:
        if not self._store.exists(self._key):
            self._store.put_new(self._key, b"".join(self.parts))
        self.ended = "completed"

    def abort(self) -> None:
        self.ended = "aborted"


def dying(at: int, *, after: bool) -> Callable[[str, str, Callable[[], T]], T]:
    """Ends a worker at its ``at``-th request, before it reaches the bucket or right after."""
    numbers = itertools.count(1)

    def around(operation: str, key: str, request: Callable[[], T]) -> T:
        number = next(numbers)
        if number > at or (number == at and not after):
            raise Killed
        answer = request()
        if number == at:
            raise Killed
        return answer

    return around


def csv_of(rows: Iterable[Iterable[object]], header: Iterable[str]) -> bytes:
    return "".join(",".join(map(str, row)) + "\n" for row in (list(header), *rows)).encode()
