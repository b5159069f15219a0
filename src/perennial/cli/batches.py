"""``batches`` and ``redrive``: the files that came to be scored, and those that could not be."""

from __future__ import annotations

from typing import Annotated

import typer

from perennial.cli.output import Json, show, show_json, show_table
from perennial.cli.registry import known
from perennial.jobs.batches import Batch
from perennial.settings import Settings
from perennial.store_opening import open_store

Model = Annotated[str, typer.Argument(help="Name of the model.")]
Work = Annotated[str | None, typer.Argument(help="One file: the name of its work, or how that begins.")]
COLUMNS = ("work", "state", "percent", "rows", "scored", "quarantined", "version", "started", "name")


def register(app: typer.Typer) -> None:
    for command in (batches, redrive):
        app.command()(command)


def batches(model: Model, work: Work = None, as_json: Json = False) -> None:
    """The files that came to be scored, newest first; with WORK, all that is known of one."""
    from perennial.jobs import batches as found
    from perennial.registry.registry import Registry

    store = open_store(Settings.load())
    if work is not None:
        one = found.batch(store, model, work)
        show(one, as_json, lambda: _told(one))
        return
    all_of_them = found.batches(store, model)
    if not all_of_them:
        known(Registry(store), model, None)
    if as_json:
        show_json([one.model_dump(mode="json") for one in all_of_them])
        return
    empty = f"No file of {model} came to be scored yet: put one under {model}/batch/in/ of the bucket."
    show_table([_row(one) for one in all_of_them], COLUMNS, False, empty)


def redrive(as_json: Json = False) -> None:
    """Have everything scored that lies in the dead queue of the scoring, once the cause is mended."""
    from perennial.jobs.redrive import redrive as move

    moved = move(Settings.load())
    if as_json:
        show_json({"moved": moved})
    else:
        typer.echo(f"{moved} messages are to be worked on again." if moved else "The dead queue is empty.")


def _row(one: Batch) -> dict[str, object]:
    values: dict[str, object] = one.model_dump() | one.counts.model_dump()
    return values | {"work": one.work[:12], "started": f"{one.started:%Y-%m-%d %H:%M}"}


def _told(one: Batch) -> str:
    lines = [
        f"{one.key}: {one.state}, {one.percent} %",
        f"  rows      {one.counts.rows:,} read, {one.counts.scored:,} scored, {one.counts.quarantined:,} quarantined",
        f"  version   {one.version or 'none'}",
        f"  started   {one.started:%Y-%m-%d %H:%M:%S} UTC",
    ]
    if one.ended:
        lines.append(f"  took      {(one.ended - one.started).total_seconds():.1f} s")
    lines += [f"  reason    {one.reason}"] if one.reason else []
    lines += [f"  warning   {warning}" for warning in one.warnings]
    lines += [f"  results   {one.scored.key}"] if one.scored else []
    lines += [f"  refused   {one.quarantined.key}"] if one.quarantined else []
    return "\n".join(lines)
