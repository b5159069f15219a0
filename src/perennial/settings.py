"""Where Perennial works: read from the environment when first needed, never at import."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from perennial.errors import SettingsError
from perennial.trust import TrustedKeys

API_MEGABYTES = 1024
"""Memory (MiB) of a server, where nothing else is said; as ``template.yaml`` has it."""
STACK_FILE = Path(".local/stack.json")


class Settings(BaseModel):
    """Bucket, endpoint and addresses of one deployment.

    ``aws_endpoint_url`` is None on AWS itself. ``refresh_seconds`` is the least time between two
    looks at an alias by a server. ``allowed_origin`` is the one origin whose pages may call a server that
    has no HTTP API before it to say so. ``upload_bytes`` is the size of the largest file that may be uploaded to be
    scored. ``topic_arn`` is the SNS topic of notices, ``landing_queue`` the URL of the
    SQS queue that tells of new files, ``airflow_url`` where Airflow's REST API is, ``mlflow_uri`` a tracking server.
    ``scoring_queue`` and ``scoring_dead_queue`` are the URLs of the queue that has files scored, and of the one for
    what could not be; ``spark_application`` and ``spark_role`` the EMR Serverless application (its id) and the role
    (its ARN) that score what is too large for functions. ``job_queue`` is the queue of AWS Batch for steps that run
    there, ``trainer_job`` and ``promoter_job`` the job definitions of the two roles; ``large_job_queue`` and
    ``large_trainer_job`` those for jobs beyond Fargate's sizes. ``part_bytes`` is about how much of a file one
    function scores in one go. ``trusted_keys`` are the public keys that versions must be signed with, or the word
    ``unsigned``; ``signing_key`` is what they are signed with here: a key file, or ``kms:`` and a key's ARN or alias.
    ``api_megabytes`` is the memory (MiB) that a server has, which a version must do with to be promoted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bucket: str = Field(min_length=3)
    aws_endpoint_url: str | None = None
    region: str = "us-east-1"
    api_url: str | None = None
    site_url: str | None = None
    site_bucket: str | None = None
    topic_arn: str | None = None
    landing_queue: str | None = None
    airflow_url: str | None = None
    mlflow_uri: str | None = None
    scoring_queue: str | None = None
    scoring_dead_queue: str | None = None
    spark_application: str | None = None
    spark_role: str | None = None
    job_queue: str | None = None
    trainer_job: str | None = None
    promoter_job: str | None = None
    large_job_queue: str | None = None
    large_trainer_job: str | None = None
    refresh_seconds: float = Field(default=15.0, ge=0)
    part_bytes: int = Field(default=256 << 20, ge=1)
    upload_bytes: int = Field(default=1_000_000_000, ge=1, le=5_000_000_000)
    allowed_origin: str | None = Field(default=None, pattern=r"^https?://[^/\s*]+$")
    trusted_keys: str | None = None
    signing_key: str | None = None
    api_megabytes: int = Field(default=API_MEGABYTES, ge=128)

    @field_validator("trusted_keys")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            TrustedKeys.parse(value)
        return value

    @property
    def trust(self) -> TrustedKeys | None:
        """The keys that versions must be signed with; None where they need not be."""
        return TrustedKeys.parse(self.trusted_keys) if self.trusted_keys is not None else None

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None, start: Path | None = None) -> Settings:
        """Read the environment; without ``PERENNIAL_BUCKET``, the ``.local/stack.json`` of a running local stack.

        Raises:
            SettingsError: neither names a bucket, or a value is malformed.
        """
        env = os.environ if env is None else env
        values: dict[str, object] = {}
        if not env.get("PERENNIAL_BUCKET"):
            values = _local_stack(start or Path.cwd())
        for field, name in VARIABLES.items():
            if env.get(name) or (field == "trusted_keys" and name in env):  # an empty one is not taken for none
                values[field] = env[name]
        if "bucket" not in values:
            raise SettingsError(
                "No bucket is named.",
                remedy='Run `make up`, and then this within the repository or after `eval "$(perennial env)"`; '
                "for a stack elsewhere, set PERENNIAL_BUCKET (and AWS_ENDPOINT_URL for an emulator).",
            )
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0]) if first["loc"] else "settings"
            reason = first["msg"].removeprefix("Value error, ")
            raise SettingsError(f"{VARIABLES.get(field, field)}: {reason}.") from error

    @classmethod
    def of_local_stack(cls) -> Settings:
        """The running local stack, whatever an older one left in the environment; the environment where none runs.

        Raises:
            SettingsError: neither names a bucket, or a value is malformed.
        """
        return cls.load({} if _local_stack(Path.cwd()) else None)

    @property
    def emulated(self) -> bool:
        """Whether the endpoint is an emulator on this machine, which takes any credentials."""
        return on_this_machine(self.aws_endpoint_url or "")

    def exports(self) -> dict[str, str]:
        """The environment variables that say the same, with the test credentials a local endpoint asks for."""
        values = self.model_dump(exclude_none=True)
        found = {name: str(values[field]) for field, name in VARIABLES.items() if field in values}
        if self.emulated:
            found |= LOCAL_CREDENTIALS
        return found


def on_this_machine(url: str) -> bool:
    """Whether an address is one of this machine's own, which no other machine can reach."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host is not None and (host in ("127.0.0.1", "::1", "localhost") or host.endswith(".localhost"))


LOCAL_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
VARIABLES = {
    "bucket": "PERENNIAL_BUCKET",
    "aws_endpoint_url": "AWS_ENDPOINT_URL",
    "region": "AWS_REGION",
    "api_url": "PERENNIAL_API_URL",
    "site_url": "PERENNIAL_SITE_URL",
    "site_bucket": "PERENNIAL_SITE_BUCKET",
    "topic_arn": "PERENNIAL_TOPIC_ARN",
    "landing_queue": "PERENNIAL_LANDING_QUEUE",
    "airflow_url": "PERENNIAL_AIRFLOW_URL",
    "mlflow_uri": "MLFLOW_TRACKING_URI",
    "scoring_queue": "PERENNIAL_SCORING_QUEUE",
    "scoring_dead_queue": "PERENNIAL_SCORING_DEAD_QUEUE",
    "spark_application": "PERENNIAL_SPARK_APPLICATION",
    "spark_role": "PERENNIAL_SPARK_ROLE",
    "job_queue": "PERENNIAL_JOB_QUEUE",
    "trainer_job": "PERENNIAL_TRAINER_JOB",
    "promoter_job": "PERENNIAL_PROMOTER_JOB",
    "large_job_queue": "PERENNIAL_LARGE_JOB_QUEUE",
    "large_trainer_job": "PERENNIAL_LARGE_TRAINER_JOB",
    "refresh_seconds": "PERENNIAL_REFRESH_SECONDS",
    "part_bytes": "PERENNIAL_PART_BYTES",
    "upload_bytes": "PERENNIAL_UPLOAD_BYTES",
    "allowed_origin": "PERENNIAL_ALLOWED_ORIGIN",
    "trusted_keys": "PERENNIAL_TRUSTED_KEYS",
    "signing_key": "PERENNIAL_SIGNING_KEY",
    "api_megabytes": "PERENNIAL_API_MEGABYTES",
}


_RECORDED = (
    "bucket", "aws_endpoint_url", "region", "api_url", "site_url", "site_bucket", "topic_arn", "landing_queue",
    "scoring_queue", "scoring_dead_queue", "trusted_keys", "signing_key",
)  # fmt: skip


def _local_stack(start: Path) -> dict[str, object]:
    """What the nearest ``.local/stack.json`` at or above ``start`` says, or nothing."""
    for folder in (start, *start.parents):
        path = folder / STACK_FILE
        if path.is_file():
            try:
                stack = dict(json.loads(path.read_text()))
            except (ValueError, TypeError) as error:
                raise SettingsError(f"{path}: damaged.", remedy="Run `make down`, then `make up`.") from error
            return {key: stack[key] for key in _RECORDED if key in stack}
    return {}
