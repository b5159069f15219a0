"""What no single field of a spec can see: contradictions between them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from perennial.spec_features import CategoryFeature
from perennial.spec_images import OWN_COLUMNS
from perennial.spec_policy import BOUNDED_BY_ONE, METRICS

if TYPE_CHECKING:
    from perennial.spec import ModelSpec

NAME = re.compile(r"^[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")


def contradictions(spec: ModelSpec) -> list[tuple[str, str]]:
    """Each (dotted key, problem and remedy) that no single field can see."""
    found: list[tuple[str, str]] = []
    if not NAME.match(spec.name) or len(spec.name) > 40:
        found.append(("name", "use lower-case letters, digits and single hyphens, at most 40, such as bike-sharing"))
    for feature in spec.features:
        if feature != feature.strip() or not feature:
            found.append((f"features.{feature}", "is empty or has white space around it; name a column of the data"))
    for role in ("id", "time"):
        if getattr(spec, role) == "":
            found.append((role, "is empty; name a column, or null"))
        if getattr(spec, role) is not None and getattr(spec, role) == spec.target.column:
            found.append((role, "is the target column; name another column or null"))
    if spec.id is not None and spec.id in spec.features:
        found.append((f"features.{spec.id}", "is the id column; take it out of features"))
    if spec.id is not None and spec.id == spec.time:
        found.append(("time", "is the id column; name another column or null"))
    if spec.time is not None and isinstance(spec.features.get(spec.time), CategoryFeature):
        found.append((f"features.{spec.time}", "is the time column; give it type: date or type: number"))
    if spec.target.column in spec.features:
        found.append((f"features.{spec.target.column}", "is the target; take it out of features"))
    found += _target_contradictions(spec)
    found += _picture_contradictions(spec) if spec.input == "image" else _table_contradictions(spec)
    if spec.metric not in METRICS[spec.task]:
        found.append(("metric", f"unknown for a {spec.task} task; use one of {', '.join(METRICS[spec.task])}"))
    for bound in ("minimum", "maximum"):
        for metric in getattr(spec.gate, bound):
            if metric not in METRICS[spec.task]:
                found.append((f"gate.{bound}.{metric}", f"unknown metric; use one of {', '.join(METRICS[spec.task])}"))
    found += [
        (f"gate.minimum.{metric}", f"can never be reached: {metric} is at most 1")
        for metric, bound in spec.gate.minimum.items()
        if bound > 1 and metric in BOUNDED_BY_ONE
    ]
    for metric in spec.retrain.performance.bounds if spec.retrain.performance else ():
        if metric not in METRICS[spec.task]:
            found.append((f"retrain.performance.{metric}", f"unknown; use one of {', '.join(METRICS[spec.task])}"))
    for column in spec.gate.slices:
        if not isinstance(spec.features.get(column), CategoryFeature):
            found.append((f"gate.slices.{column}", "is not a category feature of this model"))
    found += _job_contradictions(spec)
    for name in spec.candidates:
        if not re.match(r"^[A-Za-z][A-Za-z0-9_-]{0,39}$", name):
            found.append((f"candidates.{name}", "use a letter, then letters, digits, - and _, at most 40"))
    for name in spec.sources:
        if not NAME.match(name) or len(name) > 40:
            found.append((f"sources.{name}", "use lower-case letters, digits and single hyphens, at most 40"))
    return found


def _target_contradictions(spec: ModelSpec) -> list[tuple[str, str]]:
    target = spec.target
    if spec.task == "regression" and (target.positive is not None or target.classes is not None):
        return [("target", "a regression has no classes; remove positive and classes")]
    if target.classes is not None:
        if len(set(target.classes)) != len(target.classes) or len(target.classes) < 2:
            return [("target.classes", "name at least two different classes")]
        if spec.task == "binary" and len(target.classes) != 2:
            return [("target.classes", "a binary task has exactly two; use task: multiclass for more")]
        if target.positive is not None and target.positive != target.classes[-1]:
            return [("target.positive", "must be the last of target.classes; reorder them")]
    if spec.task == "multiclass" and target.positive is not None:
        return [("target.positive", "only a binary task has a positive class; remove it")]
    return []


def _picture_contradictions(spec: ModelSpec) -> list[tuple[str, str]]:
    assert spec.image is not None  # set where pictures are the input
    found: list[tuple[str, str]] = []
    if spec.task == "regression":
        found.append(("task", "pictures are classified; use binary or multiclass"))
    for role in ("id", "time"):
        if getattr(spec, role) is not None:
            found.append((role, "a picture is told by its content; remove it"))
    if spec.batch.engine == "spark":
        found.append(("batch.engine", "Spark scores tables, and functions pictures; remove it"))
    if spec.sources:
        found.append(("sources", "a database has no pictures; land a listing of their addresses"))
    if spec.target.column in (*OWN_COLUMNS, *spec.features):
        found.append(
            ("target.column", f"{spec.target.column!r} is what Perennial notes of a picture; use another name")
        )
    if spec.image.group is not None and spec.image.group_pattern is not None:
        found.append(("image.group_pattern", "group names a column already; keep one of the two"))
    if spec.image.group == spec.target.column:
        found.append(("image.group", "is the target column; name another"))
    for name, candidate in spec.candidates.items():
        if candidate.backbone is None and candidate.features is None and candidate.torch is None:
            found.append(
                (f"candidates.{name}", "say what it sees of a picture: backbone: NAME, or features: pixels or hog")
            )
    return found


def _job_contradictions(spec: ModelSpec) -> list[tuple[str, str]]:
    """What a job on another machine would not find there."""
    if spec.job.runner == "local":
        return []
    return [
        (
            f"candidates.{name}.weights",
            "job.runner is batch, and a job sees no file of this machine; use s3://bucket/key",
        )
        for name, candidate in spec.candidates.items()
        if candidate.weights is not None and not candidate.weights.startswith("s3://")
    ]


def _table_contradictions(spec: ModelSpec) -> list[tuple[str, str]]:
    found = [("image", "is for `input: image`; add that, or remove it")] if spec.image is not None else []
    for name, candidate in spec.candidates.items():
        given = [key for key in _OF_PICTURES if getattr(candidate, key) is not None]
        if given:
            found.append((f"candidates.{name}.{given[0]}", "is for `input: image`; remove it"))
    return found


_OF_PICTURES = ("backbone", "features", "torch", "weights", "size", "quantize")
