"""A large file through our scorer and through pandas with scikit-learn, in one run: rows a second, and memory.

`python -m benchmarks.batch` trains the same kinds of model for both on the same data, writes the same rows as CSV and
as Parquet, and has each side read, score and write them in fresh processes, in turns. A process is timed from its
start to its end: imports, loading the model (ours from a local S3) and writing Parquet included. Beside it stand
processes that only read. `--rows-large 10000000` scores one larger file, for its memory. Prints tables, and with
`--json FILE` writes all figures.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.batch_world import World, prepare, write_data
from benchmarks.measuring import RIVALS, local_s3, spread
from benchmarks.mixed_models import BUCKET

ROOT = Path(__file__).parents[1]
PROCESS = ROOT / "benchmarks/batch_process.py"
COMMAND = Path(sys.executable).with_name("perennial")
RATIOS = {
    "CSV, logistic: ours to pandas + scikit-learn": ("csv", "pandas csv"),
    "Parquet, logistic: ours to pandas + scikit-learn": ("parquet", "pandas parquet"),
    "CSV, boosted: ours to pandas + scikit-learn": ("csv boosted", "pandas csv boosted"),
    "Parquet, boosted: ours to pandas + scikit-learn": ("parquet boosted", "pandas parquet boosted"),
    "reading CSV: our reader, typed cells, to Arrow's stream": ("read typed", "read arrow"),
    "reading CSV: our reader, typed cells, to polars": ("read typed", "read polars"),
}
SHARES = {
    "time to score CSV to that of the same process, which only reads and checks": ("csv", "read checked"),
    "time to score CSV to that of our reader alone, which checks nothing": ("csv", "read typed"),
    "time to score CSV to that of Arrow's stream alone, which checks nothing": ("csv", "read arrow"),
}


@dataclass(frozen=True)
class Contestant:
    """What one side does, and the reports of its processes. ``out`` is the file it writes, None where it only reads."""

    command: Sequence[str | Path]
    out: Path | None = None
    reports: list[dict[str, float]] = field(default_factory=list)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the file that all read")
    parser.add_argument("--rows-large", type=int, default=0, help="rows of one more file, which only ours score, once")
    parser.add_argument("--runs", type=int, default=5, help="fresh processes of each")
    parser.add_argument("--threads", type=int, default=2, help="threads of ours that parse and score")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, local_s3() as endpoint:
        world = prepare(Path(folder), endpoint, RIVALS / "bin/python")
        write_data(world, options.rows)
        sides = contestants(world, options.rows, options.threads)
        for run in range(-1, options.runs):
            for side in sides.values():
                report = start(side.command, world)
                if run >= 0:
                    side.reports.append(report)
            print(f"\rrun {run + 1} of {options.runs}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        agreement = agreeing(sides)
        large = score_large(world, options.rows_large, options.threads) if options.rows_large else {}
    figures = {"rows": options.rows, "cpus": os.cpu_count(), "threads": options.threads, "agreement": agreement}
    figures |= summarise(sides, options.rows) | {"large": large}
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


def contestants(world: World, rows: int, threads: int) -> dict[str, Contestant]:
    """All who take part, in the order of their turns."""
    csv, parquet = world.data(rows, "csv"), world.data(rows, "parquet")
    rival, folder = RIVALS / "bin/python", ROOT / "benchmarks/rivals"

    def ours(kind: str, data: Path, name: str) -> Contestant:
        out = world.folder / f"{name}.parquet"
        return Contestant([COMMAND, "score", kind, data, out, "--threads", str(threads)], out)

    def pandas(kind: str, data: Path, name: str) -> Contestant:
        out = world.folder / f"{name}.parquet"
        return Contestant([rival, folder / "batch_pandas.py", world.folder / f"{kind}.joblib", data, out], out)

    def reads(mode: str) -> Contestant:
        return Contestant([sys.executable, "-m", "benchmarks.batch_read", mode, csv, str(threads), "logistic"])

    return {
        "csv": ours("logistic", csv, "ours-csv"),
        "pandas csv": pandas("logistic", csv, "pandas-csv"),
        "parquet": ours("logistic", parquet, "ours-parquet"),
        "pandas parquet": pandas("logistic", parquet, "pandas-parquet"),
        "csv boosted": ours("boosted", csv, "ours-boosted"),
        "pandas csv boosted": pandas("boosted", csv, "pandas-boosted"),
        "parquet boosted": ours("boosted", parquet, "ours-parquet-boosted"),
        "pandas parquet boosted": pandas("boosted", parquet, "pandas-parquet-boosted"),
        "read checked": reads("checked"),
        "read typed": reads("typed"),
        "read arrow": reads("arrow"),
        "read polars": Contestant([rival, folder / "batch_polars.py", csv]),
    }


def start(command: Sequence[str | Path], world: World) -> dict[str, float]:
    """One fresh process: its seconds, those of its processors, and its peak memory in MB."""
    environment = {
        "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": world.endpoint, "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "PERENNIAL_BUCKET": BUCKET,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-I", "-S", PROCESS, *command], env=environment, check=True, stdout=subprocess.PIPE, cwd=ROOT
    )
    report: dict[str, float] = json.loads(done.stdout)
    if report["exit"]:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {report['exit']}")
    return report


def agreeing(sides: dict[str, Contestant]) -> dict[str, float]:
    """The share of rows to which ours and the rival's model, fitted apart on the same records, give the same class."""
    shares = {}
    for name, rival in [pair for text, pair in RATIOS.items() if "scikit-learn" in text]:
        mine, theirs = (pq.read_table(sides[side].out, columns=["prediction"]) for side in (name, rival))
        same = mine.column(0).to_numpy() == theirs.column(0).to_numpy()
        shares[name] = float(same.mean())
    return shares


def score_large(world: World, rows: int, threads: int) -> dict[str, dict[str, float]]:
    """One process each for the larger CSV and Parquet."""
    write_data(world, rows)
    found = {}
    for kind in ("csv", "parquet"):
        out = world.folder / "large.parquet"
        report = start([COMMAND, "score", "logistic", world.data(rows, kind), out, "--threads", str(threads)], world)
        found[kind] = report | {"rows": rows, "rows_per_second": rows / report["seconds"]}
    return found


def summarise(sides: dict[str, Contestant], rows: int) -> dict[str, Any]:
    """Medians with quartiles of each, and the ratios that the README states."""
    found: dict[str, Any] = {}
    for name, side in sides.items():
        seconds = spread([report["seconds"] for report in side.reports])
        found[name] = {
            "seconds": seconds,
            "rows_per_second": rows / seconds["median"],
            "cpu_seconds": statistics.median(report["cpu"] for report in side.reports),
            "peak_mb": max(report["peak_mb"] for report in side.reports),
        }

    def ratio(one: str, other: str) -> float:
        return float(found[one]["seconds"]["median"] / found[other]["seconds"]["median"])

    ratios = {text: 1 / ratio(*pair) for text, pair in RATIOS.items()}
    return {"sides": found, "ratios": ratios, "shares": {text: ratio(*pair) for text, pair in SHARES.items()}}


def table(figures: dict[str, Any]) -> str:
    lines = ["", f"| {figures['rows']:,} rows | seconds, median (quartiles) | rows/s | processor | peak |",
             "|---|---|---|---|---|"]  # fmt: skip
    for name, one in figures["sides"].items():
        seconds = "{median:.2f} ({low:.2f} to {high:.2f})".format(**one["seconds"])
        rate = f"{one['rows_per_second'] / 1000:,.0f} k | {one['cpu_seconds']:.2f} s | {one['peak_mb']:.0f} MB"
        lines.append(f"| {name} | {seconds} | {rate} |")
    for kind, one in figures["large"].items():
        rate = f"{one['rows_per_second'] / 1000:,.0f} k | {one['cpu']:.2f} s | {one['peak_mb']:.0f} MB"
        lines.append(f"| {kind}, {one['rows']:,} rows | {one['seconds']:.2f} | {rate} |")
    lines.append("")
    lines += [f"{text}: {ratio:.2f} times the rows/s" for text, ratio in figures["ratios"].items()]
    lines += [f"{text}: {share:.2f}" for text, share in figures["shares"].items()]
    lines += [f"same class as the rival, {name}: {share:.2%}" for name, share in figures["agreement"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
