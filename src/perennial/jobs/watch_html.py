"""The HTML reports of a pass: what stands on each sheet, and where it goes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perennial import keys
from perennial.errors import AlreadyExistsError
from perennial.jobs.watched import Watched
from perennial.monitoring.performance import champions_own
from perennial.monitoring.reach import within_reach
from perennial.monitoring.rendering import Kind, Rendered, Sheet, interpreter, render
from perennial.monitoring.results import DriftReport
from perennial.registry.manifest import ModelManifest

MISSING = "(missing)"
MICROSECONDS = 86_400e6


def add_reports(seen: Watched, kinds: Sequence[Kind], drift: DriftReport | None = None) -> tuple[str, ...]:
    """Make those reports of a pass that are not there yet; the names of all that are there.

    One that cannot be made costs a line of progress, nothing else.

    Args:
        seen: the pass.
        kinds: which reports; ``drift`` takes what was found.
    """
    w, name = seen.w, seen.plan.name
    files: dict[Kind, str] = {kind: keys.monitor_file(w.spec.name, name, f"{kind}.html") for kind in kinds}
    missing: list[Kind] = [kind for kind, key in files.items() if not w.store.exists(key)]
    made = _render(seen, missing, drift)
    for problem in made.problems:
        w.progress(f"a report could not be made: {problem}")
    for kind, html in made.html.items():
        try:
            w.store.put_new(files[kind], html)
        except AlreadyExistsError:  # the same task, run twice at once: the first report stands
            continue
    there = (kind for kind in kinds if kind in made.html or kind not in missing)
    return tuple(f"{kind}.html" for kind in there)


def _render(seen: Watched, kinds: Sequence[Kind], drift: DriftReport | None) -> Rendered:
    sheets = []
    for sheet in (_sheet(seen, kind, drift) for kind in kinds):
        if sheet is not None:
            drawable, notes = within_reach(sheet)
            sheets.append(drawable)
            for note in notes:
                seen.w.progress(note)
    return render(interpreter(), sheets)


def _sheet(seen: Watched, kind: Kind, drift: DriftReport | None) -> Sheet | None:
    """None where there is nothing to show."""
    if kind == "performance":
        return None if isinstance(seen.champion, str) else _performance(seen, seen.champion)
    if not seen.window.rows.num_rows:
        return None
    if kind == "quality":
        return _quality(seen)
    return _drift(seen, drift) if drift else None


def _quality(seen: Watched) -> Sheet:
    """All features; beside those of training where it had the same ones."""
    features, before = seen.w.spec.features, seen.baseline
    same = all(name in before.features and before.features[name].type == one.type for name, one in features.items())
    kinds = {
        kind: [name for name, one in features.items() if one.type == kind] for kind in ("number", "category", "date")
    }
    return Sheet(
        "quality",
        seen.window.rows.select(list(features)),
        before.rows.select(list(features)) if same and before.rows.num_rows else None,
        numbers=kinds["number"],
        categories=kinds["category"],
        dates=kinds["date"],
    )


def _drift(seen: Watched, drift: DriftReport) -> Sheet | None:
    """The features that were judged and have a value on both sides; dates as days, which Evidently can draw."""
    now, before = seen.window.rows, seen.baseline.rows
    judged = [one for one in drift.features if one.moved is not None]
    found = {
        one.feature: (one.value, one.moved)
        for one in judged
        if not _empty(now, one.feature) and not _empty(before, one.feature)
    }
    if not found:
        return None
    categories = [name for name in found if seen.w.spec.features[name].type == "category"]
    return Sheet(
        "drift",
        _drawable(now, list(found)),
        _drawable(before, list(found)),
        numbers=[name for name in found if name not in categories],
        categories=categories,
        more={"moved": found, "threshold": seen.w.spec.monitor.effect, "share": drift.bound},
    )


def _performance(seen: Watched, champion: ModelManifest) -> Sheet | None:
    """The champion's answers beside the truth, which is called as in the spec."""
    found = champions_own(champion, seen.truth)
    task, classes = champion.spec.task, champion.classes
    target = champion.spec.target.column
    answer, truth = f"predicted {target}", found.rows.column(target)
    if pc.count_distinct(truth).as_py() < 2:  # of one class or value nothing can be drawn
        return None
    columns = {target: truth, answer: found.about.column("prediction")}
    chances = []
    if task == "binary":
        chances = [f"probability of {target} = {classes[-1]}"]
        given = [dict(each or ()).get(classes[-1]) for each in found.about.column("probabilities").to_pylist()]
        columns[chances[0]] = pa.array(given, pa.float64())
    told = [target, answer]
    return Sheet(
        "performance",
        pa.table(columns).drop_null(),
        None,
        numbers=told if task == "regression" else chances,
        categories=[] if task == "regression" else told,
        more={"task": task, "target": target, "prediction": answer, "classes": classes, "chances": chances},
    )


def _empty(table: pa.Table, name: str) -> bool:
    column = table.column(name)
    return bool(column.null_count == len(column)) and not pa.types.is_string(column.type)


def _drawable(table: pa.Table, names: Sequence[str]) -> pa.Table:
    columns = {}
    for name in names:
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            column = pc.divide(column.cast(pa.int64()).cast(pa.float64(), safe=False), np.float64(MICROSECONDS))
        elif pa.types.is_string(column.type):
            column = column.fill_null(MISSING)
        columns[name] = column
    return pa.table(columns)
