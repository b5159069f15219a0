"""One step as a job of AWS Batch: what is asked of it, and where its spec and its result lie.

Nothing here knows of Airflow or of an AWS library. A job is told its spec and its result as addresses in S3, so that
the same image runs every step of every model.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perennial import keys
from perennial.canonical import canonical
from perennial.errors import SettingsError
from perennial.jobs.asked import Asked
from perennial.jobs.code import code_version
from perennial.jobs.staged import stage_spec
from perennial.settings import VARIABLES, Settings
from perennial.spec import JobSize, ModelSpec
from perennial.store import Store

BESIDE = frozenset({"acquire", "release", "report-failure", "scoring-await", "scoring-spark"})
"""Steps that stay where the scheduler is, also for a model whose jobs run on Batch.

They look at one object, again and again, for which a machine would be started each time; they tell people that Batch
itself has failed; or they need Spark, which the image of the jobs has not.
"""
TRAINING = frozenset({
    "collect", "snapshot", "train", "select", "register", "pull-query", "pull-land",
    "monitor-check", "monitor-quality", "monitor-drift", "monitor-performance", "monitor-trial",
})  # fmt: skip
"""Steps that read what users brought. They run under the trainer's role, which moves no champion and tells nobody."""
MODULE = "perennial.jobs"
PASSED_ON = ("airflow_url", "mlflow_uri")
"""Settings that the scheduler knows and a job definition does not."""


@dataclass(frozen=True)
class JobRequest:
    """A job that is to be submitted.

    ``name`` is the same for the same step of the same task with the same arguments, so that a job which runs already
    is found. ``memory`` is in MiB, ``timeout`` in seconds for each attempt; ``result`` is an ``s3://`` address.
    """

    name: str
    queue: str
    definition: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    size: JobSize
    result: str

    def overrides(self) -> dict[str, Any]:
        """``containerOverrides`` of SubmitJob."""
        return {
            "command": list(self.command),
            "environment": [{"name": name, "value": value} for name, value in sorted(self.environment.items())],
            "resourceRequirements": [
                {"type": "VCPU", "value": f"{self.size.vcpu:g}"},
                {"type": "MEMORY", "value": str(self.size.memory)},
            ],
        }

    @property
    def seconds(self) -> int:
        """How long one attempt may run."""
        return int(self.size.timeout.total_seconds())


def job_request(
    asked: Asked, spec: ModelSpec, settings: Settings, store: Store, *, run: str, task: str, attempt: str
) -> JobRequest:
    """Stage the spec, and say what job does the step.

    Args:
        asked: the step; its spec is read from ``asked.place``.
        spec: what was read there.
        settings: name queue and job definitions.
        store: the model's bucket.
        run: id of the run.
        task: what names the task among all of the scheduler's.
        attempt: what names this try of the task: each has its own result.

    Raises:
        SettingsError: no queue or definition is named for such a job.
        StoreUnavailable: S3 does not answer.
    """
    size = spec.job.size(asked.step)
    queue, definition = _where(asked.step, size, settings)
    path = Path(asked.place)
    staged = stage_spec(store, settings.bucket, spec.name, path)
    options = ["--spec", staged, "--run", run, *asked.options()]
    digest = hashlib.sha256(canonical([task, asked.step, *options])).hexdigest()[:16]
    name = f"{spec.name}-{asked.step}-{digest}"
    result = f"s3://{settings.bucket}/{keys.job_result(spec.name, run, f'{name}-{attempt}')}"
    return JobRequest(
        name=name,
        queue=queue,
        definition=definition,
        command=("python", "-m", MODULE, asked.step, *options, "--result", result),
        environment={"PERENNIAL_CODE": code_version(path.resolve().parent), **_passed_on(settings)},
        size=size,
        result=result,
    )


def result_of_command(command: Sequence[str]) -> str | None:
    """The address at which a job puts its result, from the command it was given; None where it was given none."""
    places = [after for word, after in itertools.pairwise(command) if word == "--result"]
    return places[-1] if places else None


def _where(step: str, size: JobSize, settings: Settings) -> tuple[str, str]:
    """Queue and job definition for a step of a size."""
    if step not in TRAINING:
        return _named(settings, "job_queue", step), _named(settings, "promoter_job", step)
    if size.large:
        remedy = "Take at most 16 vcpu and 120 GB in the spec's job, or deploy infra/batch.yaml with Ec2=on."
        return (
            _named(settings, "large_job_queue", step, remedy),
            _named(settings, "large_trainer_job", step, remedy),
        )
    return _named(settings, "job_queue", step), _named(settings, "trainer_job", step)


def _named(settings: Settings, field: str, step: str, remedy: str | None = None) -> str:
    value: str | None = getattr(settings, field)
    if value is None:
        raise SettingsError(
            f"{VARIABLES[field]} is not set, which the step {step} needs to run on AWS Batch.",
            remedy=remedy or "Set it from the outputs of infra/batch.yaml, or give the spec job: {runner: local}.",
        )
    return value


def _passed_on(settings: Settings) -> dict[str, str]:
    return {VARIABLES[field]: value for field in PASSED_ON if (value := getattr(settings, field))}
