"""What scoring rows of files by functions costs; Spark's figures stand in ``docs/batch-scoring.md``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from perennial.costs.lines import Line, number
from perennial.costs.prices import Prices
from perennial.costs.serving import GB
from perennial.costs.usage import Assumptions, Usage


def row_lines(usage: Usage, prices: Prices, assumed: Assumptions) -> Iterator[Line]:
    """Files of a million rows of CSV each, from the upload to the result."""
    rows = Decimal(usage.rows)
    files = Decimal(math.ceil(rows / assumed.file_rows))
    speed = number(assumed.rows_per_second) * number(assumed.speed)
    seconds = rows / speed + files * number(assumed.start_seconds)
    told = f"{files:,} files of at most {assumed.file_rows:,} rows"
    yield Line("rows", "scoring function, calls", prices["lambda.calls"], files, told)
    yield Line(
        "rows", "scoring function, time", prices["lambda.gb_seconds"], seconds * number(assumed.score_gb),
        f"({usage.rows:,} rows ÷ {assumed.rows_per_second:,} rows/s ÷ {assumed.speed:g}"
        f" + {files:,} x {assumed.start_seconds:g} s) x {assumed.score_gb:.2f} GB",
    )  # fmt: skip
    reads = Decimal(math.ceil(rows * assumed.row_bytes / assumed.read_bytes)) + files * assumed.file_gets
    in_gb = f"{rows * assumed.row_bytes / GB:,.1f} GB"
    yield Line(
        "rows", "S3, reading", prices["s3.gets"], reads,
        f"{in_gb} ÷ {assumed.read_bytes >> 20} MiB + {assumed.file_gets} a file",
    )  # fmt: skip
    puts = files * (assumed.file_puts + 1)
    yield Line("rows", "S3, writing", prices["s3.puts"], puts, f"{assumed.file_puts} a file, and its upload")
    yield Line("rows", "events of these objects", prices["events"], puts, "one each")
    yield Line("rows", "queue", prices["sqs.requests"], files * 3, "sent, received, deleted")
