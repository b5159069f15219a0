"""A Parquet file opened for reading in bounded memory, whatever the size of its row groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from perennial.errors import DataError
from perennial.scoring.source import Source, SourceFile

AHEAD_BYTES = 32 << 20
"""Where no row group is larger than this, each is fetched in a few large pieces, which is quicker from afar."""
BUFFERS_BYTES = 32 << 20
"""Where one is larger, each column is read through a buffer; all of them together have so many bytes."""
SMALLEST_BUFFER, LARGEST_BUFFER = 64 << 10, 4 << 20
PROBE_ROWS = 256
FREE_ROWS = 10_000_000
MAX_ROWS_PER_BYTE = 1000
"""More rows than this a byte of file, beyond the first FREE_ROWS, mean that the file is there to do harm."""
_ENCRYPTED = b"PARE"


class OpenParquet:
    """The metadata of a file, and its rows batch by batch. ``rows`` is how many each row group has.

    Of the metadata nothing is looked at by column: where a column is encrypted, that alone ends the process.
    """

    def __init__(self, source: Source) -> None:
        """Raises DataError where the file is damaged, encrypted, or there to do harm."""
        self._source = source
        file = _opened(source)
        self.schema = _schema(source, file)
        self._metadata = file.metadata
        self.rows = tuple(self._metadata.row_group(group).num_rows for group in range(self._metadata.num_row_groups))
        _check(source, self.rows, self._metadata.num_rows)

    def reader(self, columns: Sequence[int], texts: Sequence[int]) -> ParquetRows:
        """Reads some columns, by their places in the schema; those in ``texts``, which hold text, as dictionaries."""
        total = sum(self.rows)
        largest = self._source.size * max(self.rows, default=0) // max(total, 1)
        buffer = min(LARGEST_BUFFER, max(SMALLEST_BUFFER, BUFFERS_BYTES // max(len(columns), 1)))
        file = pq.ParquetFile(
            SourceFile(self._source),
            metadata=self._metadata,
            read_dictionary=[self.schema.names[place] for place in texts],
            pre_buffer=largest <= AHEAD_BYTES,
            buffer_size=0 if largest <= AHEAD_BYTES else buffer,
            coerce_int96_timestamp_unit="us",
            page_checksum_verification=True,
        )
        return ParquetRows(file, [self.schema.names[place] for place in columns])


class ParquetRows:
    """The rows of a file's row groups, some columns of them."""

    def __init__(self, file: pq.ParquetFile, names: Sequence[str]) -> None:
        self._file, self._names = file, names

    def batches(self, group: int, size: int) -> Iterator[pa.RecordBatch]:
        """The rows of a row group, at most ``size`` at a time.

        Raises OSError or an ArrowException from where it is damaged; other row groups are not concerned.
        """
        return self._batches(group, size, self._names)

    def _batches(self, group: int, size: int, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        found: Iterator[pa.RecordBatch] = self._file.iter_batches(
            batch_size=size, row_groups=[group], columns=names, use_threads=False
        )
        return found

    def width(self, group: int) -> int:
        """Bytes of a row in memory, as the first of a row group are. Raises as :meth:`batches` does.

        Only columns whose values are of no fixed width are read for it: a file's first pages are megabytes.
        """
        widths = {field.name: _width_of(field.type) for field in self._file.schema_arrow}
        size, rest = sum(widths[name] for name in self._names), [name for name in self._names if not widths[name]]
        for batch in self._batches(group, PROBE_ROWS, rest) if rest else ():
            return size + sum(_bytes_of(column) for column in batch.columns) // int(batch.num_rows)
        return size


def is_flat(kind: pa.DataType) -> bool:
    """Whether a column of this type holds one value a row that has a text form."""
    if isinstance(kind, pa.BaseExtensionType):
        return is_flat(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return is_flat(kind.value_type)
    return not (pa.types.is_nested(kind) or pa.types.is_interval(kind) or _is_bytes(kind))


def is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def plain(array: pa.Array) -> pa.Array:
    """A column as the scorer knows columns: text is string, or a dictionary of it that is no larger than its rows."""
    if isinstance(array, pa.ExtensionArray):
        return plain(array.storage)
    kind = array.type
    if pa.types.is_dictionary(kind):
        if kind.value_type == pa.string() and len(array.dictionary) <= len(array):
            return array
        return plain(array.dictionary_decode())
    if kind != pa.string() and (is_text(kind) or pa.types.is_null(kind)):
        return array.cast(pa.string())
    if kind == pa.duration("ns"):
        return array.cast(pa.duration("us"), safe=False)
    return array.cast(pa.time64("us"), safe=False) if kind == pa.time64("ns") else array


def is_damage(error: Exception) -> bool:
    """Whether an error that Arrow raised is about the file's content, not about how to get at it."""
    return isinstance(error, pa.ArrowException) or (isinstance(error, OSError) and error.errno is None)


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _opened(source: Source) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(SourceFile(source))
    except UnicodeDecodeError as error:
        raise _damaged(source) from error
    except (pa.ArrowException, OSError) as error:
        if not is_damage(error):
            raise
        if source.read(source.size - 4, source.size) == _ENCRYPTED:
            raise DataError("is encrypted.", file=source.name, remedy="Write it without encryption.") from error
        raise _damaged(source) from error


def _schema(source: Source, file: pq.ParquetFile) -> pa.Schema:
    try:
        return file.schema_arrow
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _damaged(source) from error


def _check(source: Source, groups: Sequence[int], rows: int) -> None:
    if min(groups, default=0) < 0 or sum(groups) != rows:
        raise _damaged(source)
    if rows > FREE_ROWS and rows > source.size * MAX_ROWS_PER_BYTE:
        raise DataError(
            f"claims {rows:,} rows, more than {MAX_ROWS_PER_BYTE:,} a byte.",
            file=source.name,
            remedy="Write it again with what it really holds.",
        )


def _damaged(source: Source) -> DataError:
    return DataError("is damaged Parquet.", file=source.name, remedy="Write or transfer it again.")


def _width_of(kind: pa.DataType) -> int:
    """Bytes of a value of a type, of which a dictionary's are its indices; 0 where they differ."""
    if isinstance(kind, pa.BaseExtensionType):
        return _width_of(kind.storage_type)
    try:
        return -(-int(kind.bit_width) // 8)
    except ValueError:
        return 0


def _bytes_of(column: pa.Array) -> int:
    """Without its dictionary, which many batches share."""
    if isinstance(column, pa.DictionaryArray):
        column = column.indices
    return int(column.nbytes)
