"""A place between Store and obstore where a test decides what each request does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from obstore.exceptions import AlreadyExistsError, GenericError, PermissionDeniedError, PreconditionError

from perennial.store import Store
from perennial.store_objects import Raw

if TYPE_CHECKING:
    from obstore import Attributes, GetOptions, GetResult, ListResult, ObjectMeta, PutMode, PutResult

T = TypeVar("T")
Around = Callable[[str, str, Callable[[], Any]], Any]
"""(operation, key, the request itself) -> its answer; may skip the request, or raise before or after it."""

Fault = Literal["pass", "fail", "lose", "conflict", "precondition", "deny", "absent"]


class Seam:
    """A :class:`perennial.store_objects.Raw` that hands every request to ``around``."""

    def __init__(self, raw: Raw, around: Around) -> None:
        self._raw = raw
        self._around = around

    def get(self, path: str, *, options: GetOptions | None = None) -> GetResult:
        return self._do("get", path, lambda: self._raw.get(path, options=options))

    def delete(self, paths: str) -> None:
        self._do("delete", paths, lambda: self._raw.delete(paths))

    def head(self, path: str) -> ObjectMeta:
        return self._do("head", path, lambda: self._raw.head(path))

    def list(self, prefix: str | None = None) -> Iterable[Sequence[ObjectMeta]]:
        return self._do("list", prefix or "", lambda: list(self._raw.list(prefix)))

    def list_with_delimiter(self, prefix: str | None = None) -> ListResult[Sequence[ObjectMeta]]:
        return self._do("folders", prefix or "", lambda: self._raw.list_with_delimiter(prefix))

    def put(
        self, path: str, file: bytes, *, attributes: Attributes | None = None, mode: PutMode, use_multipart: bool
    ) -> PutResult:
        put = self._raw.put
        return self._do(
            "put", path, lambda: put(path, file, attributes=attributes, mode=mode, use_multipart=use_multipart)
        )

    def _do(self, operation: str, key: str, request: Callable[[], T]) -> T:
        answer: T = self._around(operation, key, request)
        return answer


def perform(fault: Fault, request: Callable[[], T]) -> T:
    """One request under a fault, as obstore would report it.

    ``fail`` never reaches the bucket; ``lose`` takes effect but its answer is lost; ``conflict`` is S3's 409 to
    a conditional write that did not land; ``absent`` is a read that does not see the object.
    """
    match fault:
        case "fail":
            raise GenericError("503 Slow Down")
        case "lose":
            request()
            raise GenericError("connection reset")
        case "conflict":
            raise AlreadyExistsError("409 ConditionalRequestConflict")
        case "precondition":
            raise PreconditionError("412 PreconditionFailed")
        case "deny":
            raise PermissionDeniedError("403 AccessDenied")
        case "absent":
            raise FileNotFoundError("404 NoSuchKey")
    return request()


class Script:
    """Faults for the requests to come, in order; after the last one everything passes. Keeps what was asked."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = list(faults)
        self.requests: list[str] = []
        self.slept: list[float] = []

    def __call__(self, operation: str, key: str, request: Callable[[], T]) -> T:
        self.requests.append(operation)
        return perform(self.faults.pop(0) if self.faults else "pass", request)

    def store(self, raw: Raw) -> Store:
        """A store that follows this script, whose pauses take no time; its clock is the sum of them."""
        return Store(Seam(raw, self), sleep=self.slept.append, clock=lambda: sum(self.slept))
