"""A soak in words: what was done, and what each process took."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tests.support.chaos.soak import JUDGED, Soaked, full
from tests.support.chaos.soak_memory import TOLERANCE, WARM_UP, WINDOW
from tests.support.chaos.tally import Row, table

MEGABYTE = 1_000_000
MOST_TOLD = 500


def report(found: Soaked, rows: Sequence[Row], amiss: Sequence[str], seed: int, at: datetime) -> str:
    """The page of a soak, as Markdown, which says first where it failed."""
    minutes, plan = found.seconds / 60, full(round(found.seconds / 60))
    failed = amiss or not all(row.clean for row in rows)
    window = (1 - WARM_UP) * minutes * WINDOW
    lines = [
        "# A soak",
        "",
        *(["**It failed**: something is lost or wrong below, or was amiss.", ""] if failed else []),
        *[f"- {line[:MOST_TOLD]}" for line in amiss],
        *([""] if amiss else []),
        f"`make soak MINUTES={minutes:.0f}`, seed {seed}, {at:%Y-%m-%d}: {plan.server_rate:g} requests a second to the "
        f"API as a server and {plan.function_rate:g} to it as a function, on the embedded local AWS. A label or a "
        "prediction counts as kept once it is found in S3; predictions are captured for the functions alone, one for "
        "each record of a request.",
        "",
        f"Resident memory in MB: the median of {window:.1f} minutes after a warm-up of {WARM_UP * minutes:.1f}, the "
        f"median of the last {window:.1f} minutes, and the straight line through all between (Theil and Sen). A "
        f"process is flat where neither grows by more than {TOLERANCE:.0%}; a leak that is slower passes.",
        "",
        "| Process | Samples | First | Last | Growth | Line | |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for (name, pid), verdict in sorted(found.watch.verdicts(found.seconds).items()):
        word = ("flat" if verdict.flat else "**grows**") if name in JUDGED else "not ours, not judged"
        lines.append(
            f"| {name} | {len(found.watch.samples[name, pid]):,} | {verdict.first / MEGABYTE:.1f} | "
            f"{verdict.last / MEGABYTE:.1f} | {verdict.growth:+.2%} | {verdict.slope:+.2%} | {word} |"
        )
    return "\n".join([*lines, "", table(sorted(rows, key=lambda row: row.fault), ()).split("\n\n")[0], ""])
