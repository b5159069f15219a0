"""How a job of AWS Batch ended, in the words of its step: from what Batch says of it, and from its log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from perennial.jobs.batch import MODULE
from perennial.jobs.local import JobFailed

ENDED = frozenset({"SUCCEEDED", "FAILED"})
INTERRUPTED = ("Host EC2", "Your Spot Task was interrupted")
"""How Batch's reason begins where a machine was taken away: of EC2, and of Fargate Spot."""
TOO_LONG = "Job attempt duration exceeded timeout"
OUT_OF_MEMORY = "OutOfMemory"
_OURS = range(2, 64)
"""Exit codes of ``perennial.errors``; what else ends a process is told by Batch's reason."""
_UNKNOWN, _KILLED = 1, 137


@dataclass(frozen=True)
class JobEnd:
    """A job as Batch describes it: its status, Batch's own reason, and exit code and reason of its container."""

    job: str
    status: str
    reason: str
    exit_code: int | None
    container: str
    command: tuple[str, ...]

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> JobEnd:
        """From one of ``jobs`` of DescribeJobs."""
        container = description.get("container") or {}
        return cls(
            job=description["jobId"],
            status=description["status"],
            reason=description.get("statusReason") or "",
            exit_code=container.get("exitCode"),
            container=container.get("reason") or "",
            command=tuple(container.get("command") or ()),
        )

    @property
    def step(self) -> str:
        """The step that the job was told to run."""
        after = [word for before, word in pairwise(self.command) if before == MODULE]
        return after[0] if after else "of a job"

    def failure(self, lines: Sequence[str]) -> JobFailed | None:
        """Why the step failed, None where it did not; ``lines`` are the last ones of the job's log.

        The error says whether trying again can help, as that of a step on this machine does.
        """
        if self.status == "SUCCEEDED":
            return None
        step = self.step
        if self.status != "FAILED":
            return JobFailed(step, _UNKNOWN, f"job {self.job} has not ended: it is {self.status}{_more(self.reason)}.")
        said = f"{self.reason} {self.container}"
        if any(text in said for text in INTERRUPTED):
            return JobFailed(
                step, _KILLED, f"job {self.job}: its machine was taken away in every attempt ({self.reason})."
            )
        if OUT_OF_MEMORY in said:
            return self._final("had too little memory", "Set the spec's job.memory, or job.train.memory, higher.")
        if TOO_LONG in said:
            return self._final("ran out of time", "Set the spec's job.timeout, or job.train.timeout, higher.")
        if self.exit_code is not None and self.exit_code in _OURS and lines:
            return JobFailed(step, self.exit_code, f"{lines[-1]} (job {self.job})")
        told = "; ".join(_distinct(self.reason, self.container, *lines[-1:])) or "no reason is known"
        return JobFailed(step, self.exit_code or _UNKNOWN, f"job {self.job}: {told}")

    def _final(self, what: str, remedy: str) -> JobFailed:
        return JobFailed(self.step, self.exit_code or _KILLED, f"job {self.job} {what}. {remedy}", final=True)


def _more(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _distinct(*texts: str) -> Iterator[str]:
    for number, text in enumerate(texts):
        if text and text not in texts[:number]:
            yield text
