"""What becomes of a task whose step failed: why is kept for who reports it, and it is tried again where that helps."""

from __future__ import annotations

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from perennial.jobs import JobFailed

ERROR = "error"
"""Under this name a task keeps why it failed, for the task that reports it."""
WAITS = frozenset({6, 10})
"""Another run's turn, or S3 does not answer: what a patient task waits for."""
TRIES = 3
"""For all else: the task's first, and the two retries of every task."""


def keep_error(context: Context, reason: str) -> None:
    """Keep why a task fails, or would if it ended now."""
    context["ti"].xcom_push(key=ERROR, value=reason)


def failure(context: Context, error: JobFailed) -> Exception:
    """What the task raises for its step's failure, which is kept: it fails at once where trying again cannot help."""
    keep_error(context, str(error))
    vain = error.final or (error.exit_code not in WAITS and which_try(context) >= TRIES)
    return AirflowFailException(str(error)) if vain else error


def which_try(context: Context) -> int:
    """Which try this is, from 1; it begins anew where the task is cleared."""
    ti = context["ti"]
    return int(ti.try_number - ti.max_tries + ti.task.retries)
