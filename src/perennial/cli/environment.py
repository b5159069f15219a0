"""``env`` prints the shell exports of the running local stack."""

from __future__ import annotations

import shlex

import typer

from perennial.cli.output import Json, show_json
from perennial.settings import Settings


def register(app: typer.Typer) -> None:
    app.command(name="env")(env)


def env(as_json: Json = False) -> None:
    """Print exports for the shell: eval "$(perennial env)"."""
    variables = Settings.of_local_stack().exports()
    if as_json:
        show_json(variables)
        return
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
