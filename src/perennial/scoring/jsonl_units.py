"""A file of JSON Lines, or a part of one, as units of a few thousand rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from perennial.scoring.blocks import line_blocks
from perennial.scoring.encoding import WINDOWS_WARNING, encoding_of
from perennial.scoring.json_line import Unreadable, record_of, text_of_line
from perennial.scoring.jsonl_rows import JsonRows
from perennial.scoring.results import Dialect, Unit
from perennial.scoring.source import Source
from perennial.scoring.text import text_rows
from perennial.serving.batch_job import BatchPart
from perennial.spec import ModelSpec


def jsonl_names(head: bytes) -> tuple[str, ...]:
    """The names that the first lines of a file give to values, in the order in which they first appear.

    A line that is no record, such as a last one that is cut off, says nothing.
    """
    names: dict[str, None] = {}
    encoding = encoding_of(head[: head.rfind(b"\n") + 1] or head)
    for line in head.split(b"\n"):
        try:
            names.update(dict.fromkeys(record_of(text_of_line(line, encoding))))
        except Unreadable:
            continue
    return tuple(names)


def jsonl_units(
    source: Source,
    dialect: Dialect,
    spec: ModelSpec,
    part: BatchPart | None = None,
    *,
    keep: bool | Sequence[str] = True,
) -> Iterator[Unit]:
    """The rows of a file, a unit a block: features, id, and of the other names of the dialect those to ``keep``.

    Raises:
        DataError: the source cannot be read on.
    """
    rows = JsonRows(source.name, _columns(dialect.names, spec, keep), spec)
    encoding = dialect.encoding
    for block in line_blocks(text_rows(source, dialect, part)):
        warnings: tuple[str, ...] = ()
        if encoding is None:
            encoding = encoding_of(block.data)
            warnings = (WINDOWS_WARNING,) if encoding == "cp1252" else ()
        if block.kind == "long":
            yield Unit(partial(rows.too_long, block.data), block.end, warnings=warnings)
        else:
            yield Unit(partial(rows.read, block.data, encoding), block.end, warnings=warnings)


def _columns(names: Sequence[str], spec: ModelSpec, keep: bool | Sequence[str]) -> tuple[str, ...]:
    """What is read of each record. A feature may come up in later lines only; what nobody asks for is left alone."""
    kept = names if keep is True else [name for name in keep or () if name in names]
    identity = [spec.id] if spec.id is not None and spec.id in names else []
    return tuple(dict.fromkeys([*spec.features, *identity, *kept]))
