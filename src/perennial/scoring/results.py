"""What passes between the parts of the scorer: how a file is written, its pieces, and the rows that came of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from perennial.datasets.reading import RawFile
from perennial.serving.batch_job import BatchCounts, Preview
from perennial.spec_images import DESCRIPTORS

Format = Literal["csv", "jsonl", "parquet", "zip", "picture"]
Encoding = Literal["utf-8", "cp1252", "utf-16-le", "utf-16-be"]

FILE = "file"
"""The column of results that says where a picture was found."""


class Dialect(BaseModel):
    """How a file is written, found once and then true of every part of it.

    ``names`` are its columns, trimmed, in order; of JSON Lines those of the spec that its first rows name. ``body`` is
    the byte (of the unpacked text, UTF-16 taken as UTF-8) at which its first row begins. ``encoding`` is None as long
    as nothing but ASCII was seen. ``warnings`` are sentences for people about what was unusual. ``column`` is, of a
    listing of pictures, the one that says where they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Format
    gzip: bool = False
    delimiter: str = ","
    encoding: Encoding | None = None
    names: tuple[str, ...] = ()
    body: int = 0
    warnings: tuple[str, ...] = ()
    column: str | None = None

    @property
    def of_pictures(self) -> bool:
        """Whether its rows are pictures."""
        return self.format in ("zip", "picture") or self.column is not None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its rows; those of pictures begin with their file and what is measured of them."""
        if not self.of_pictures:
            return self.names
        own = (FILE, *DESCRIPTORS)
        return (*own, *(name for name in self.names if name not in own))


@dataclass(frozen=True)
class Unit:
    """A few thousand rows still to be parsed, which any thread may do. ``end`` is the byte of the source behind it.

    ``read`` gives the rows, numbered from 1 within the unit; it raises DataError where the file cannot be read on.
    ``text`` gives the same rows with each cell as it stands in the file, where ``read`` made numbers of some.
    ``warnings`` are sentences for people about what was unusual from here on.
    """

    read: Callable[[], RawFile]
    end: int
    text: Callable[[], RawFile] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """One row that was not scored. ``row`` is 1-based, the header excluded; ``record`` what it held, as JSON."""

    row: int
    column: str | None
    reason: str
    record: str


@dataclass(frozen=True)
class ScoredBlock:
    """The rows of one unit: ``table`` those that were scored, ``refused`` the others, ``rows`` how many both are.

    ``table`` has the scorer's schema: row (int64), id where the spec has one and the file holds it, columns kept of
    the input, prediction, one probability a class, and the model version.
    """

    table: pa.Table
    refused: tuple[Refused, ...]
    rows: int
    end: int


@dataclass(frozen=True)
class Summary:
    """A file, or a part of one, that was scored: ``counts.rows`` = ``counts.scored`` + ``counts.quarantined``."""

    counts: BatchCounts
    warnings: tuple[str, ...]
    preview: Preview
