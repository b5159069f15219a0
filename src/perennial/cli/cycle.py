"""``cycle`` runs the whole loop once, without Airflow."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from perennial.cli.output import Json, complain, progress, show
from perennial.errors import PromotionRefused

if TYPE_CHECKING:
    from perennial.jobs.results import OutcomeResult


def register(app: typer.Typer) -> None:
    app.command()(cycle)


def cycle(
    spec: Annotated[str, typer.Argument(help="The model's model.yaml, or its address as s3://bucket/key.")],
    run: Annotated[str | None, typer.Option(help="Id of the run; repeat it to resume one that was cut off.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Train even where there is nothing new.")] = False,
    as_json: Json = False,
) -> None:
    """Snapshot, train, select, register, gate, promote and smoke-test one model."""
    from perennial.jobs.cycle import run_cycle
    from perennial.jobs.staged import fetch_spec
    from perennial.jobs.workspace import open_workspace

    run = run or f"cycle-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    with TemporaryDirectory(prefix="perennial-") as folder:
        path = fetch_spec(spec, Path(folder))
        workspace = open_workspace(path, run, progress=progress, now=lambda: datetime.now(UTC), force=force)
        outcome = run_cycle(workspace)
    show(outcome, as_json, outcome.summary)
    if outcome.version and not outcome.promoted:
        complain(refusal(outcome))


def refusal(outcome: OutcomeResult) -> PromotionRefused:
    """Why the version does not serve, and what lets it: a person's answer where one is waited for."""
    of = f"{outcome.model} {outcome.version}"
    if outcome.waiting:
        return PromotionRefused(
            f"Version {outcome.version} passed the gate and waits for a person.",
            remedy=f"`perennial approve {of}` lets it serve, `perennial approve {of} --reject` turns it down.",
        )
    if outcome.answered_by:
        return PromotionRefused(f"Version {outcome.version} was rejected by {outcome.answered_by}.")
    return PromotionRefused(
        f"Version {outcome.version} was not promoted. {' '.join(outcome.failures)}",
        remedy=f"`perennial promote {of}` promotes it by hand.",
    )
