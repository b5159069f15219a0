"""What a step works with, and how its result is kept so that a retry finds it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

from perennial.errors import AlreadyExistsError, SettingsError
from perennial.jobs.code import code_version
from perennial.jobs.results import StepResult
from perennial.settings import API_MEGABYTES, Settings
from perennial.spec import ModelSpec, canonical, load_spec
from perennial.store import Store
from perennial.store_opening import open_store

Progress = Callable[[str], None]
Cause = Literal["manual", "schedule", "files", "monitor"]
CAUSES: tuple[Cause, ...] = ("manual", "schedule", "files", "monitor")
R = TypeVar("R", bound=StepResult)


@dataclass(frozen=True)
class Workspace:
    """One run of one model. ``run`` names it: the same run, repeated, gives the same results.

    ``cause`` says what started it, and ``because`` why, where it was no person. ``settings`` is None where there is
    nothing but a store, as in tests and in a replay: nobody is told and nothing is published then.
    """

    spec: ModelSpec
    store: Store
    run: str
    code: str
    api_url: str | None
    progress: Progress
    now: Callable[[], datetime]
    force: bool = False
    cause: Cause = "manual"
    because: str = ""
    settings: Settings | None = None

    def once(self, key: str, kind: type[R], compute: Callable[[], R]) -> R:
        """The result stored under ``key``, or compute and store it; of two at once, the first to store wins."""
        found = self.store.find(key)
        if found is None:
            result = compute()
            try:
                self.store.put_new(key, canonical(result.model_dump(mode="json")))
            except AlreadyExistsError:
                found = self.store.get(key)
            else:
                return result
        return kind.model_validate_json(found.data)

    @property
    def server_megabytes(self) -> int:
        """Memory (MiB) of the servers that a version must do with."""
        return self.settings.api_megabytes if self.settings else API_MEGABYTES

    @property
    def attempt(self) -> str:
        """The run under this very spec: after a mistake in the spec is mended, a repeated step begins anew."""
        return f"{self.run}-{self.spec.digest()[:12]}"

    def operation(self, step: str) -> str:
        """The op_id of a registry change made by this run: a retry carries the same one."""
        return f"{step}-{self.attempt}"


def open_workspace(
    spec_path: Path,
    run: str,
    *,
    progress: Progress,
    now: Callable[[], datetime],
    force: bool = False,
    cause: Cause = "manual",
    because: str = "",
    settings: Settings | None = None,
) -> Workspace:
    """Read the spec, connect to the bucket, and name the run."""
    spec = load_spec(spec_path)
    settings = settings or Settings.load()
    return Workspace(
        spec=spec,
        store=open_store(settings),
        run=run_name(run),
        code=code_version(spec_path.resolve().parent),
        api_url=settings.api_url,
        progress=progress,
        now=now,
        force=force,
        cause=cause,
        because=because,
        settings=settings,
    )


def run_name(run: str) -> str:
    """A run id fit for a key: Airflow's ``manual__2026-11-21T03:00:00+00:00`` keeps its meaning and its uniqueness."""
    if not run.strip(". "):
        raise SettingsError(f"{run!r} names no run.", remedy="Give --run a name with letters or digits.")
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", run)[:80]
    return safe if safe == run else f"{safe}-{hashlib.sha256(run.encode()).hexdigest()[:8]}"
