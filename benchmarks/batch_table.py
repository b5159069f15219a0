"""What the batch benchmark found: the ratios that have bounds, what stands beside them, and all of it as a table."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.batch_sides import Side
from benchmarks.figures import Beside, Figure, Key
from benchmarks.measuring import spread

COMMAND = "python -m benchmarks.batch"
LARGE = ", ten times the rows"
AGREEING = {name: f"pandas {name}" for name in ("csv", "parquet", "csv boosted", "parquet boosted")}
RATIOS = {
    **{f"{name}: ours to pandas + scikit-learn": (name, f"pandas {name}") for name in AGREEING},
    **{f"{name}: ours to polars + scikit-learn": (name, f"polars {name}") for name in AGREEING},
    "reading CSV: our reader, typed cells, to Arrow's stream": ("read typed", "read arrow"),
    "reading CSV: our reader, typed cells, to polars": ("read typed", "read polars"),
}
SHARES = {
    "time to score CSV to that of the same process, which only reads and checks": ("csv", "read checked"),
    "time to score CSV to that of our reader alone, which checks nothing": ("csv", "read typed"),
    "time to score CSV to that of Arrow's stream alone, which checks nothing": ("csv", "read arrow"),
}
INCLUDES = (
    "both: a fresh process from its start to its end: imports, loading the model, reading {rows:,} rows of 20 mixed "
    "columns, preparing and scoring them, writing Parquet. Ours also: the model from a local S3, its digests, every "
    "cell checked against the spec. Both as they come: ours with a thread a core; pandas reads the whole file"
)


def figures(found: dict[str, Side], rows: int) -> list[Figure]:
    """The ratios that have bounds, as far as they were measured."""
    includes = INCLUDES.format(rows=rows)

    def faster(key: Key, *names: str) -> Figure:
        """The worst of some ratios of speed."""
        ratios = {name: 1 / slower(found, name, f"pandas {name}") for name in names}
        sides = "; ".join(
            f"{name}: {seconds_of(found[name])}, pandas {seconds_of(found[f'pandas {name}'])}, {ratio:.2f}"
            for name, ratio in ratios.items()
        )
        return Figure(key, min(ratios.values()), sides, includes, COMMAND)

    speed = [
        faster(Key.BATCH_CSV, "csv"),
        faster(Key.BATCH_PARQUET, "parquet"),
        faster(Key.BATCH_BOOSTED, "csv boosted", "parquet boosted"),
    ]
    return [*speed, _memory(found, rows)] if f"csv{LARGE}" in found else speed


def _memory(found: dict[str, Side], rows: int) -> Figure:
    """The worse of CSV and Parquet."""
    peaks = {kind: (peak_of(found[kind]), peak_of(found[f"{kind}{LARGE}"])) for kind in ("csv", "parquet")}
    sides = "; ".join(
        f"{kind}: {many:.0f} MB of ten times the rows, {few:.0f} MB" for kind, (few, many) in peaks.items()
    )
    includes = f"the peak resident memory of the one process that scores, with {10 * rows:,} rows and with {rows:,}"
    worse = max(many / few for few, many in peaks.values())
    return Figure(Key.BATCH_MEMORY, worse, sides, includes, COMMAND)


def beside(found: dict[str, Side], rows: int) -> list[Beside]:
    """Rows a second and memory of each side, and of the rival that has no bound its ratio."""
    texts = [Beside(f"batch, {name}", "; ".join(_told(side, rows, name)), COMMAND) for name, side in found.items()]
    return texts + [
        Beside(f"batch rows/s, {text}", f"{1 / slower(found, *pair):.2f}", COMMAND)
        for text, pair in RATIOS.items()
        if pair[0] in found and pair[1] in found and "pandas" not in pair[1]
    ]


def _told(side: Side, rows: int, name: str) -> Iterator[str]:
    count = 10 * rows if name.endswith(LARGE) else rows
    yield f"{count / median_of(side) / 1000:,.0f} k rows/s"
    yield f"{peak_of(side):,.0f} MB"
    yield f"{statistics.median(report.cpu for report in side.reports):.1f} s of processors"


def table(found: dict[str, Side], rows: int, same: dict[str, float]) -> str:
    """What each side took, and every ratio."""
    lines = ["", f"| {rows:,} rows | seconds, median (quartiles) | rows/s | peak | processors |", "|---" * 5 + "|"]
    for name, side in found.items():
        lines.append(f"| {name} | {seconds_of(side)} | {' | '.join(_told(side, rows, name))} |")
    lines.append("")
    for text, pair in (RATIOS | SHARES).items():
        if pair[0] in found and pair[1] in found:
            ratio = slower(found, *pair)
            lines.append(f"{text}: {ratio:.2f}" if text in SHARES else f"{text}: {1 / ratio:.2f} times the rows/s")
    lines += [f"same class as the rival, {name}: {share:.2%}" for name, share in same.items()]
    return "\n".join(lines)


def slower(found: dict[str, Side], one: str, other: str) -> float:
    """How many times as long as ``other`` it took ``one``, by medians."""
    return median_of(found[one]) / median_of(found[other])


def median_of(side: Side) -> float:
    """Seconds."""
    return statistics.median(report.seconds for report in side.reports)


def peak_of(side: Side) -> float:
    """Megabytes: the median of the peaks."""
    return statistics.median(report.peak_mb for report in side.reports)


def seconds_of(side: Side) -> str:
    return "{median:.2f} s ({low:.2f} to {high:.2f})".format(**spread([report.seconds for report in side.reports]))
