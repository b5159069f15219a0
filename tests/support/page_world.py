"""A model with a past: versions promoted, rejected, rolled back and waiting, and a month of monitoring passes.

Everything is made by the classes that make it in production; the drift and the decay are played.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from functools import cache

from perennial import keys
from perennial.jobs.results import ApprovalAnswer, OutcomeResult
from perennial.monitoring.results import (
    DriftReport,
    FeatureDrift,
    FeatureQuality,
    MetricNow,
    MonitorReport,
    PerformanceReport,
    QualityReport,
)
from perennial.registry.gate import Champion, Comparison, Decision, decide, record_decision
from perennial.registry.log import LogEntry
from perennial.registry.manifest import ModelManifest
from perennial.registry.registry import Registry
from perennial.spec import GatePolicy, canonical
from perennial.store import Store
from perennial.training.build import Version, build_version
from perennial.training.candidate import train_candidate
from perennial.training.outcome import TrainedCandidate
from tests.support import training as cases

MODEL = "shop-churn"
START = datetime(2026, 10, 20, 3, tzinfo=UTC)
STEP = timedelta(hours=6)
FEATURES = ("number", "color", "group", "day")


def at(day: float) -> datetime:
    return START + timedelta(days=day)


@cache
def trained(run: str, estimator: str = "linear", seed: int = 3) -> Version:
    """A version that was really trained, exported and evaluated; another run is another version."""
    policy = GatePolicy.model_validate({"minimum": {"roc_auc": 0.8}, "slices": {"group": {"maximum_gap": 0.2}}})
    kinds = {"linear": cases.LOGISTIC, "tree": cases.TREE, "boosted": cases.BOOSTED}
    problem = cases.mixed(400, seed).having(name=MODEL, gate=policy, candidates={estimator: kinds[estimator]})
    outcome = train_candidate(
        problem.spec, estimator, problem.train, problem.holdout.x, problem.classes, progress=lambda text: None
    )
    assert isinstance(outcome, TrainedCandidate)
    return build_version(
        spec=problem.spec,
        candidate=outcome,
        holdout=problem.holdout,
        dataset="d" * 64,
        classes=problem.classes,
        code="c0de" * 10,
        run=run,
        progress=lambda text: None,
    )


def publish(store: Store, version: Version, day: float, champion: ModelManifest | None = None) -> Decision:
    """Register a version, let the gate judge it against a champion, and note how the run ended."""
    manifest = version.manifest
    Registry(store).publish(manifest, version.files)
    against = compared(champion, manifest) if champion else None
    operation = f"gate-{manifest.run}-{manifest.spec_digest[:12]}"
    decision = record_decision(store, manifest.model, operation, decide(manifest, against))
    outcome = OutcomeResult(
        model=manifest.model,
        run=manifest.run,
        dataset=manifest.dataset,
        trained=True,
        at=at(day),
        because="1,204 new rows with their truth, at least 1,000 were waited for",
        version=manifest.version,
        candidate=manifest.candidate,
        passed=decision.passed,
    )
    key = keys.outcome(manifest.model, manifest.version)
    store.put_new(key, canonical(outcome.model_dump(mode="json")))
    return decision


def compared(champion: ModelManifest, challenger: ModelManifest) -> Champion:
    """Champion against challenger on the holdout, and on the newest rows, where both do a little worse."""
    theirs, ours = ({name: one.value for name, one in each.metrics.items()} for each in (champion, challenger))
    gain = ours["roc_auc"] - theirs["roc_auc"]
    holdout = Comparison(
        rows=80, champion=theirs, challenger=ours, gain=gain, low=gain - 0.03, high=gain + 0.03,
        p_value=0.21, mcnemar=0.5,
    )  # fmt: skip
    lower = {name: value - 0.05 for name, value in theirs.items()}
    window = holdout.model_copy(update={"rows": 64, "champion": lower, "trusted": False})
    return Champion(version=champion.version, holdout=holdout, window=window)


def promote(store: Store, version: Version, day: float, by: str = "perennial") -> LogEntry:
    manifest = version.manifest
    return Registry(store).promote(
        manifest.model,
        manifest.version,
        op_id=f"promote-{manifest.run}",
        actor=by,
        reason=f"passed the gate in run {manifest.run}",
        now=at(day),
    )


def live(store: Store) -> dict[str, str]:
    """A month in the life of the model; returns its versions by what became of them."""
    first, second = trained("run-1", "tree"), trained("run-2", "boosted")
    worse, rejected, waiting = trained("run-3", "boosted"), trained("run-4"), trained("run-5", seed=6)
    publish(store, first, 0)
    promote(store, first, 0.01)
    publish(store, second, 8, first.manifest)
    promote(store, second, 8.01)
    publish(store, rejected, 15, second.manifest)
    publish(store, worse, 21, second.manifest)
    promote(store, worse, 21.01, "Ada")
    Registry(store).rollback(
        MODEL, op_id="back", actor="perennial", reason="smoke test failed: no answer", now=at(21.02)
    )
    publish(store, waiting, 29, second.manifest)
    ask(store, waiting, 29.01)
    watch(store, 120, second.manifest)
    found = {"former": first, "champion": second, "rejected": rejected, "rolled_back": worse, "waiting": waiting}
    return {name: version.manifest.version for name, version in found.items()}


def ask(store: Store, version: Version, day: float) -> None:
    request = {"at": at(day).isoformat(), "until": at(day + 3).isoformat()}
    store.put_new(keys.approval_request(MODEL, version.manifest.version), canonical(request))


def answer(store: Store, version: str, *, approved: bool, day: float) -> None:
    said = ApprovalAnswer(
        version=version, approved=approved, by="Grace <b>Hopper</b>", at=at(day), reason="too few labels"
    )
    store.put_new(keys.approval(MODEL, version), canonical(said.model_dump(mode="json")))


def watch(store: Store, passes: int, champion: ModelManifest, reports: int = 2) -> None:
    """Monitoring passes every six hours; the newest ``reports`` still have their HTML."""
    for number in range(passes):
        report = monitor_report(number, champion.version)
        store.put_new(keys.monitor_summary(MODEL, report.run), report.model_dump_json().encode())
        if number >= passes - reports:
            for name in ("quality.html", "drift.html"):
                store.put_new(keys.monitor_file(MODEL, report.run, name), f"<h1>{name}</h1>".encode())


def monitor_report(number: int, champion: str, labels: int | None = None, model: str = MODEL) -> MonitorReport:
    """Pass ``number``: one feature drifts slowly, and accuracy decays with it."""
    until = START + number * STEP
    labels = min(12 + number * 9, 900) if labels is None else labels
    served = 900 + round(300 * math.sin(number / 4))
    return MonitorReport(
        model=model,
        run=f"{until:%Y%m%dT%H%M%SZ}-0a1b2c3d",
        since=until - timedelta(days=7),
        until=until,
        champion=champion,
        generation=2,
        rows=served - 5,
        quality=_quality(served, labels),
        drift=_drift(number, served - 5),
        performance=_performance(number, champion, labels),
        html=("quality.html", "drift.html"),
        retrain=number % 40 == 38,
        reasons=("drift: 2 of 3 features moved",) if number > 76 else (),
        blocked="the last training was 3 hours ago, and the cooldown is 6 hours" if number == 119 else None,
    )


def _quality(served: int, labels: int) -> QualityReport:
    features = tuple(
        FeatureQuality(feature=name, missing=0.1, baseline_missing=0.09, out_of_range=0.0, unseen=0.02)
        for name in FEATURES
    )
    return QualityReport(
        status="problems", reasons=("5 of 905 predictions were lost on the way",), rows=served - 5, served=served,
        lost=5, duplicates=2, labels=labels, unmatched_labels=1, contradicted=0, features=features,
    )  # fmt: skip


def _drift(number: int, rows: int) -> DriftReport:
    values = (0.04 + number * 0.003, 0.05 + max(0, number - 60) * 0.004, 0.03 + 0.01 * math.sin(number), None)
    features = tuple(
        FeatureDrift(
            feature=name,
            kind="category" if name in ("color", "group") else "date" if name == "day" else "number",
            statistic="total_variation" if name in ("color", "group") else "kolmogorov_smirnov",
            value=value,
            p_value=None if value is None else 0.5 * math.exp(-20 * value),
            threshold=0.1,
            moved=None if value is None else value >= 0.1,
            baseline_rows=320,
            window_rows=0 if value is None else rows,
            note="the champion's training data do not have it" if value is None else "",
        )
        for name, value in zip(FEATURES, values, strict=True)
    )
    moved = sum(bool(feature.moved) for feature in features)
    return DriftReport(
        status="drift" if moved / 3 >= 0.5 else "ok", why=f"{moved} of 3 features moved", rows=rows, needed=100,
        judged=3, moved=moved, share=moved / 3, bound=0.5, features=features,
    )  # fmt: skip


def _performance(number: int, champion: str, labels: int) -> PerformanceReport:
    known = labels >= 200
    value = 0.9 - max(0, number - 40) * 0.002
    margin = 1.6 / math.sqrt(max(labels, 1))
    why = f"roc_auc {value:.3f} on {labels} labels" if known else f"only {labels} labels of 200"
    status = "unknown" if not known else "decay" if value + margin < 0.85 else "ok"
    metrics = tuple(
        MetricNow(
            metric=name, value=value - less if known else None, low=value - less - margin if known else None,
            high=value - less + margin if known else None, holdout=0.91 - less, bound=0.85 if less == 0 else None,
            verdict=status, why=why,
        )
        for name, less in (("roc_auc", 0.0), ("accuracy", 0.06))
    )  # fmt: skip
    return PerformanceReport(status=status, why=why, version=champion, labels=labels, needed=200, metrics=metrics)
