"""``cost`` says what a month costs on AWS, from a dated table of prices."""

from __future__ import annotations

from typing import Annotated

import typer

from perennial.cli.output import Json, show_json
from perennial.errors import SettingsError


def register(app: typer.Typer) -> None:
    app.command()(cost)


def cost(
    predictions: Annotated[float, typer.Option(help="By the API, in a month; 1e6 is a million.")] = 0,
    rows: Annotated[float, typer.Option(help="Scored from files by functions, in a month.")] = 0,
    labels: Annotated[float, typer.Option(help="Sent to the feedback route, in a month.")] = 0,
    visits: Annotated[float, typer.Option(help="Of the form's pages, in a month.")] = 0,
    trainings: Annotated[float, typer.Option(help="Of all models, in a month.")] = 0,
    training_minutes: Annotated[float, typer.Option(help="Each, with the start of its container.")] = 5.0,
    models: Annotated[int, typer.Option(help="How many are served and watched.")] = 1,
    storage_gb: Annotated[float, typer.Option(help="What the buckets hold.")] = 1.0,
    scheduler: Annotated[
        str,
        typer.Option(
            "--scheduler", "--stage-parts",
            help="What starts trainings and monitoring: none (nothing of AWS's), batch (EventBridge Scheduler and AWS "
            "Batch), instance (Airflow on one), mwaa.",
        ),
    ] = "none",
    alarms: Annotated[int, typer.Option(help="Alarms of CloudWatch; the templates have at most ten.")] = 10,
    region: Annotated[str, typer.Option(help="Whose prices.")] = "us-east-1",
    free_tier: Annotated[
        bool, typer.Option("--free-tier", help="Set against it all that AWS never charges an account for.")
    ] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Say what a month costs on AWS, line by line. Asks nobody: prices are of a dated table."""
    from perennial.costs import Usage, estimate, load_prices, words

    prices = load_prices(region)
    usage = Usage.of(
        predictions=_whole("predictions", predictions),
        rows=_whole("rows", rows),
        labels=_whole("labels", labels),
        visits=_whole("visits", visits),
        trainings=_whole("trainings", trainings),
        training_minutes=training_minutes,
        models=models,
        storage_gb=storage_gb,
        scheduler=scheduler,
        alarms=alarms,
    )
    found = estimate(usage, prices, free_tier=free_tier)
    if as_json:
        show_json(words.as_json(found))
    else:
        typer.echo(words.text(found))


def _whole(name: str, value: float) -> int:
    if value != value or value in (float("inf"), float("-inf")) or value != int(value):
        raise SettingsError(f"--{name}: {value:g} is no whole number.", remedy="Give one such as 1000000 or 1e6.")
    return int(value)
