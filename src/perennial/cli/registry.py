"""``models``, ``versions``, ``log``, ``promote`` and ``rollback``: the registry from the command line."""

from __future__ import annotations

import getpass
import uuid
from datetime import UTC, datetime
from typing import Annotated

import typer

from perennial import keys
from perennial.cli.output import Json, progress, show, show_table
from perennial.errors import NotFoundError
from perennial.registry.log import LogEntry, ModelLog
from perennial.registry.registry import Registry
from perennial.registry.registry import models as models_of
from perennial.settings import Settings
from perennial.store_opening import open_store

Model = Annotated[str, typer.Argument(help="Name of the model.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the log.")]
OpId = Annotated[str | None, typer.Option("--op-id", help="Id of the operation: a retry with the same id acts once.")]


def register(app: typer.Typer) -> None:
    for command in (models, versions, log, promote, rollback):
        app.command()(command)


def models(as_json: Json = False) -> None:
    """All models with their champions."""
    registry = _registry()
    rows = []
    for name in models_of(registry.store):
        head = registry.head(name)
        since = head if head is None or head.moves else ModelLog(registry.store, name).promoted(head)
        rows.append(
            {
                "model": name,
                "champion": head.version if head else None,
                "generation": head.generation if head else 0,
                "since": since.time.isoformat() if since else None,
            }
        )
    empty = "No model yet: run `perennial cycle model.yaml`."
    show_table(rows, ("model", "champion", "generation", "since"), as_json, empty)


def versions(model: Model, as_json: Json = False) -> None:
    """All versions of a model: what they came from, what they reached, which one serves."""
    registry = _registry()
    head = registry.head(model)
    rows = []
    for version in versions_of(registry, model):
        manifest = registry.manifest(model, version)
        metric = manifest.metrics[manifest.spec.metric]
        rows.append(
            {
                "version": version,
                "champion": head is not None and head.version == version,
                "candidate": manifest.candidate,
                "metric": manifest.spec.metric,
                "value": metric.value,
                "dataset": manifest.dataset,
                "run": manifest.run,
                "code": manifest.code,
                "files": {name: keys.registry_blob(model, file.digest) for name, file in manifest.files.items()},
            }
        )
    columns = ("version", "champion", "candidate", "metric", "value", "dataset", "run", "code")
    show_table(rows, columns, as_json, "No versions.")


def log(model: Model, as_json: Json = False) -> None:
    """Every promotion and rollback of a model, and where each trial began and ended; oldest first."""
    registry = _registry()
    entries = registry.log(model)
    if not entries:
        versions_of(registry, model)
    rows = [entry.model_dump(mode="json") | ({} if as_json else {"trial": _on_trial(entry)}) for entry in entries]
    columns = ("generation", "kind", "version", "previous", "trial", "time", "actor", "reason")
    show_table(rows, columns, as_json, "Nothing has been promoted yet.")


def _on_trial(entry: LogEntry) -> str:
    """The challenger, and what it does, in few words."""
    if entry.trial is None:
        return ""
    share = f" {100 * entry.trial.share:.4g}%" if entry.trial.mode == "canary" else ""
    return f"{entry.trial.version} {entry.trial.mode}{share}"


def promote(
    model: Model,
    version: Annotated[str, typer.Argument(help="The version to serve.")],
    canary: Annotated[
        str | None, typer.Option(help="Only for this share of the callers, beside the champion: 10% or 0.1.")
    ] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="Only to look on: asked too, answering nobody.")] = False,
    reason: Reason = "by hand",
    op_id: OpId = None,
    as_json: Json = False,
) -> None:
    """Make a version champion by hand, past the gate; or put it on trial beside the champion. The log says who and why.

    A promotion ends any trial, and so does a rollback.
    """
    from perennial.cli.trial import begin, mode_of
    from perennial.jobs.rehearse import rehearse

    settings, mode = Settings.load(), mode_of(canary, shadow)
    registry = Registry(open_store(settings))
    known(registry, model, version)
    if mode is not None:
        begin(registry, settings, model, version, mode, op_id=op_id, reason=reason, as_json=as_json)
        return
    rehearse(registry.store, model, version, megabytes=settings.api_megabytes)
    entry = registry.promote(
        model, version, op_id=op_id or f"cli-{uuid.uuid4()}", actor=actor(), reason=reason, now=datetime.now(UTC)
    )
    show(entry, as_json, lambda: f"{model} serves version {entry.version} (generation {entry.generation}).")
    follow(registry, settings, model, entry)


def rollback(
    model: Model,
    to: Annotated[str | None, typer.Option(help="A former champion; by default the one before.")] = None,
    reason: Reason = "by hand",
    op_id: OpId = None,
    as_json: Json = False,
) -> None:
    """Go back to a former champion."""
    settings = Settings.load()
    registry = Registry(open_store(settings))
    known(registry, model, to)
    entry = registry.rollback(
        model, op_id=op_id or f"cli-{uuid.uuid4()}", actor=actor(), reason=reason, now=datetime.now(UTC), to=to
    )
    show(entry, as_json, lambda: f"{model} is back on version {entry.version} (generation {entry.generation}).")
    follow(registry, settings, model, entry)


def follow(registry: Registry, settings: Settings, model: str, entry: LogEntry) -> None:
    """Bring the page and MLflow up to date, and tell those who want to know; what goes wrong there is only said."""
    from perennial.jobs.aftermath import after_entry
    from perennial.jobs.workspace import Workspace

    manifest = registry.manifest(model, entry.version)
    workspace = Workspace(
        spec=manifest.spec,
        store=registry.store,
        run=manifest.run,
        code=manifest.code,
        api_url=settings.api_url,
        progress=progress,
        now=lambda: datetime.now(UTC),
        settings=settings,
    )
    after_entry(workspace, entry)


def _registry() -> Registry:
    return Registry(open_store(Settings.load()))


def versions_of(registry: Registry, model: str) -> list[str]:
    """The model's versions. Raises NotFoundError where the model is unknown."""
    found = registry.versions(model)
    if not found:
        raise NotFoundError(
            f"Model {model} has no versions.", remedy=f"Known models: {', '.join(models_of(registry.store)) or 'none'}."
        )
    return list(found)


def known(registry: Registry, model: str, version: str | None) -> None:
    """Raises NotFoundError where the model is unknown or has no such version, saying which there are."""
    if registry.has(model, version):
        return
    found = versions_of(registry, model)
    if version is not None and version not in found:
        raise NotFoundError(f"{model} has no version {version}.", remedy=f"It has {', '.join(found)}.")


def actor() -> str:
    """Who sits at the terminal, for the log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown user"
