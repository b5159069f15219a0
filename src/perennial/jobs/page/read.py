"""Reading what a page shows: many small objects at once, and none of them so dear that the rest is not shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from perennial.errors import IntegrityError, NotFoundError
from perennial.store import Store

READERS = 8

K = TypeVar("K")
T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Found(Generic[K, T]):
    """What could be read, in the order it was asked for, and one line for each that could not."""

    values: dict[K, T]
    left_out: tuple[str, ...]


def read_all(wanted: Sequence[K], read: Callable[[K], T]) -> Found[K, T]:
    """Read each of ``wanted``, several at a time.

    Raises:
        StoreUnavailable: S3 does not answer; what is missing or damaged is left out instead.
    """

    def attempt(one: K) -> T | IntegrityError | NotFoundError:
        try:
            return read(one)
        except (IntegrityError, NotFoundError) as error:
            return error

    with ThreadPoolExecutor(READERS) as pool:
        answers = list(pool.map(attempt, wanted))
    values: dict[K, T] = {}
    left_out = []
    for one, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, IntegrityError | NotFoundError):
            left_out.append(answer.message)
        else:
            values[one] = answer
    return Found(values, tuple(left_out))


def read_model(store: Store, key: str, kind: type[M]) -> M:
    """One stored JSON object. Raises NotFoundError, and IntegrityError naming the key and the field."""
    try:
        return kind.model_validate_json(store.get(key).data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise IntegrityError(f"{key} is damaged: {field or 'it'}: {first['msg']}.", remedy="Restore it.") from error


def find_model(store: Store, key: str, kind: type[M]) -> M | None:
    """One stored JSON object, None where there is none. Raises IntegrityError."""
    try:
        return read_model(store, key, kind)
    except NotFoundError:
        return None
