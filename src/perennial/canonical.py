"""Canonical JSON: one value, one sequence of bytes. What hashes, ids and manifests are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from perennial.errors import IntegrityError


def canonical(value: object) -> bytes:
    """Sorted keys, no spaces, UTF-8. Raises ValueError for NaN and infinity, TypeError for what JSON cannot hold."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


class Stored(BaseModel):
    """What is named by the hash of its bytes. Read back, it keeps the very bytes it was read from.

    So a manifest of an earlier release, which lacks fields that have come since, keeps its name; one that is changed
    by ``model_copy`` is written anew.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    _bytes: bytes | None = None

    def to_bytes(self) -> bytes:
        """What is stored and hashed: canonical JSON, or the bytes it was read from."""
        return self._bytes or canonical(self.model_dump(mode="json"))

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Read stored bytes. Raises ValueError: pydantic's ValidationError, or for NaN and infinity its own."""
        found = cls.model_validate_json(data)
        if found.to_bytes() != data:
            found._bytes = data
        return found

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values, which no longer is what was read."""
        copied = super().model_copy(update=update, deep=deep)
        if update:
            copied._bytes = None
        return copied


class Keyed(BaseModel):
    """What is stored under a key of its own: canonical JSON, so that the same content has the same bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_bytes(self) -> bytes:
        """What is stored."""
        return canonical(self.model_dump(mode="json"))

    @classmethod
    def from_bytes(cls, data: bytes, key: str) -> Self:
        """Read a stored object. Raises IntegrityError naming its key."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = "".join(f"{part}: " for part in first["loc"])
            raise IntegrityError(
                f"{key} is malformed: {field}{first['msg']}.", remedy="It was not written by Perennial; restore it."
            ) from error
