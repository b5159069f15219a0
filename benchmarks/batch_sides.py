"""Who takes part in the batch benchmark: ours, and what a user would write with pandas or polars and scikit-learn."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.batch_world import World
from benchmarks.measuring import RIVALS

COMMAND = Path(sys.executable).with_name("perennial")
SCRIPTS = Path(__file__).with_name("rivals")
KINDS = {"": "logistic", " boosted": "boosted"}


@dataclass(frozen=True)
class Report:
    """One process: its seconds, those of its processors, and its peak memory in MB, or that of its largest child."""

    seconds: float
    cpu: float
    peak_mb: float


@dataclass(frozen=True)
class Side:
    """What one side does, and the reports of its processes. ``out`` is the file it writes, None where it only reads."""

    command: Sequence[str | Path]
    out: Path | None = None
    reports: list[Report] = field(default_factory=list)


def sides(world: World, rows: int, threads: int, *, short: bool) -> dict[str, Side]:
    """All sides by name, in the order of their turns: ours, such as ``csv boosted``, each followed by its rivals."""
    python = RIVALS / "bin/python"
    found: dict[str, Side] = {}
    for suffix, model in KINDS.items():
        for kind in ("csv", "parquet"):
            data, name = world.data(rows, kind), f"{kind}{suffix}"
            out = world.folder / f"ours-{name}.parquet"
            found[name] = Side([COMMAND, "score", model, data, out, "--threads", str(threads)], out)
            for rival, script in (("pandas", "batch_pandas.py"), ("polars", "batch_polars_sklearn.py")):
                if rival == "pandas" or not short:
                    out = world.folder / f"{rival}-{name}.parquet"
                    command = [python, SCRIPTS / script, world.folder / f"{model}.joblib", data, out]
                    found[f"{rival} {name}"] = Side(command, out)
    if not short:
        csv = world.data(rows, "csv")
        for mode in ("checked", "typed", "arrow"):
            reading = [sys.executable, "-m", "benchmarks.batch_read", mode, csv, str(threads), "logistic"]
            found[f"read {mode}"] = Side(reading)
        found["read polars"] = Side([python, SCRIPTS / "batch_polars.py", csv])
    return found
