"""Waits for a job of AWS Batch without being a process, and ends it with the task that waits."""

from __future__ import annotations

from airflow.providers.amazon.aws.triggers.batch import BatchJobTrigger

KILLED = "The task in Airflow was ended or cleared."


class StepTrigger(BatchJobTrigger):  # type: ignore[misc]
    """The provider's trigger, which lets the job of a task that a person ended run on."""

    async def on_kill(self) -> None:
        """End the job, because somebody marked or cleared the task that waits for it."""
        async with await self.hook().get_async_conn() as client:
            await client.terminate_job(jobId=self.return_value, reason=KILLED)
