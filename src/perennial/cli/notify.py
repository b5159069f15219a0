"""``notify`` sends a test message the way that notices of a model go."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from perennial.cli.output import Json, complain, show
from perennial.errors import NoticeUndelivered, SettingsError


def register(app: typer.Typer) -> None:
    app.command()(notify)


def notify(
    spec: Annotated[Path, typer.Argument(help="The model's model.yaml.")],
    as_json: Json = False,
) -> None:
    """Send a test message to everyone who is told of this model, and show where it went."""
    from perennial.jobs.notices import of_test, tell
    from perennial.jobs.workspace import open_workspace

    workspace = open_workspace(  # what comes of it is shown below, not besides
        spec, f"notify-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}", progress=lambda line: None, now=lambda: datetime.now(UTC)
    )
    told = tell(workspace, of_test(workspace))
    show(told, as_json, lambda: f"sent by {' and '.join(told.channels)}" if told.sent else told.note or "not sent")
    if told.problems:
        complain(NoticeUndelivered(" ".join(told.problems)))
    if not told.sent:
        complain(SettingsError(told.note))
