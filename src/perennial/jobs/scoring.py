"""Scoring what is new, as a schedule does: the steps by name for Airflow, and all of them in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from perennial.errors import Unscored
from perennial.jobs import aftermath
from perennial.jobs.results import StepResult
from perennial.jobs.scoring_await import scoring_await
from perennial.jobs.scoring_list import scoring_list
from perennial.jobs.scoring_policy import PATIENCE
from perennial.jobs.scoring_results import ScoringPlan, ScoringSummary, ScoringTotals
from perennial.jobs.scoring_spark import scoring_spark
from perennial.jobs.scoring_submit import scoring_hand_over, scoring_request
from perennial.jobs.scoring_summary import scoring_check, scoring_summary, summary_key
from perennial.jobs.workspace import Workspace

LOOK_SECONDS = 2.0


def conclude(w: Workspace) -> ScoringSummary:
    """Sum a run up, and tell people of the files that failed."""
    summary = scoring_summary(w)
    aftermath.after_scoring(w, summary)
    return summary


def totals(w: Workspace) -> ScoringTotals:
    """:func:`conclude` for a task, whose log shows the sums."""
    summary = conclude(w)
    for line in summary.told():
        w.progress(line)
    return summary.totals(summary_key(w))


STEPS: Mapping[str, Callable[[Workspace], StepResult]] = {
    "scoring-list": scoring_list,
    "scoring-request": scoring_request,
    "scoring-hand-over": scoring_hand_over,
    "scoring-spark": scoring_spark,
    "scoring-await": scoring_await,
    "scoring-check": scoring_check,
    "scoring-summary": totals,
}
"""Steps of a scheduled scoring. They need nobody's turn: a file is scored once, however many ask for it."""


def run_scoring(
    w: Workspace, *, sleep: Callable[[float], None], patience: timedelta = PATIENCE
) -> tuple[ScoringPlan, ScoringSummary | None]:
    """Score what is new and wait for it; the summary is None where nothing is new. Spark runs on this machine.

    Repeating it with the same run resumes one that was cut off.

    Raises:
        Unscored: files have no result after ``patience``, or the job of Spark failed.
        IntegrityError: a result does not hold.
        SettingsError: no bucket is named, or there is no Spark for files that are for Spark.
        SpecError: scoring itself writes under the source.
    """
    plan = scoring_list(w)
    if plan.engine is None:
        return plan, None
    if plan.engine == "spark":
        scoring_spark(w)
    else:
        scoring_request(w)
        _wait(w, sleep, patience)
    scoring_check(w)
    return plan, conclude(w)


def _wait(w: Workspace, sleep: Callable[[float], None], patience: timedelta) -> None:
    until = w.now() + patience
    while (found := scoring_await(w)).open:
        if w.now() >= until:
            raise Unscored(
                found.told() + ".",
                remedy=f"`perennial batches {w.spec.name}` says how far they are, `perennial redrive` tries again what "
                "was given up.",
            )
        sleep(LOOK_SECONDS)
