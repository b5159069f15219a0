"""``trial``: how a challenger on trial does, and its end. It begins with ``promote --canary`` or ``--shadow``."""

from __future__ import annotations

import math
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from perennial.cli.output import Json, show, show_json, show_table
from perennial.cli.registry import Model, OpId, Reason, actor, follow, versions_of
from perennial.errors import PromotionRefused, SettingsError
from perennial.registry.registry import Registry
from perennial.registry.trials import end_trial, start_trial
from perennial.settings import Settings
from perennial.store_opening import open_store

if TYPE_CHECKING:
    from perennial.monitoring.results import Rate, TrialReport
    from perennial.registry.entries import Mode

_SHARE = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(%?)")


class Asked(NamedTuple):
    """The trial that somebody wants: ``share`` of the callers, 0 to 1."""

    mode: Mode
    share: float


def register(app: typer.Typer) -> None:
    app.command()(trial)


def trial(
    model: Model,
    stop: Annotated[bool, typer.Option("--stop", help="End the trial; the champion serves alone again.")] = False,
    reason: Reason = "by hand",
    op_id: OpId = None,
    as_json: Json = False,
) -> None:
    """How the challenger on trial does beside the champion, or the end of the trial."""
    settings = Settings.load()
    registry, now = Registry(open_store(settings)), datetime.now(UTC)
    versions_of(registry, model)
    if stop:
        entry = end_trial(
            registry.store, model, op_id=op_id or f"cli-{uuid.uuid4()}", actor=actor(), reason=reason, now=now
        )
        show(entry, as_json, lambda: f"The trial is over: {model} serves version {entry.version} "
             f"(generation {entry.generation}).")  # fmt: skip
        follow(registry, settings, model, entry)
        return
    from perennial.jobs.trial import look_at_trial

    report = look_at_trial(registry.store, model, now)
    if report is None:
        raise PromotionRefused(
            f"No trial of {model} runs.", remedy=f"`perennial promote {model} VERSION --canary 10%` begins one."
        )
    if as_json:
        show_json(report.model_dump(mode="json"))
    else:
        _show(model, report)


def begin(
    registry: Registry, settings: Settings, model: str, version: str, asked: Asked, *, op_id: str | None, reason: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Put a version on trial, once its first run has shown it to be harmless."""
    from perennial.jobs.rehearse import rehearse

    rehearse(registry.store, model, version, megabytes=settings.api_megabytes)
    entry = start_trial(
        registry.store, model, version, mode=asked.mode, share=asked.share, op_id=op_id or f"cli-{uuid.uuid4()}",
        actor=actor(), reason=reason, now=datetime.now(UTC),
    )  # fmt: skip
    does = "looks on" if asked.mode == "shadow" else f"answers {100 * asked.share:.6g} % of the callers"
    show(entry, as_json, lambda: f"{version} {does} beside champion {entry.version} (generation {entry.generation}).")
    follow(registry, settings, model, entry)


def mode_of(canary: str | None, shadow: bool) -> Asked | None:
    """What kind of trial is asked for; None where none is. Raises SettingsError."""
    if canary is not None and shadow:
        raise SettingsError("A version is a canary or a shadow.", remedy="Give --canary or --shadow, not both.")
    if canary is not None:
        return Asked("canary", share_of(canary))
    return Asked("shadow", 1.0) if shadow else None


def share_of(text: str) -> float:
    """A share between 0 and 1, from ``10%`` or ``0.1``. Raises SettingsError."""
    found = _SHARE.fullmatch(text.strip())
    share = float(found[1]) / (100 if found[2] else 1) if found else math.nan
    if not 0 < share < 1:
        raise SettingsError(
            f"{text!r} is no share of the callers.", remedy="Write 10% or 0.1: more than nothing, and not all."
        )
    return share


def _show(model: str, report: TrialReport) -> None:
    trial = report.trial
    share = f", {100 * trial.share:.6g} % of the callers" if trial.mode == "canary" else ", answering nobody"
    gain = report.gain
    lines = [
        ("model", model),
        ("champion", report.champion),
        ("challenger", f"{trial.version} ({trial.mode}{share})"),
        ("since", f"{report.since:%Y-%m-%d %H:%M} UTC, generation {trial.began}"),
        ("predictions", f"{report.rows:,}, {report.answered:,} of them answered by the challenger"),
        ("errors", _rate(report.errors)),
        ("disagreement", _rate(report.disagreement)),
        ("verdict", "; ".join([report.status, *report.reasons])),
    ]
    if gain is not None and gain.gain is not None:
        interval = f" ({gain.low:.4g} to {gain.high:.4g})" if gain.low is not None and gain.high is not None else ""
        lines.append(("gain", f"{gain.metric} {gain.gain:+.4g}{interval} on {report.labels:,} rows with their truth"))
    for name, value in lines:
        typer.echo(f"{name:<13}{value}")
    if report.metrics:
        typer.echo()
        show_table([one.model_dump() for one in report.metrics], ("metric", "champion", "challenger"), False, "")


def _rate(rate: Rate) -> str:
    if rate.value is None:
        return "nothing captured yet"
    bound = "no bound" if rate.bound is None else f"bound {rate.bound:.4g}"
    return f"{rate.value:.4g} ({rate.low:.4g} to {rate.high:.4g}) on {rate.rows:,} rows, {bound}"
