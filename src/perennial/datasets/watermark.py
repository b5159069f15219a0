"""How far a SQL source has been read: a column of dates or moments that grows with time."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from perennial.errors import DataError
from perennial.records import EPOCH

Kind = Literal["date", "moment without a zone", "moment with a zone"]
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_REMEDY = (
    "Take a date or timestamp column, or make one in the source's query: to_timestamp(seconds) AS changed_at, for one."
)


class Watermark(BaseModel):
    """The newest value seen of a column, in microseconds since 1970.

    ``kind`` says what the column holds; a moment without a zone is taken as it stands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    kind: Kind
    newest: int

    def text(self, late: timedelta = timedelta(0), by: datetime | None = None) -> str:
        """ISO 8601 of the point ``late`` behind it, as a database reads it for this kind of column.

        One beyond ``by`` counts as that: a single row from the future would keep all later ones out.
        """
        newest = timedelta(microseconds=self.newest)
        if by is not None:
            newest = min(newest, by - EPOCH.replace(tzinfo=UTC))
        moment = EPOCH + max(newest - late, datetime.min - EPOCH)
        if self.kind == "date":
            return moment.date().isoformat()
        return moment.isoformat(timespec="microseconds") + ("+00:00" if self.kind == "moment with a zone" else "")


def watermarks(column: pa.ChunkedArray, name: str, source: str) -> tuple[Kind, pa.Array]:
    """What a watermark column holds, and its values as int64 microseconds since 1970, null where it has none.

    Dates may be text, as a data frame has them.

    Raises:
        DataError: it holds something else, such as numbers.
    """
    whole = column.combine_chunks()
    kind = whole.type
    if pa.types.is_timestamp(kind):
        moments = whole.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())
        return "moment with a zone" if kind.tz else "moment without a zone", moments
    if pa.types.is_date(kind) or _are_dates(whole):
        with suppress(pa.ArrowInvalid):  # 2026-02-30 looks like a date
            return "date", whole.cast(pa.date32()).cast(pa.timestamp("us")).cast(pa.int64())
    raise DataError(
        f"holds {kind}, which is no date or moment, and so cannot be the watermark.",
        file=f"source {source}",
        column=name,
        remedy=_REMEDY,
    )


def _are_dates(values: pa.Array) -> bool:
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return False
    return pc.all(pc.match_substring_regex(values, _DATE), min_count=0).as_py() is True
