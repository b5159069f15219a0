"""``monitor`` runs one monitoring pass, without Airflow."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from perennial.cli.output import Json, progress, show_json, show_table

if TYPE_CHECKING:
    from perennial.monitoring.results import MonitorReport


def register(app: typer.Typer) -> None:
    app.command()(monitor)


def monitor(
    spec: Annotated[str, typer.Argument(help="The model's model.yaml, or its address as s3://bucket/key.")],
    at: Annotated[
        str | None, typer.Option(help="Look at the window before this moment (ISO 8601); now by default.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="Id of the run; repeat it to resume one that was cut off.")] = None,
    no_html: Annotated[bool, typer.Option("--no-html", help="Make no HTML reports.")] = False,
    as_json: Json = False,
) -> None:
    """Look at quality, drift and performance of a model, and say whether to train it again. Starts no training."""
    from perennial.jobs.aftermath import after_report
    from perennial.jobs.staged import fetch_spec
    from perennial.jobs.watch import run_pass
    from perennial.jobs.watched import moment
    from perennial.jobs.workspace import open_workspace

    run = run or f"monitor-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    with TemporaryDirectory(prefix="perennial-") as folder:
        path = fetch_spec(spec, Path(folder))
        workspace = open_workspace(path, run, progress=progress, now=lambda: datetime.now(UTC), cause="monitor")
        report = run_pass(workspace, at=moment(at) if at else None, html=not no_html)
        after_report(workspace, report)
    if as_json:
        show_json(report.model_dump(mode="json"))
    else:
        _show(report)


def _show(report: MonitorReport) -> None:
    if report.champion is None:
        typer.echo("nothing has been promoted yet: there is nothing to watch\n")
    typer.echo(
        f"model        {report.model}\n"
        f"champion     {report.champion or 'none'}\n"
        f"window       {report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC\n"
        f"predictions  {report.rows:,}\n"
        f"quality      {report.quality.status}: {'; '.join(report.quality.reasons) or 'nothing amiss'}\n"
        f"drift        {report.drift.status}: {report.drift.why}\n"
        f"performance  {report.performance.status}: {report.performance.why}\n"
        f"retrain      {_decision(report)}\n"
        f"trial        {_trial(report)}\n"
        f"report       {report.run}\n"
    )
    features = [
        {"feature": one.feature, "moved": one.moved, "distance": one.value, "threshold": one.threshold,
         "p": one.p_value, "note": one.note}
        for one in report.drift.features
    ]  # fmt: skip
    show_table(features, ("feature", "moved", "distance", "threshold", "p", "note"), False, "No features.")
    if report.performance.metrics:
        typer.echo()
        metrics = [
            one.model_dump() | ({"verdict": "no bound"} if one.bound is None and one.verdict == "ok" else {})
            for one in report.performance.metrics
        ]
        columns = ("metric", "value", "low", "high", "holdout", "bound", "verdict")
        show_table(metrics, columns, False, "No metrics.")


def _trial(report: MonitorReport) -> str:
    found = report.trial
    if found is None:
        return "none"
    return f"{found.trial.version} ({found.trial.mode}): {'; '.join([found.status, *found.reasons])}"


def _decision(report: MonitorReport) -> str:
    because = "; ".join(report.reasons)
    if report.retrain:
        return f"yes: {because}"
    return f"no: {report.blocked}, though {because}" if report.blocked else "no: there is no reason to"
