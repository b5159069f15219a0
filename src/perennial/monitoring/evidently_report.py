"""Makes HTML reports with Evidently. A script for an environment of its own, in which nothing of this package is.

``python evidently_report.py JOB.json`` where the file holds a list of reports, each

    {"kind": "quality" | "drift" | "performance", "current": "a.parquet", "reference": "b.parquet" or null,
     "html": "out.html", "numbers": [column...], "categories": [...], "dates": [...], and

for drift     "moved": {column: [value, whether it moved]}, "threshold": ..., "share": ...: the findings themselves, so
              that the report never says anything else than the summary beside it;
for performance "task": ..., "target": column, "prediction": column, "classes": [class...], "chances": [column...]}.

A report that cannot be made is told on standard error, and the others are made all the same; the exit code is then 1.
It ends when its standard input does, so that it never outlives whoever started it. It speaks to no network.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

QUIET = {"DO_NOT_TRACK": "1", "ITERATIVE_DO_NOT_TRACK": "1", "MPLBACKEND": "Agg"}
STATISTIC = "perennial"


def main(job: str) -> int:
    threading.Thread(target=_follow, daemon=True).start()
    os.environ.update(QUIET)
    sys.addaudithook(refuse_network)
    warnings.filterwarnings("ignore")
    failed = False
    for each in json.loads(Path(job).read_text()):
        try:
            make(each)
        except Exception as error:  # noqa: BLE001 - whatever a library does with odd data, the other reports are wanted
            failed = True
            sys.stderr.write(f"{each['kind']}: {type(error).__name__}: {error}\n")
    return int(failed)


def make(report: dict[str, Any]) -> None:
    """One report, as one HTML file that needs nothing else."""
    from evidently import DataDefinition, Dataset, Report  # type: ignore[import-not-found]

    definition = DataDefinition(
        numerical_columns=report["numbers"],
        categorical_columns=report["categories"],
        datetime_columns=report["dates"],
        **_task(report),
    )
    files = [report[side] for side in ("current", "reference") if report[side]]
    sides = [Dataset.from_pandas(_frame(file), data_definition=definition) for file in files]
    made = Report([_preset(report)]).run(*sides)
    unfinished = Path(report["html"] + ".part")
    made.save_html(str(unfinished))
    unfinished.replace(report["html"])


def _preset(report: dict[str, Any]) -> Any:
    from evidently import presets

    match report["kind"]:
        case "quality":
            return presets.DataSummaryPreset()
        case "drift":
            _register(report["moved"], report["threshold"])
            columns = list(report["moved"])
            return presets.DataDriftPreset(columns=columns, drift_share=_share(report), method=STATISTIC)
        case _:
            return presets.RegressionPreset() if report["task"] == "regression" else presets.ClassificationPreset()


def _share(report: dict[str, Any]) -> float:
    """The share from which Evidently speaks of drift; ours is to be exceeded."""
    found = [has for _, has in report["moved"].values()]
    share: float = report["share"]
    return math.nextafter(share, math.inf) if sum(found) == share * len(found) else share


def _register(moved: dict[str, tuple[float, bool]], threshold: float) -> None:
    """Make the findings known to Evidently as a statistic of its own."""
    from evidently.legacy.calculations.stattests import registry  # type: ignore[import-not-found]
    from evidently.legacy.core import ColumnType  # type: ignore[import-not-found]

    def found(reference: Any, current: Any, kind: Any, threshold: float) -> tuple[float, bool]:
        value, has = moved[current.name]
        return value, has

    kinds = [ColumnType.Numerical, ColumnType.Categorical, ColumnType.Datetime]
    test = registry.StatTest(STATISTIC, "distance from training (0 to 1)", kinds, threshold)
    registry.register_stattest(test, found)


def _task(report: dict[str, Any]) -> dict[str, Any]:
    from evidently import BinaryClassification, MulticlassClassification, Regression

    if report["kind"] != "performance":
        return {}
    target, prediction = report["target"], report["prediction"]
    match report["task"]:
        case "regression":
            return {"regression": [Regression(target=target, prediction=prediction)]}
        case "binary":
            said = BinaryClassification(
                target=target, prediction_labels=prediction, prediction_probas=report["chances"][-1],
                pos_label=report["classes"][-1],
            )  # fmt: skip
        case _:
            said = MulticlassClassification(target=target, prediction_labels=prediction)
    return {"classification": [said]}


def _frame(file: str) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(file).to_pandas()


def refuse_network(event: str, _: tuple[Any, ...]) -> None:
    """An audit hook: no library in this process reaches anyone, whatever it was told."""
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise OSError("there is no network here")


def _follow() -> None:
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
