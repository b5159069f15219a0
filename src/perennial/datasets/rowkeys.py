"""What makes rows the same row: a digest of their content, and of their identity where the spec names an id."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from perennial.datasets.arrow import numbers
from perennial.spec import ModelSpec

_BYTES = 16


@dataclass(frozen=True)
class RowKeys:
    """Per row: ``content``, equal where all columns are; ``identity``, equal where the id (and time) is.

    A row without an id has its content for identity, and is ``nameless`` where the spec names an id: ``bare`` is its
    content but for that id.
    """

    content: list[bytes]
    identity: list[bytes]
    bare: list[bytes]
    nameless: NDArray[np.bool_]


@dataclass
class KnownRows:
    """Keys of rows seen so far, to tell which others are copies of them."""

    content: set[bytes] = field(default_factory=set)
    identity: set[bytes] = field(default_factory=set)
    bare: set[bytes] = field(default_factory=set)

    @classmethod
    def of(cls, groups: Iterable[RowKeys]) -> KnownRows:
        """All rows of the groups."""
        known = cls()
        for keys in groups:
            known.add(keys, np.ones(len(keys.content), np.bool_))
        return known

    def add(self, keys: RowKeys, mask: NDArray[np.bool_]) -> None:
        """Remember the rows of the mask."""
        for place in np.flatnonzero(mask):
            self.content.add(keys.content[place])
            self.identity.add(keys.identity[place])
            self.bare.add(keys.bare[place])

    def holds(self, keys: RowKeys) -> NDArray[np.bool_]:
        """Which rows equal a known one in all columns or in their id; without an id, in all other columns."""
        rows = zip(keys.content, keys.identity, keys.bare, keys.nameless.tolist(), strict=True)
        found = (c in self.content or i in self.identity or (n and b in self.bare) for c, i, b, n in rows)
        return np.fromiter(found, np.bool_, len(keys.content))


def row_keys(table: pa.Table, spec: ModelSpec) -> RowKeys:
    """Digest every row of a validated table.

    A chronological dataset may hold one id at many times: there the identity is id and time together. A row of a
    picture is told by its bytes and its label; which of them belong together ``kinship`` tells from all rows at hand.
    """
    names = ["image", spec.target.column] if spec.input == "image" else table.column_names
    blocks = {name: _block(table.column(name)) for name in names}
    content = _digests(list(blocks.values()))
    if spec.id is None:
        return RowKeys(content, content, content, np.zeros(len(content), np.bool_))
    columns = [spec.id] if spec.time is None else [spec.id, spec.time]
    named = _digests([blocks[name] for name in columns])
    absent = table.column(spec.id).is_null().to_numpy()
    identity = [content[i] if absent[i] else key for i, key in enumerate(named)]
    return RowKeys(content, identity, _digests([blocks[name] for name in blocks if name != spec.id]), absent)


def _digests(blocks: list[NDArray[np.uint8]]) -> list[bytes]:
    rows = np.ascontiguousarray(np.concatenate(blocks, axis=1))
    width = rows.shape[1]
    whole = memoryview(rows.tobytes())
    return [hashlib.blake2b(whole[at : at + width], digest_size=_BYTES).digest() for at in range(0, len(whole), width)]


def _block(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    """A column as bytes of fixed width per row, equal where the values are. Shape [rows, width]."""
    if pa.types.is_floating(column.type):
        values = numbers(column) + 0.0  # -0.0 and 0.0 are one value
        return np.ascontiguousarray(values, "<f8").view(np.uint8).reshape(-1, 8)
    if pa.types.is_timestamp(column.type):
        moments = column.cast(pa.int64())
        ticks = np.ascontiguousarray(moments.fill_null(0).to_numpy(), "<i8").view(np.uint8).reshape(-1, 8)
        return np.column_stack([ticks, column.is_null().to_numpy().astype(np.uint8)])
    encoded = column.combine_chunks().dictionary_encode()
    texts = [hashlib.blake2b(text.encode(), digest_size=_BYTES).digest() for text in encoded.dictionary.to_pylist()]
    table = np.frombuffer(b"".join([*texts, bytes(_BYTES)]), np.uint8).reshape(-1, _BYTES)
    return np.asarray(table[encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)])
