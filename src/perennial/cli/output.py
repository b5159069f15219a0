"""Printing: tables for people, JSON for programs, one line for an error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from pydantic import BaseModel

from perennial.errors import PerennialError

DIGEST = re.compile(r"[0-9a-f]{41,}")
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def guarded(run: Callable[[], object]) -> None:
    """Run the command line; an expected error is printed on standard error and sets the exit code."""
    try:
        run()
    except PerennialError as error:
        if "--json" in sys.argv:
            kind = type(error).__name__
            show_json({"error": {"kind": kind, "message": error.message, "remedy": error.remedy}})
        complain(error)


def complain(error: PerennialError) -> NoReturn:
    """Say an error on standard error and end with its exit code; standard output stays what it is."""
    typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
    sys.exit(error.exit_code)


def show(result: BaseModel, as_json: bool, text: Callable[[], str]) -> None:
    """Print one result."""
    if as_json:
        show_json(result.model_dump(mode="json"))
    else:
        typer.echo(text())


def show_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(rows: Sequence[dict[str, Any]], columns: Iterable[str], as_json: bool, empty: str) -> None:
    """Print rows as a table of the given columns, or all of them as JSON; ``empty`` is said where there are none."""
    if as_json:
        show_json(list(rows))
        return
    if not rows:
        typer.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    names = list(columns)
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in names))
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False, markup=False).print(table)


def _cell(value: Any) -> str:
    """A value for people: digests and times as far as they tell anything."""
    match value:
        case None | False:
            return ""
        case True:
            return "*"
        case float():
            return f"{value:.4f}"
        case str() if DIGEST.fullmatch(value):
            return value[:12]
        case _:
            return str(value)


def progress(text: str) -> None:
    """One line of progress, on standard error."""
    typer.secho(f"  {text}", dim=True, err=True)
