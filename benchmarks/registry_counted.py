"""A counter between our code and an object store: requests that S3 would be asked, and bytes that it would answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obstore.store import MemoryStore

from perennial.store import Store

if TYPE_CHECKING:
    from obstore import Attributes, GetOptions, GetResult, ListResult, ObjectMeta, PutMode, PutResult

PAGE = 1000
"""Keys that S3 tells in one answer."""


@dataclass
class Cost:
    """Requests of every kind; ``received`` are bytes of what was read, and of the keys that were listed."""

    requests: int = 0
    received: int = 0


class Counted:
    """A :class:`perennial.store_objects.Raw` that adds what is asked of it to ``cost``."""

    def __init__(self, raw: MemoryStore) -> None:
        self._raw = raw
        self.cost = Cost()

    def store(self) -> Store:
        return Store(self)

    def get(self, path: str, *, options: GetOptions | None = None) -> GetResult:
        self.cost.requests += 1
        found = self._raw.get(path, options=options)
        self.cost.received += found.meta["size"]
        return found

    def head(self, path: str) -> ObjectMeta:
        self.cost.requests += 1
        return self._raw.head(path)

    def put(
        self, path: str, file: bytes, *, attributes: Attributes | None = None, mode: PutMode, use_multipart: bool
    ) -> PutResult:
        self.cost.requests += 1
        return self._raw.put(path, file, attributes=attributes, mode=mode, use_multipart=use_multipart)

    def delete(self, paths: str) -> None:
        self.cost.requests += 1
        self._raw.delete(paths)

    def list(self, prefix: str | None = None) -> Iterable[Sequence[ObjectMeta]]:
        """Page by page as S3 would answer, each asked for when it is wanted."""
        found = [meta for page in self._raw.list(prefix) for meta in page]
        return self._pages(sorted(found, key=lambda meta: meta["path"]))

    def list_with_delimiter(self, prefix: str | None = None) -> ListResult[Sequence[ObjectMeta]]:
        found = self._raw.list_with_delimiter(prefix)
        told = [*found["common_prefixes"], *(meta["path"] for meta in found["objects"])]
        self.cost.requests += max(1, -(-len(told) // PAGE))
        self.cost.received += sum(len(path.encode()) for path in told)
        return found

    def _pages(self, found: Sequence[ObjectMeta]) -> Iterator[Sequence[ObjectMeta]]:
        for start in range(0, max(1, len(found)), PAGE):
            page = found[start : start + PAGE]
            self.cost.requests += 1
            self.cost.received += sum(len(meta["path"].encode()) for meta in page)
            yield page
