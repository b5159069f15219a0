"""Real, messy data, from a landed file to a version: the drafted spec must reach what a good model reaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from perennial.datasets.draft import draft_spec
from perennial.datasets.landing import land
from perennial.datasets.load import load_split
from perennial.datasets.snapshot import snapshot
from perennial.spec_source import parse_spec
from perennial.store import memory_store
from perennial.training.build import build_version
from perennial.training.candidate import train_candidate
from perennial.training.outcome import TrainedCandidate


@pytest.mark.parametrize(
    ("data", "target", "id_column", "candidate", "metric", "least"),
    [
        ("student_depression", "Depression", "id", "logistic", "accuracy", 0.84),
        ("telco_churn", "Churn", "customerID", "logistic", "roc_auc", 0.845),
        ("adult_census", "income", None, "xgboost", "roc_auc", 0.92),
    ],
)
def test_a_drafted_candidate_reaches_what_a_good_model_reaches(
    real_data: Path, data: str, target: str, id_column: str | None, candidate: str, metric: str, least: float
) -> None:
    file = real_data / f"{data}.csv"
    spec = parse_spec(draft_spec(file, target, id_column, name=data.replace("_", "-")).text)
    store = memory_store()
    land(store, spec, file)
    dataset = snapshot(store, spec).manifest
    train, holdout = load_split(store, spec, dataset, "train"), load_split(store, spec, dataset, "holdout")
    trained = train_candidate(spec, candidate, train, holdout.x, dataset.classes, progress=lambda text: None)
    assert isinstance(trained, TrainedCandidate), trained
    built = build_version(
        spec=spec,
        candidate=trained,
        holdout=holdout,
        dataset=dataset.id,
        classes=dataset.classes,
        code="c0de",
        run="run-1",
        progress=lambda text: None,
    )
    found = built.manifest.metrics[metric]
    assert found.value >= least
    assert found.low is not None and found.high is not None
    assert 0 < found.high - found.low < 0.06
    assert built.manifest.parity.max_difference <= 1e-6
    assert abs(built.manifest.cross_validation.value - built.manifest.metrics[spec.metric].value) < 0.03
