"""What a month holds: what the user says of it, and what was measured or is assumed of each piece of work."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from perennial.errors import SettingsError

Scheduler = Literal["none", "batch", "instance", "mwaa"]
SCHEDULERS: tuple[Scheduler, ...] = get_args(Scheduler)


class Usage(BaseModel):
    """One month of one stage.

    ``predictions`` by the API, ``rows`` scored from files, ``labels`` sent to the feedback route, ``visits`` of the
    form's pages; ``trainings`` of all models together, of ``training_minutes`` each; ``storage_gb`` is what the buckets
    hold. ``scheduler`` is what starts trainings and monitoring: nothing of AWS's (``none``), EventBridge and AWS Batch,
    Airflow on an instance, or Amazon MWAA. ``alarms``, ``dashboards`` and ``keys`` are those of the templates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    predictions: int = Field(default=0, ge=0, le=10**15)
    rows: int = Field(default=0, ge=0, le=10**15)
    labels: int = Field(default=0, ge=0, le=10**15)
    visits: int = Field(default=0, ge=0, le=10**15)
    trainings: int = Field(default=0, ge=0, le=10**9)
    training_minutes: float = Field(default=5.0, ge=1, le=14 * 24 * 60)
    models: int = Field(default=1, ge=1, le=10**6)
    storage_gb: float = Field(default=1.0, ge=0, le=1e12)
    scheduler: Scheduler = "none"
    alarms: int = Field(default=10, ge=0, le=10**6)
    dashboards: int = Field(default=1, ge=0, le=10**6)
    keys: int = Field(default=1, ge=0, le=10**6)
    log_days: int = Field(default=30, ge=1, le=3653)

    @classmethod
    def of(cls, **given: Any) -> Usage:
        """The usage that a user says.

        Raises:
            SettingsError: a number is negative, no number or beyond all reason; names it.
        """
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
            name = "--" + str(first["loc"][0]).replace("_", "-")
            raise SettingsError(f"{name}: {first['msg'].lower()}.") from error


@dataclass(frozen=True)
class Assumptions:
    """Of each piece of work. What was measured names its command; the rest is a bound or a guess, and says so."""

    warm_ms: float = 0.132
    """One warm prediction of 20 columns, p50 (`python -m benchmarks.serving`)."""
    cold_ms: float = 474.0
    """A cold start, to the first answer (`python -m benchmarks.serving`)."""
    cold_share: float = 0.01
    """A guess: of calls that start a function."""
    around_ms: float = 1.0
    """A guess: what Lambda's runtime adds to a call."""
    speed: float = 0.7
    """A guess: a whole processor of Lambda to one of the machine that measured."""
    api_gb: float = 1.0
    """Memory of the API's function, as in the template; with it goes 1,024 / 1,769 of a processor."""
    line_bytes: int = 801
    """A captured prediction of 20 columns (`python -m benchmarks.capture` writes such lines)."""
    other_log_bytes: int = 1240
    """Beside it: the request's line (542, measured), the access log's, what Lambda writes, and 26 for each event."""
    answer_bytes: int = 900
    """An answer (411, measured) with its headers."""
    capture_ms: float = 60.0
    """A bound: one batch of lines, written to S3. Under load CloudWatch Logs gathers many; one each is assumed."""
    capture_gb: float = 0.25
    metrics: int = 4
    """Of each model, in each hour with a prediction: predictions, latency, refused, errors."""
    refresh_seconds: float = 15.0
    """Time between two looks of a server at the alias of a model, and at most one look a prediction."""
    servers: int = 2
    """A guess: functions that are warm at a time."""
    rows_per_second: int = 429_000
    """Of one processor, from CSV (`python -m benchmarks.spark`)."""
    row_bytes: int = 194
    file_rows: int = 1_000_000
    start_seconds: float = 1.5
    """A bound: of each call that scores."""
    score_gb: float = 1769 / 1024
    read_bytes: int = 4 << 20
    file_gets: int = 10
    file_puts: int = 8
    poll_seconds: float = 20.0
    pollers: int = 5
    """How many times at once Lambda asks a queue that holds nothing (AWS's documentation, "Using Lambda with SQS")."""
    training_gets: int = 400
    training_puts: int = 120
    """Bounds: requests of a training to S3, its data aside."""
    job_vcpus: float = 1.0
    job_gb: float = 4.0
    """As in a spec that says no other (`job.vcpu`, `job.memory`)."""
    training_jobs: int = 12
    pass_jobs: int = 6
    """A bound: jobs of a training, and of a monitoring pass, where Airflow starts each step as one; else it is one."""
    job_minutes: float = 1.0
    """Of each of these, its container's start above all; Fargate charges a minute at least."""
    passes_a_day: int = 4
    pass_minutes: float = 2.0
    """Of monitoring: 14.4 s measured (`python -m benchmarks.monitoring`), and the container's start."""
    image_gb: float = 1.0
    visit_requests: int = 12
    visit_bytes: int = 150_000
    nat_gb: float = 5.0
    airflow_log_gb: float = 1.0
    database_gb: float = 1.0
    disk_gb: float = 30.0

    def items(self) -> list[tuple[str, float]]:
        """Every assumption by its name."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


HOURS = 730
"""Of a month, as AWS reckons."""
DAYS = 30
