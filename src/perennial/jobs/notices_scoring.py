"""What people are told of a scheduled scoring: the files that could not be scored."""

from __future__ import annotations

from perennial.jobs.notices_words import listed, paragraphs
from perennial.jobs.scoring_results import SHOWN, ScoringSummary
from perennial.notify import Notice


def of_scoring(summary: ScoringSummary, key: str) -> Notice | None:
    """Which files of a run failed and why, told once; None where none did. ``key`` is where the summary is."""
    failed = summary.failed
    if not failed:
        return None
    lines = [file.named_reason for file in failed[:SHOWN]]
    more = [f"and {len(failed) - SHOWN:,} more"] if len(failed) > SHOWN else []
    m, files = summary.model, f"{len(failed):,} of {len(summary.files):,} files"
    return Notice(
        model=m,
        kind="failed",
        event=f"scoring-{summary.run}",
        subject=f"{m}: {files} could not be scored",
        text=paragraphs(
            f"Run {summary.run} could not score {files}:",
            listed([*lines, *more]),
            f"The others are scored: {summary.counts.scored:,} rows, and {summary.counts.quarantined:,} in quarantine.",
            "A file that failed is tried again once it is replaced by another version of itself.",
            f"All of it: {key}",
        ),
        at=summary.ended,
    )
