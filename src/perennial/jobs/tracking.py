"""What a run came to, also logged to an MLflow server: parameters, metrics, files, and the version with its alias.

S3 stays the registry; MLflow gets a copy, for teams that look there. It is written by a process of its own, which is
ended when the server is slow: the run neither fails nor waits for long.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from perennial.errors import PerennialError
from perennial.jobs.results import RegisterResult, SnapshotResult
from perennial.jobs.state import candidate_of, find_result
from perennial.jobs.tracking_data import RECORD, Logged, Record, TrackedMetric, TrackedRun
from perennial.jobs.workspace import Workspace
from perennial.registry.gate import find_decision
from perennial.registry.manifest import ModelManifest
from perennial.registry.registry import Registry
from perennial.training.outcome import CandidateReport, RefusedCandidate

WAIT_SECONDS = 60.0
"""How long all of it may take; what was not logged by then is not."""

_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "20",
}
"""Of one request, unless the environment says otherwise; MLflow's own defaults wait for minutes."""

_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def record_run(w: Workspace, *, wait: float = WAIT_SECONDS) -> Logged:
    """Log what this run has come to so far; called again, it completes what is there and moves the alias.

    Never raises; what could not be logged is said as progress.
    """
    return _send(w, lambda uri, folder: _record(w, uri, folder), wait)


def follow_champion(w: Workspace, *, wait: float = WAIT_SECONDS) -> Logged:
    """Let MLflow's alias name the champion, where MLflow knows that version. Never raises."""
    return _send(w, lambda uri, folder: _champion(w, uri), wait)


def _send(w: Workspace, make: Callable[[str, Path], Record], wait: float) -> Logged:
    uri = w.settings.mlflow_uri if w.settings else None
    if not uri:
        return Logged(note="no tracking server is named (MLFLOW_TRACKING_URI)")
    with tempfile.TemporaryDirectory(prefix="perennial-") as folder:
        try:
            logged = write(make(uri, Path(folder)), Path(folder), wait=wait)
        except PerennialError as error:
            logged = Logged(problem=error.message)
    if logged.problem:
        w.progress(f"not logged to MLflow: {logged.problem}")
    return logged


def write(record: Record, folder: Path, *, wait: float = WAIT_SECONDS) -> Logged:
    """Write a record, whose files lie in ``folder``, to its server: for at most ``wait`` seconds."""
    if urlsplit(record.uri).scheme not in ("http", "https"):
        return Logged(problem="MLFLOW_TRACKING_URI is not the http address of a server.")
    (folder / RECORD).write_text(record.model_dump_json())
    command = [sys.executable, "-m", "perennial.jobs.tracking_process", str(folder), str(int(wait) + 1)]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            command, env={**_PATIENCE, **os.environ, **_QUIET}, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=wait, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Logged(problem=f"the server did not take it within {wait:g} s.")
    if done.returncode == 0:
        return Logged.model_validate_json(done.stdout.splitlines()[-1])
    lines = done.stderr.strip().splitlines() or [f"the process ended with code {done.returncode}"]
    return Logged(problem=_without_credentials(lines[-1], record.uri)[:400])


def _record(w: Workspace, uri: str, folder: Path) -> Record:
    """What there is to log, its files written into ``folder``."""
    registered = find_result(w, "register", RegisterResult)
    manifest = Registry(w.store).manifest(w.spec.name, registered.version) if registered else None
    runs = []
    for name in w.spec.candidates:
        report = candidate_of(w, name)
        if isinstance(report, RefusedCandidate):
            runs.append(_refused(w, report))
        elif isinstance(report, CandidateReport):
            chosen = manifest if manifest and manifest.candidate == name else None
            runs.append(_trained(w, report, chosen, folder))
    found = {"runs": tuple(runs)}
    if manifest is None:
        return _champion(w, uri).model_copy(update=found)
    version = {"version": manifest.version, "version_key": _key(w, manifest.candidate)}
    return _champion(w, uri).model_copy(update=found | version)


def _champion(w: Workspace, uri: str) -> Record:
    head = Registry(w.store).head(w.spec.name)
    champion = head.version if head else None
    return Record(uri=uri, model=w.spec.name, at_ms=int(w.now().timestamp() * 1000), champion=champion)


def _trained(w: Workspace, report: CandidateReport, chosen: ModelManifest | None, folder: Path) -> TrackedRun:
    metric, cross = w.spec.metric, report.cross_validation
    metrics = [_metric(f"cross_validation.{metric}", cross.value)]
    metrics += [_metric(f"fold.{metric}", value, step) for step, value in enumerate(report.folds)]
    for name, found in chosen.metrics.items() if chosen else ():
        metrics.append(_metric(f"holdout.{name}", found.value))
        for end, bound in (("low", found.low), ("high", found.high)):
            metrics += [_metric(f"holdout.{name}.{end}", bound)] if bound is not None else []
    params = {"estimator": report.estimator, "seed": report.seed, **report.params}
    return TrackedRun(
        key=_key(w, report.name),
        name=f"{w.run} {report.name}",
        params={name: str(value) for name, value in params.items()},
        metrics=tuple(metrics),
        tags=_tags(w, report.name) | (_chosen_tags(w, chosen) if chosen else {}),
        note="\n".join(f"- {line}" for line in [*(_gate(w) if chosen else ()), *report.notes]),
        files=_write_files(w, chosen, folder) if chosen else None,
    )


def _refused(w: Workspace, report: RefusedCandidate) -> TrackedRun:
    return TrackedRun(
        key=_key(w, report.name),
        name=f"{w.run} {report.name}",
        params={"estimator": report.estimator},
        metrics=(),
        tags=_tags(w, report.name),
        note=f"Refused: {report.reason}",
        refused=True,
    )


def _metric(name: str, value: float, step: int = 0) -> TrackedMetric:
    return TrackedMetric(name=name, value=value, step=step)


def _key(w: Workspace, candidate: str) -> str:
    """Of one candidate of one run; two deployments may write to the same server."""
    bucket = w.settings.bucket if w.settings else ""
    return f"{bucket}/{w.spec.name}/{w.attempt}/{candidate}"


def _tags(w: Workspace, candidate: str) -> dict[str, str]:
    taken = find_result(w, "snapshot", SnapshotResult)
    return {
        "perennial.key": _key(w, candidate),
        "perennial.run": w.run,
        "perennial.candidate": candidate,
        "perennial.dataset": taken.dataset if taken else "",
        "perennial.spec": w.spec.digest(),
        "perennial.code": w.code,
    }


def _chosen_tags(w: Workspace, manifest: ModelManifest) -> dict[str, str]:
    decision = find_decision(w.store, w.spec.name, w.operation("gate"))
    judged = {"perennial.gate": "passed" if decision.passed else "failed"} if decision else {}
    return {"perennial.version": manifest.version, "perennial.code": manifest.code, **judged}


def _gate(w: Workspace) -> list[str]:
    decision = find_decision(w.store, w.spec.name, w.operation("gate"))
    rules = decision.rules if decision else ()
    return [f"{'pass' if rule.passed else 'FAIL'} {rule.rule}: {rule.reason}" for rule in rules]


def _write_files(w: Workspace, manifest: ModelManifest, folder: Path) -> str:
    """The version's files, under their names, in a folder of their own; returns its name."""
    for name in manifest.files:
        path = folder / manifest.version / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(Registry(w.store).file(manifest, name))
    return manifest.version


def _without_credentials(text: str, uri: str) -> str:
    user, at, _ = urlsplit(uri).netloc.rpartition("@")
    return text.replace(f"{user}@", "") if at else text
