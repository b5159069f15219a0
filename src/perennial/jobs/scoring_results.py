"""What the steps of a scheduled scoring return, and what is kept of a run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from perennial.jobs.results import StepResult
from perennial.serving.batch_job import BatchCounts, BatchInput

Engine = Literal["lambda", "spark"]
SHOWN = 20
"""Names in a message, and in what a task hands on: all of them are in the summary in S3."""


class ScoringFile(StepResult):
    """A file to be scored. ``name`` is its key below the source, ``mark`` how a listing tells this version of it."""

    name: str
    mark: str
    input: BatchInput


class ScoringPlan(StepResult):
    """What a run is to do: so many ``files`` of so many ``bytes`` by ``engine``, which is None where nothing is new.

    ``done`` files were scored before. ``failed`` ones could not be, ``overdue`` ones were asked for hours ago, and
    ``left`` ones are for the next run: none of them is this run's. ``blocked`` is why new files cannot be scored.
    """

    engine: Engine | None
    files: int
    bytes: int
    done: int
    failed: int
    overdue: int
    left: int
    blocked: str | None = None

    def told(self) -> str:
        """One sentence."""
        if self.blocked:
            return self.blocked
        rest = {"were scored before": self.done, "failed and were not replaced since": self.failed,
                "are overdue": self.overdue, "are left for the next run": self.left}  # fmt: skip
        beside = "".join(f"; {count:,} {what}" for what, count in rest.items() if count)
        by = f", {self.bytes:,} bytes, for {self.engine}" if self.engine else ""
        return f"{self.files:,} new files{by}{beside}"


class ScoringFiles(StepResult):
    """The same with all its names: fixed once for a run, so that each of its tasks is about the same files.

    ``version`` of the model is what serves as the run begins; it scores where Spark does.
    """

    engine: Engine | None
    version: str | None
    started: datetime
    files: tuple[ScoringFile, ...]
    done: int
    failed: tuple[str, ...]
    overdue: tuple[str, ...]
    left: int
    blocked: str | None = None

    def plan(self) -> ScoringPlan:
        """What fits an XCom."""
        return ScoringPlan(
            engine=self.engine,
            files=len(self.files),
            bytes=sum(file.input.size for file in self.files),
            done=self.done,
            failed=len(self.failed),
            overdue=len(self.overdue),
            left=self.left,
            blocked=self.blocked,
        )


class ScoringRequested(StepResult):
    """So many files were ``asked`` for by this run, and so many ``before`` by another that is under way."""

    asked: int
    before: int


class ScoringHandedOver(StepResult):
    """The job of Spark: where its request is, and the ``arguments`` of ``perennial.scoring.spark_job``."""

    key: str
    arguments: tuple[str, ...]


class ScoringWait(StepResult):
    """So many of ``files`` are ``open`` still; ``names`` are those of the first."""

    files: int
    open: int
    names: tuple[str, ...]

    def told(self) -> str:
        """One sentence."""
        if not self.open:
            return f"all {self.files:,} files are done"
        return f"{self.open:,} of {self.files:,} files are not scored yet: {named(self.names, self.open)}"


class FileEnd(StepResult):
    """How one file came out. ``outputs`` are keys, a folder's where it ends with a slash; ``reason`` why it failed."""

    name: str
    work: str
    state: Literal["done", "failed"]
    version: str | None
    counts: BatchCounts
    outputs: tuple[str, ...]
    warnings: tuple[str, ...]
    reason: str | None

    @property
    def named_reason(self) -> str:
        """Why it failed, after its name: most reasons begin with it."""
        reason = self.reason or ""
        return reason if reason.startswith((f"{self.name}:", f"{self.name},")) else f"{self.name}: {reason}"


class ScoringChecked(StepResult):
    """The totals of a run whose files all have their result; ``counts`` are of those that were scored."""

    files: int
    failed: int
    counts: BatchCounts


class ScoringTotals(ScoringChecked):
    """The same with the first of what failed, and the ``key`` of the whole summary: what fits an XCom."""

    key: str
    seconds: float
    reasons: tuple[str, ...]


class ScoringSummary(StepResult):
    """What a run came to. ``seconds`` from its first look at the source to the end of its last file.

    ``failed_before`` and ``overdue`` name files of the source that the run left alone, as :class:`ScoringPlan` says.
    """

    model: str
    run: str
    engine: Engine
    started: datetime
    seconds: float
    counts: BatchCounts
    files: tuple[FileEnd, ...]
    failed_before: tuple[str, ...]
    overdue: tuple[str, ...]
    left: int

    @property
    def failed(self) -> tuple[FileEnd, ...]:
        return tuple(file for file in self.files if file.state == "failed")

    @property
    def ended(self) -> datetime:
        return self.started + timedelta(seconds=self.seconds)

    def told(self) -> list[str]:
        """A few lines for people."""
        counts, failed = self.counts, self.failed
        lines = [
            f"model        {self.model}",
            f"run          {self.run}, by {self.engine}, {self.seconds:,.1f} s",
            f"files        {len(self.files) - len(failed):,} scored, {len(failed):,} failed",
            f"rows         {counts.rows:,} read, {counts.scored:,} scored, {counts.quarantined:,} quarantined",
        ]
        lines += [f"failed       {file.named_reason}" for file in failed[:SHOWN]]
        if self.failed_before:
            many = named(self.failed_before, len(self.failed_before))
            lines.append(f"left alone   failed before, and not replaced since: {many}")
        if self.overdue:
            lines.append(f"left alone   asked for hours ago: {named(self.overdue, len(self.overdue))}")
        if self.left:
            lines.append(f"left         {self.left:,} more files for the next run")
        return lines

    def totals(self, key: str) -> ScoringTotals:
        """What fits an XCom."""
        return ScoringTotals(
            files=len(self.files),
            failed=len(self.failed),
            counts=self.counts,
            key=key,
            seconds=self.seconds,
            reasons=tuple(file.named_reason for file in self.failed[:SHOWN]),
        )


def named(names: tuple[str, ...], count: int) -> str:
    """The first of ``count`` names."""
    shown = names[:SHOWN]
    return ", ".join(shown) + (f" and {count - len(shown):,} more" if count > len(shown) else "")
