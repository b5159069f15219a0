"""``score-new`` scores what is new where the spec says files arrive, without Airflow."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from perennial.cli.output import Json, complain, progress, show
from perennial.errors import DataError

if TYPE_CHECKING:
    from perennial.jobs.scoring_results import ScoringSummary


def register(app: typer.Typer) -> None:
    app.command()(score_new)


def score_new(
    spec: Annotated[
        str,
        typer.Argument(help="The model's model.yaml, or its s3:// address; `batch.source` says where files arrive."),
    ],
    run: Annotated[str | None, typer.Option(help="Id of the run; repeat it to resume one that was cut off.")] = None,
    minutes: Annotated[float, typer.Option(help="How long to wait for the files.", min=0)] = 360,
    as_json: Json = False,
) -> None:
    """Score the files that have no result yet, and wait for them: what score_<model> does in Airflow."""
    from perennial.jobs.scoring import run_scoring
    from perennial.jobs.staged import fetch_spec
    from perennial.jobs.workspace import open_workspace

    run = run or f"score-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    with TemporaryDirectory(prefix="perennial-") as folder:
        path = fetch_spec(spec, Path(folder))
        workspace = open_workspace(path, run, progress=progress, now=lambda: datetime.now(UTC), cause="schedule")
        plan, summary = run_scoring(workspace, sleep=time.sleep, patience=timedelta(minutes=minutes))
    if summary is None:
        show(plan, as_json, plan.told)
        return
    show(summary, as_json, lambda: "\n".join(summary.told()))
    if summary.failed:
        complain(_failed(summary))


def _failed(summary: ScoringSummary) -> DataError:
    return DataError(
        f"{len(summary.failed):,} of {len(summary.files):,} files could not be scored.",
        remedy="Replace them; the others are scored.",
    )
