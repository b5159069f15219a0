"""Parts: the rows of a dataset version as Parquet blobs, the same bytes from the same rows on any machine."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from perennial import keys
from perennial.datasets.manifest import Part, SplitName
from perennial.errors import IntegrityError, NotFoundError
from perennial.store import Store


def part_bytes(table: pa.Table, said: Mapping[bytes, bytes] | None = None) -> bytes:
    """Parquet under fixed settings: zstd gives equal bytes on every processor, which Snappy does not promise.

    ``said`` is kept with the file as its metadata.
    """
    plain = table.replace_schema_metadata(None).combine_chunks()
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        plain.schema,
        version="2.6",
        compression="zstd",
        compression_level=3,
        use_dictionary=True,
        data_page_version="1.0",
        store_schema=False,
    ) as writer:
        writer.write_table(plain, row_group_size=1 << 20)
        if said:
            writer.add_key_value_metadata(dict(said))
    return sink.getvalue()


def put_part(store: Store, model: str, source: str, split: SplitName, table: pa.Table) -> Part:
    """Store the rows by put-new and describe them."""
    data = part_bytes(table)
    digest = put_blob(store, model, data)
    return Part(digest=digest, source=source, split=split, rows=table.num_rows, size=len(data))


def get_part(store: Store, model: str, part: Part, schema: pa.Schema) -> pa.Table:
    """Read the rows back. Raises IntegrityError when the blob is gone, altered, or of another schema."""
    data = get_blob(store, model, part.digest)
    table = pq.read_table(pa.BufferReader(data))
    if table.schema.remove_metadata() != schema or table.num_rows != part.rows:
        raise IntegrityError(f"Part {part.digest[:12]} of model {model} does not hold what its manifest says.")
    return table


def put_blob(store: Store, model: str, data: bytes) -> str:
    """Store bytes under their SHA-256 (hex), and return it."""
    digest = hashlib.sha256(data).hexdigest()
    store.put_new(keys.dataset_blob(model, digest), data)
    return digest


def get_blob(store: Store, model: str, digest: str) -> bytes:
    """Read bytes by their SHA-256. Raises IntegrityError when they are gone or are others."""
    key = keys.dataset_blob(model, digest)
    try:
        data = store.get(key).data
    except NotFoundError as error:
        raise IntegrityError(f"{key} is gone.", remedy="Restore it, or land the data under a new model.") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise IntegrityError(f"{key} does not match its name.", remedy="Restore it from a backup.")
    return data
