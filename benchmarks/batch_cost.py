"""What scoring so many rows takes and costs on AWS, worked out from rates that were measured here.

`python -m benchmarks.batch_cost --rate 500000` prints the table for functions and for Spark, and every assumption in
it; `python -m benchmarks.spark` measures the rates and prints the same. Nothing here was measured on AWS.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass, fields, replace
from typing import Protocol

CASES = ((1_000_000, 1_000_000), (1_000_000_000, 1_000_000), (100_000_000_000, 10_000_000))
"""Rows, and how many of them each file has: a run of a schedule takes 10,000 files."""
HOUR = 3600.0


@dataclass(frozen=True)
class Rates:
    """Of one processor here, in a second: ``rows`` of CSV scored and written, bytes ``scanned`` for a plan."""

    rows: float
    scanned: float = 300e6


@dataclass(frozen=True)
class Data:
    """The files: ``row_bytes`` of a row of 20 columns as CSV, ``out_bytes`` of what is written of it, as CSV too."""

    row_bytes: float = 194
    out_bytes: float = 67
    file_rows: int = 1_000_000
    part_bytes: int = 256 << 20

    def files(self, rows: int) -> int:
        return math.ceil(rows / self.file_rows)

    def parts(self) -> int:
        """Of each file."""
        size = self.file_rows * self.row_bytes
        return 1 if size <= 1.5 * self.part_bytes else math.ceil(size / self.part_bytes)


@dataclass(frozen=True)
class Cloud:
    """``speed``: a processor there to one here, waiting for S3 included. US dollars, us-east-1, November 2026.

    Prices of functions (arm64) and of S3 are those of the public price lists; those of EMR Serverless (x86) are
    second-hand. S3 is asked once for each ``read_bytes`` of input, twice where a file is cut in parts, and for the
    small objects of each file and part ``asked_small`` and ``put_small`` times.
    """

    speed: float = 0.7
    second_of_gb: float = 0.0000133334
    million_calls: float = 0.20
    vcpu_hour: float = 0.052624
    gb_hour: float = 0.0057785
    thousand_puts: float = 0.005
    thousand_gets: float = 0.0004
    read_bytes: int = 4 << 20
    asked_small: int = 10
    put_small: int = 8


@dataclass(frozen=True)
class Functions:
    """As in ``template.yaml``: one processor each. ``start`` seconds for each call, though most find a warm one."""

    side_by_side: int = 20
    gb: float = 1769 / 1024
    start: float = 1.5
    behind: float = 10.0
    """Seconds from the event to the first call, and until the last small object is written."""


@dataclass(frozen=True)
class Emr:
    """As in ``infra/spark/template.yaml``. ``start`` seconds until all workers are there, and they are paid from then.

    A worker is paid for a minute at least.
    """

    executors: int = 15
    executor_vcpus: int = 4
    executor_gb: float = 8
    driver_vcpus: int = 2
    driver_gb: float = 4
    start: float = 120.0
    setting_up: float = 20.0
    """Seconds of the session, and of Python on each worker."""
    least: float = 60.0


@dataclass(frozen=True)
class Estimate:
    """``seconds`` until all is scored, and dollars for machines and for requests to S3."""

    seconds: float
    machines: float
    requests: float

    @property
    def dollars(self) -> float:
        return self.machines + self.requests


class Engine(Protocol):
    def __call__(self, rows: int, rates: Rates, data: Data, cloud: Cloud) -> Estimate: ...


def processor_seconds(rows: int, rates: Rates, data: Data, cloud: Cloud) -> float:
    """Of one processor in the cloud, for all rows; what is cut in parts is looked through before, and joined after."""
    work = rows / rates.rows
    if data.parts() > 1:
        work += rows * (data.row_bytes + 2 * data.out_bytes) / rates.scanned
    return work / cloud.speed


def requests(rows: int, data: Data, cloud: Cloud) -> float:
    """Dollars that S3 takes for them."""
    pieces = data.files(rows) * data.parts()
    passes = 1 if data.parts() == 1 else 2
    gets = rows * data.row_bytes * passes / cloud.read_bytes + pieces * cloud.asked_small
    puts = pieces * cloud.put_small
    return (gets * cloud.thousand_gets + puts * cloud.thousand_puts) / 1000


def by_functions(
    rows: int, rates: Rates, data: Data = Data(), cloud: Cloud = Cloud(), given: Functions = Functions()
) -> Estimate:
    """Scored by Lambda functions, a file or part each."""
    calls = data.files(rows) * (1 if data.parts() == 1 else data.parts() + 2)
    busy = processor_seconds(rows, rates, data, cloud) + calls * given.start
    at_once = min(given.side_by_side, calls)
    machines = busy * given.gb * cloud.second_of_gb + calls * cloud.million_calls / 1e6
    return Estimate(given.behind + busy / at_once, machines, requests(rows, data, cloud))


def by_spark(rows: int, rates: Rates, data: Data = Data(), cloud: Cloud = Cloud(), given: Emr = Emr()) -> Estimate:
    """Scored by one job on EMR Serverless, which starts as many executors as it has work for."""
    pieces = data.files(rows) * data.parts()
    executors = min(given.executors, math.ceil(pieces / given.executor_vcpus))
    at_once = min(executors * given.executor_vcpus, pieces)
    paid = max(given.least, given.setting_up + processor_seconds(rows, rates, data, cloud) / at_once)
    vcpus = given.driver_vcpus + executors * given.executor_vcpus
    gb = given.driver_gb + executors * given.executor_gb
    machines = paid / HOUR * (vcpus * cloud.vcpu_hour + gb * cloud.gb_hour)
    return Estimate(given.start + paid, machines, requests(rows, data, cloud))


ENGINES: dict[str, Engine] = {"Lambda": by_functions, "Spark": by_spark}


def table(rates: Rates, data: Data = Data(), cloud: Cloud = Cloud()) -> str:
    """Markdown: a line for each number of rows and engine."""
    lines = ["| rows | files | CSV | engine | time | machines | S3 requests | together |", "|---" * 8 + "|"]
    for rows, file_rows in CASES:
        cut = replace(data, file_rows=file_rows)
        for name, engine in ENGINES.items():
            found = engine(rows, rates, cut, cloud)
            size = f"{rows * data.row_bytes / 1e9:,.1f} GB"
            money = " | ".join(f"${value:,.4f}" if value < 1 else f"${value:,.2f}" for value in (
                found.machines, found.requests, found.dollars))  # fmt: skip
            lines.append(f"| {rows:,} | {cut.files(rows):,} | {size} | {name} | {duration(found.seconds)} | {money} |")
    return "\n".join(lines)


def duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"


def assumptions(rates: Rates, data: Data = Data(), cloud: Cloud = Cloud()) -> str:
    """Every number that the table rests on."""
    groups = (rates, data, cloud, Functions(), Emr())
    return "\n".join(
        f"{type(group).__name__}: " + ", ".join(f"{one.name}={getattr(group, one.name):,}" for one in fields(group))
        for group in groups
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch_cost", description=__doc__)
    parser.add_argument("--rate", type=float, required=True, help="rows that one processor here scores in a second")
    rates = Rates(parser.parse_args(arguments).rate)
    print(table(rates), "", assumptions(rates), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
