"""The task that runs one step as a job on AWS Batch: it is no process while the job runs, and returns the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from airflow.providers.amazon.aws.operators.batch import BatchOperator
from airflow.providers.common.compat.sdk import context_merge
from airflow.sdk import Context
from airflow.sdk.bases.decorator import DecoratedOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from botocore.exceptions import BotoCoreError, ClientError

from perennial.errors import PerennialError
from perennial.jobs import JobFailed
from perennial.jobs.asked import Asked
from perennial.jobs.batch import JobRequest, job_request, result_of_command
from perennial.jobs.batch_end import ENDED, JobEnd
from perennial.jobs.staged import read_result
from perennial.settings import Settings
from perennial.spec import load_spec
from perennial.store_opening import open_store
from perennial_airflow.batch_trigger import KILLED, StepTrigger
from perennial_airflow.failures import failure, keep_error

ATTEMPTS = 5
"""Of one job, as the retry strategy of infra/batch.yaml has it."""
QUEUED_SECONDS = 24 * 3600
"""How long a job may wait for a machine, beside the time that it may run."""
LINES = 10_000
_REFUSALS = frozenset({"ClientException", "AccessDeniedException", "ValidationException"})
_AT_EXECUTION = "set when the task runs"


class StepOnBatch(DecoratedOperator, BatchOperator):  # type: ignore[misc]
    """Wraps a function that says which step to run (:class:`perennial.jobs.batch.Asked`), as ``@task.bash`` does."""

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *BatchOperator.template_fields)
    template_fields_renderers = {  # noqa: RUF012 - the name and kind that Airflow asks for
        **DecoratedOperator.template_fields_renderers,
        **BatchOperator.template_fields_renderers,
    }
    custom_operator_name = "@step"
    on_batch = True
    """Asked by the function that is wrapped, which may be wrapped by another operator too."""
    shallow_copy_attrs: Sequence[str] = ("python_callable",)

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            job_name=_AT_EXECUTION,
            job_definition=_AT_EXECUTION,
            job_queue=_AT_EXECUTION,
            deferrable=True,
            aws_conn_id=None,  # the credentials of Airflow's own role
            **more,
        )

    def execute(self, context: Context) -> Any:
        """Submit the job, or find it running already, and wait for it as no process.

        Raises:
            AirflowFailException: there is nothing to submit to, or what is asked for cannot be.
            JobFailed: AWS did not take the job, and may another time.
        """
        context_merge(context, self.op_kwargs)
        asked: Asked = self.python_callable(*self.op_args, **self.determine_kwargs(context))
        try:
            request = self._request(asked, context)
            self._take(request)
            self.submit_job(context)
        except PerennialError as error:
            raise self._refused(context, asked.step, error) from error
        job = self._persist_links(context)
        if job["status"] in ENDED:
            return self._ended(context)
        seconds = QUEUED_SECONDS + ATTEMPTS * request.seconds
        self.defer(
            trigger=StepTrigger(
                job_id=self.job_id,
                region_name=self.region_name,
                aws_conn_id=self.aws_conn_id,
                waiter_delay=self.poll_interval,
                waiter_max_attempts=seconds // self.poll_interval + 1,
            ),
            method_name="execute_complete",
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> Any:
        """Hand on what the step returned; its log becomes part of this one.

        Raises:
            AirflowFailException: the step failed, and would again.
            JobFailed: it failed.
        """
        context_merge(context, self.op_kwargs)  # names the instance of a mapped task
        self.job_id = (event or {})["job_id"]
        return self._ended(context)

    def submit_job(self, context: Context) -> None:
        """Submit the job, unless the one of an earlier try runs: its worker died before it could wait for it.

        Raises:
            JobFailed: AWS did not take the job.
        """
        try:
            self.job_id = self._running()
            if self.job_id is None:
                super().submit_job(context)
            else:
                self.log.info("Job %s (%s) runs already.", self.job_name, self.job_id)
        except (AirflowException, BotoCoreError, ClientError) as error:
            step = str(context["ti"].task_id)
            raise JobFailed(step, 1, f"AWS Batch did not take the job: {error}", final=_wrong(error)) from error

    def on_kill(self) -> None:
        """End the job with the process that is about to wait for it."""
        if self.job_id:
            self.hook.client.terminate_job(jobId=self.job_id, reason=KILLED)

    def _request(self, asked: Asked, context: Context) -> JobRequest:
        settings, ti = Settings.load(), context["ti"]
        return job_request(
            asked,
            load_spec(asked.place),
            settings,
            open_store(settings),
            run=str(context["run_id"]),
            task=f"{ti.dag_id}/{context['run_id']}/{ti.task_id}/{ti.map_index}",
            attempt=str(ti.id),
        )

    def _take(self, request: JobRequest) -> None:
        self.job_name, self.job_queue, self.job_definition = request.name, request.queue, request.definition
        self.container_overrides = request.overrides()
        self.submit_job_timeout = request.seconds

    def _running(self) -> str | None:
        """The job of this very name that has not ended, and that nobody is ending."""
        client = self.hook.client
        found = client.list_jobs(jobQueue=self.job_queue, filters=[{"name": "JOB_NAME", "values": [self.job_name]}])
        running = [job["jobId"] for job in found["jobSummaryList"] if job["status"] not in ENDED]
        if not running:
            return None
        jobs = client.describe_jobs(jobs=running)["jobs"]
        left = [job["jobId"] for job in jobs if not (job.get("isTerminated") or job.get("isCancelled"))]
        return str(left[0]) if left else None

    def _ended(self, context: Context) -> Any:
        end = JobEnd.of(self.hook.get_job_description(self.job_id))
        if end.status not in ENDED:
            self.on_kill()
        lines = self._told()
        self._persist_cloudwatch_link(context)
        problem = end.failure(lines)
        if problem is not None:
            raise failure(context, problem) from problem
        data = read_result(result_of_command(end.command) or "")
        if data is None:
            missing = JobFailed(end.step, 1, f"job {end.job} ended well and left no result.")
            raise failure(context, missing) from missing
        return json.loads(data)

    def _told(self) -> list[str]:
        """The lines of the job's log, which become part of this task's; none where it cannot be read."""
        try:
            fetcher = self._get_batch_log_fetcher(self.job_id)
            lines = fetcher.get_last_log_messages(LINES) if fetcher else []
        except (AirflowException, BotoCoreError, ClientError) as error:
            self.log.warning("The log of job %s cannot be read: %s", self.job_id, error)
            return []
        lines = [line.rstrip() for line in lines if line.strip()]
        for line in lines:
            self.log.info("%s", line)
        return lines

    def _refused(self, context: Context, step: str, error: PerennialError) -> Exception:
        if isinstance(error, JobFailed):
            return failure(context, error)
        told = JobFailed(step, error.exit_code, str(error))
        keep_error(context, str(told))
        return AirflowFailException(str(told)) if told.final else failure(context, told)


def _wrong(error: BaseException) -> bool:
    """Whether AWS refused what was asked for: there is no such queue, or no permission. The provider wraps boto3's."""
    cause = error if isinstance(error, ClientError) else error.__context__
    return isinstance(cause, ClientError) and cause.response["Error"]["Code"] in _REFUSALS
