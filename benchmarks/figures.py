"""What a benchmark reports: ratios with what they include, the bounds they must keep, and their way through a file."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Key(StrEnum):
    """Every ratio that has a bound."""

    COLD_HANDWRITTEN = "cold start ÷ hand-written"
    COLD_BARE = "cold start ÷ bare handler"
    WARM_BARE = "warm p50 ÷ bare ort.run"
    WARM_TAIL = "warm p99 ÷ p50"
    HTTP_ONNX = "HTTP requests/s ÷ best rival on onnxruntime"
    HTTP_MLFLOW = "HTTP requests/s ÷ MLflow"
    MEMORY = "peak memory ÷ hand-written"
    BATCH_CSV = "batch rows/s ÷ pandas + scikit-learn, CSV"
    BATCH_PARQUET = "batch rows/s ÷ pandas + scikit-learn, Parquet"
    BATCH_BOOSTED = "batch rows/s ÷ pandas + scikit-learn, boosted trees"
    BATCH_MEMORY = "batch memory, 10 M rows ÷ 1 M rows"
    CYCLE = "whole cycle ÷ the same scikit-learn fits alone"
    PROMOTION = "promote to first request by the new version, requests after the refresh"
    REGISTRY_READS = "registry read cost, 10,000 versions ÷ 10"


@dataclass(frozen=True)
class Bound:
    """What a ratio must reach and what would be grand; ``tolerance`` is how far the gate lets it fall back.

    The gate refuses a ratio that is worse than its recorded one by more than the factor ``tolerance``; it measures
    with fewer runs, on whatever machine CI has, so it does not hold a ratio to ``must`` itself. One that is ``exact``
    counts what no machine disturbs, and is held to it. What takes too long for a gate is not ``gated``.
    """

    must: float
    moonshot: float | None
    more_is_better: bool = False
    tolerance: float = 1.3
    exact: bool = False
    gated: bool = True

    def kept(self, value: float) -> bool:
        return value >= self.must if self.more_is_better else value <= self.must

    def grand(self, value: float) -> bool:
        if self.moonshot is None:
            return False
        return value >= self.moonshot if self.more_is_better else value <= self.moonshot

    def fell_back(self, value: float, recorded: float) -> bool:
        if self.exact:
            return not self.kept(value)
        if self.more_is_better:
            return value < recorded / self.tolerance
        return value > recorded * self.tolerance


BOUNDS = {
    Key.COLD_HANDWRITTEN: Bound(0.25, 0.15),
    Key.COLD_BARE: Bound(16, 8),
    Key.WARM_BARE: Bound(14, 8),
    Key.WARM_TAIL: Bound(2, 1.5, tolerance=1.6),
    Key.HTTP_ONNX: Bound(2, 3, more_is_better=True, tolerance=1.5),
    Key.HTTP_MLFLOW: Bound(25, 40, more_is_better=True, tolerance=1.5),
    Key.MEMORY: Bound(0.45, 0.35, tolerance=1.1),
    Key.BATCH_CSV: Bound(3.5, 4, more_is_better=True),
    Key.BATCH_PARQUET: Bound(5, 7, more_is_better=True),
    Key.BATCH_BOOSTED: Bound(2, 3, more_is_better=True),
    Key.BATCH_MEMORY: Bound(1.1, 1.0, gated=False),
    Key.CYCLE: Bound(1.5, 1.2),
    Key.PROMOTION: Bound(1, None, exact=True),
    Key.REGISTRY_READS: Bound(1, None, exact=True),
}


@dataclass(frozen=True)
class Figure:
    """One measured ratio. ``sides`` are what was divided, with their spread, as text; ``includes`` is what each did."""

    key: Key
    value: float
    sides: str
    includes: str
    command: str

    @property
    def bound(self) -> Bound:
        return BOUNDS[self.key]


@dataclass(frozen=True)
class Beside:
    """Something else that was measured in the same run and has no bound, such as a rival's own figures."""

    name: str
    text: str
    command: str


def add_options(parser: ArgumentParser) -> None:
    """The options that every benchmark of `make bench` takes."""
    parser.add_argument("--short", action="store_true", help="as few runs as a regression gate needs")
    parser.add_argument("--figures", type=Path, help="write the ratios there, for the table of results")


def write(
    path: Path | None, figures: Iterable[Figure], beside: Iterable[Beside] = (), more: Mapping[str, Any] | None = None
) -> None:
    """Leave a benchmark's figures for the table, and ``more`` beside them; nowhere where no file was asked for."""
    if path:
        found = {"figures": [asdict(one) for one in figures], "beside": [asdict(one) for one in beside], **(more or {})}
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def read(path: Path) -> tuple[list[Figure], list[Beside]]:
    """What ``write`` left."""
    found = json.loads(path.read_text())
    figures = [Figure(**{**one, "key": Key(one["key"])}) for one in found["figures"]]
    return figures, [Beside(**one) for one in found["beside"]]
