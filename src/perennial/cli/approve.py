"""``approve`` answers for a version that waits for a person; ``approvals`` lists those that do."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from perennial.cli.output import Json, complain, progress, show, show_table
from perennial.cli.registry import versions_of
from perennial.errors import SmokeTestError
from perennial.registry.registry import Registry, models
from perennial.settings import Settings
from perennial.store_opening import open_store

Model = Annotated[str, typer.Argument(help="Name of the model.")]


def register(app: typer.Typer) -> None:
    app.command()(approve)
    app.command()(approvals)


def approve(
    model: Model,
    version: Annotated[str | None, typer.Argument(help="The version; by default the only one that waits.")] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Reject it: the champion stays.")] = False,
    reason: Annotated[str, typer.Option(help="Why; kept with the answer.")] = "",
    as_json: Json = False,
) -> None:
    """Approve or reject a version that passed the gate and waits for a person."""
    from perennial.jobs.answer import answer

    settings = Settings.load()
    store = open_store(settings)
    versions_of(Registry(store), model)
    given = answer(
        store,
        settings,
        model,
        version,
        approved=not reject,
        by=_actor(),
        reason=reason,
        now=lambda: datetime.now(UTC),
        progress=progress,
        env=os.environ,
    )
    show(given, as_json, given.summary)
    if given.outcome and given.outcome.smoke_failure:
        fate = f"was {'' if given.outcome.rolled_back else 'not '}rolled back"
        complain(SmokeTestError(f"Version {given.version} {fate}: {given.outcome.smoke_failure}"))


def approvals(
    model: Annotated[str | None, typer.Argument(help="Name of the model; all by default.")] = None,
    as_json: Json = False,
) -> None:
    """Every version that waits for a person."""
    from perennial.jobs.approval import pending

    store = open_store(Settings.load())
    if model:
        versions_of(Registry(store), model)
    waiting = [request for name in ([model] if model else models(store)) for request in pending(store, name)]
    rows = [
        {**request.model_dump(mode="json"), "asked_by": str(request.asked_by) if request.asked_by else None}
        for request in waiting
    ]
    show_table(rows, ("model", "version", "until", "champion", "run", "page"), as_json, "Nothing waits for approval.")


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown user"
