"""How far a SQL source has been read: a column of dates or moments that grows with time."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from perennial.errors import DataError
from perennial.records import EPOCH

Kind = Literal["date", "moment", "zoned"]
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_REMEDY = (
    "Take a date or timestamp column, or make one in the source's query: to_timestamp(seconds) AS changed_at, for one."
)


class Watermark(BaseModel):
    """The newest value seen of a column, in microseconds since 1970.

    ``kind`` says what the column holds: dates, moments without a zone (taken as they stand), or moments with one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    kind: Kind
    newest: int

    def text(self, late: timedelta = timedelta(0)) -> str:
        """ISO 8601 of the point ``late`` behind it, as a database reads it for this kind of column."""
        moment = EPOCH + timedelta(microseconds=self.newest) - late
        if self.kind == "date":
            return moment.date().isoformat()
        return moment.isoformat(timespec="microseconds") + ("+00:00" if self.kind == "zoned" else "")


def watermarks(column: pa.ChunkedArray, name: str, source: str) -> tuple[Kind, pa.Array]:
    """What a watermark column holds, and its values as int64 microseconds since 1970, null where it has none.

    Dates may be text, as a data frame has them.

    Raises:
        DataError: it holds something else, such as numbers.
    """
    whole = column.combine_chunks()
    kind = whole.type
    try:
        if pa.types.is_timestamp(kind):
            return ("zoned" if kind.tz else "moment"), pc.cast(whole, pa.timestamp("us", kind.tz), safe=False).cast(
                "int64"
            )
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            found = pc.all(pc.match_substring_regex(whole, _DATE)).as_py()
            if found is not False:
                return "date", _days(whole.cast(pa.date32()))
        if pa.types.is_date(kind):
            return "date", _days(whole.cast(pa.date32()))
    except pa.ArrowInvalid:
        pass
    raise DataError(
        f"holds {kind}, which is no date or moment, and so cannot be the watermark.",
        file=f"source {source}",
        column=name,
        remedy=_REMEDY,
    )


def _days(dates: pa.Array) -> pa.Array:
    return dates.cast(pa.timestamp("us")).cast(pa.int64())
