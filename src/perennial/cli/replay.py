"""``replay`` plays a file of the past as if it arrived live, to show what retraining gains and to choose thresholds."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perennial.cli.output import Json, show_json, show_table
from perennial.errors import SettingsError
from perennial.spec import load_spec
from perennial.spec_policy import duration

if TYPE_CHECKING:
    from perennial.jobs.replay import Progress
    from perennial.jobs.replay.results import Replay


def register(app: typer.Typer) -> None:
    app.command()(replay)


def replay(
    spec: Annotated[Path, typer.Argument(help="The model's model.yaml; it names a time column.")],
    data: Annotated[
        Path, typer.Argument(help="A file with truths, in the order of time: CSV, also gzipped, or Parquet.")
    ],
    every: Annotated[str, typer.Option(help="How often the model is looked at, such as 7d, 1d or 12h.")] = "7d",
    label_delay: Annotated[str, typer.Option(help="How long after a row its truth is known.")] = "1d",
    initial: Annotated[
        str, typer.Option(help="What is there at first: a share of the rows, or a span from the first.")
    ] = "0.2",
    shuffle: Annotated[
        int | None, typer.Option(help="Seed: shuffle the rows against time, for a world without drift.", min=0)
    ] = None,
    static: Annotated[bool, typer.Option(help="Compare with a first version that is never trained again.")] = True,
    page: Annotated[Path | None, typer.Option(help="Comparison page; MODEL-replay.html unless named.")] = None,
    as_json: Json = False,
) -> None:
    """Play a file as if it arrived live: predict, wait for the truth, monitor, retrain, promote."""
    from perennial.jobs.replay import Plan
    from perennial.jobs.replay import replay as play
    from perennial.jobs.replay.page import page as page_of

    model = load_spec(spec)
    plan = Plan(
        every=_span("--every", every), label_delay=_span("--label-delay", label_delay), initial=_initial(initial),
        shuffle=shuffle, static=static,
    )  # fmt: skip
    place = _writable(page or Path(f"{model.name}-replay.html"))
    with _progress(model.name) as tell:
        found = play(model, data, plan, tell)
    try:
        place.write_bytes(page_of(found))
    except OSError as error:
        raise SettingsError(
            f"{place} cannot be written ({error.strerror}).", remedy="Name another by --page."
        ) from error
    if as_json:
        show_json(found.model_dump(mode="json") | {"page": str(place)})
    else:
        _show(found, place)


def _span(option: str, text: str) -> timedelta:
    try:
        found = duration(text)
    except ValueError as error:
        raise SettingsError(f"{option} {text}: {error}.") from None
    assert isinstance(found, timedelta)  # of a text
    return found


def _initial(text: str) -> float | timedelta:
    """``0.2`` or ``20%`` as a share, ``90d`` as a span."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return _span("--initial", text)


def _writable(place: Path) -> Path:
    """The page's place, looked at before minutes are spent. Raises SettingsError."""
    folder = place.parent
    if place.is_dir() or not folder.is_dir() or not os.access(place if place.exists() else folder, os.W_OK):
        raise SettingsError(f"{place} cannot be written.", remedy="Name a file in a folder that is there by --page.")
    return place


@contextmanager
def _progress(model: str) -> Iterator[Progress]:
    """A bar on standard error where that is a terminal, else a line for each tenth of the way."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.fields[model]}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[line]}", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True, soft_wrap=True), transient=True) as bar:
        task = bar.add_task("", total=None, model=model, line="")

        def tell(done: int, total: int, line: str) -> None:
            bar.update(task, completed=done, total=total, line=line[:60])

        yield tell


class _Lines:
    """Progress for a log: few lines."""

    def __init__(self) -> None:
        self._tenths = -1

    def __call__(self, done: int, total: int, line: str) -> None:
        if (tenths := 10 * done // total) > self._tenths:
            self._tenths = tenths
            typer.echo(f"  {done} of {total} steps: {line}", err=True)


def _show(found: Replay, page: Path) -> None:
    from perennial.jobs.replay.page import summary

    static = found.static
    rows = [
        {
            "metric": name + (" *" if name == found.metric else ""),
            "static": (static or {}).get(name),
            "retrained": value,
        }
        for name, value in found.retrained.items()
    ]
    show_table(
        rows, ("metric", *(("static",) if static is not None else ()), "retrained"), False, "Nothing was scored."
    )
    typer.echo(summary(found))
    typer.echo(f"Page: {page}")
