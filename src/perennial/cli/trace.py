"""``trace`` follows one prediction back to what it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from perennial.cli.output import Json, show
from perennial.settings import Settings
from perennial.store_opening import open_store

if TYPE_CHECKING:
    from perennial.jobs.trace import LandingFile, Trace, TracedDataset
    from perennial.registry.gate import Decision
    from perennial.registry.log import LogEntry
    from perennial.registry.manifest import Metric

WIDTH = 12


def register(app: typer.Typer) -> None:
    app.command()(trace)


def trace(
    prediction_id: Annotated[str, typer.Argument(help="The prediction_id that came with the answer.")],
    model: Annotated[str | None, typer.Option(help="Search the predictions of this model alone.")] = None,
    as_json: Json = False,
) -> None:
    """Show what one prediction rests on: version, champion, gate, code, dataset and landing files."""
    from perennial.jobs.trace import trace as follow

    found = follow(open_store(Settings.load()), prediction_id, model)
    show(found, as_json, lambda: "\n".join(_lines(found)))


def _lines(found: Trace) -> Iterator[str]:
    said, version = found.prediction, found.version
    yield _line("prediction", f"{said.prediction_id}, {said.time:%Y-%m-%d %H:%M:%S} UTC, model {said.model}")
    likely = sorted((said.probabilities or {}).items(), key=lambda pair: -pair[1])
    yield _line("", f"answer {said.prediction}" + "".join(f", {name} {value:.2%}" for name, value in likely))
    for name, value in said.record.items():
        yield _line("", f"{name} = {value}")
    if found.picture:
        yield _line("picture", found.picture)
    if found.truth:
        when = f" at {found.truth.at:%Y-%m-%d %H:%M:%S} UTC" if found.truth.at else ""
        by = "feedback" if found.truth.source == "feedback" else "a label file"
        yield _line("truth", f"{found.truth.truth}, by {by}{when}{'; disputed' if found.truth.disputed else ''}")
    else:
        yield _line("truth", "not known yet")
    yield _line("version", f"{version.version}: {version.candidate} ({version.estimator})")
    for name, metric in version.metrics.items():
        yield _line("", f"{name} {_metric(metric)} on its holdout")
    yield _line("", f"run {version.run}, spec {version.spec_digest[:WIDTH]}, code {version.code}")
    yield from _champion(found.champion)
    yield from _gate(found.gate)
    if found.dataset:
        yield from _dataset(found.dataset)
    for gap in found.gaps:
        yield _line("missing", gap)


def _champion(entry: LogEntry | None) -> Iterator[str]:
    if entry:
        what = f"generation {entry.generation}, {entry.kind} by {entry.actor} at {entry.time:%Y-%m-%d %H:%M:%S} UTC"
        yield _line("champion", f"{what}: {entry.reason}" if entry.reason else what)


def _gate(decision: Decision | None) -> Iterator[str]:
    if decision is None:
        yield _line("gate", "never judged this version: who promoted it stands above")
        return
    yield _line("gate", "passed" if decision.passed else "not passed: who promoted it stands above")
    for rule in decision.rules:
        yield _line("", f"{'pass' if rule.passed else 'FAIL'} {rule.rule}: {rule.reason}")


def _dataset(dataset: TracedDataset) -> Iterator[str]:
    kept = f", {dataset.window_rows:,} kept for comparison" if dataset.window_rows else ""
    yield _line(
        "dataset", f"{dataset.id[:WIDTH]}: {dataset.train_rows:,} rows learnt, {dataset.holdout_rows:,} held out{kept}"
    )
    for parent in dataset.parents:
        yield _line("", f"from {parent.id[:WIDTH]}: {parent.rows:,} rows")
    for file in dataset.files:
        yield _line("file", _file(file))


def _file(file: LandingFile) -> str:
    places = ", ".join(file.found) or "gone"
    refused = f", {file.rows - file.accepted:,} of them refused" if file.rows > file.accepted else ""
    return f"{places} ({file.kind}, {file.rows:,} rows{refused}, sha256 {file.digest[:WIDTH]})"


def _metric(metric: Metric) -> str:
    interval = f" ({metric.low:.4f} to {metric.high:.4f})" if metric.low is not None and metric.high is not None else ""
    return f"{metric.value:.4f}{interval}"


def _line(head: str, text: str) -> str:
    """One line, whatever a client sent: what is not to be seen, such as a line's end, is spelled out."""
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return f"{head:<{WIDTH}}{shown}"
