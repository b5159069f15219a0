"""Both words on the same rows: what was captured of a trial, line by line, each counted once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b

from perennial.monitoring.captures import Span, batches, captured, in_span
from perennial.registry.entries import LogEntry, Trial
from perennial.serving.captured import CapturedPrediction
from perennial.spec import ModelSpec
from perennial.store import Store

Word = str | float


@dataclass
class Sides:
    """What was counted.

    ``rows`` were answered at all, ``answered`` of them by the challenger. It was ``asked`` on so many rows, and
    ``failed`` on some; on ``pairs`` rows both have spoken, and ``apart`` is the sum of how far apart they were, 0 to 1
    each. ``kept`` are the words beside of the predictions that were to be kept.
    """

    rows: int = 0
    answered: int = 0
    asked: int = 0
    failed: int = 0
    pairs: int = 0
    apart: float = 0.0
    kept: dict[str, CapturedPrediction] = field(default_factory=dict)


def sides(
    store: Store,
    spec: ModelSpec,
    trial: Trial,
    entry: LogEntry,
    since: datetime,
    until: datetime,
    *,
    keep: Collection[str],
) -> Sides:
    """Read all that was captured of a trial in ``[since, until)``; memory grows by some bytes a row.

    Args:
        store: of the model.
        spec: of the model.
        trial: the one that runs.
        entry: the newest of the log; lines of another trial, or of none, are left out.
        since: when the trial began.
        until: when it is looked at.
        keep: the predictions whose word beside is wanted.
    """
    span, found = Span(since, until), Sides()
    seen: set[bytes] = set()
    waiting: dict[str, Word] = {}
    for line in captured(store, spec.name, batches(store, spec.name, span), shadows=True):
        if not trial.began <= line.generation <= entry.generation or not in_span(line, span):
            continue
        if line.version not in (trial.version, entry.version) or not _is_new(seen, line):
            continue
        if line.role == "shadow":
            found.asked += line.version == trial.version
            if line.prediction_id in keep:
                found.kept[line.prediction_id] = line
        else:
            _count(found, trial, line)
            if not _is_paired(trial, line):
                continue
        other = waiting.pop(line.prediction_id, None)
        if other is None:
            waiting[line.prediction_id] = line.prediction
        else:
            found.pairs += 1
            found.apart += distance(other, line.prediction)
    return found


def distance(one: Word, other: Word) -> float:
    """How far apart two answers are, 0 to 1: whether the classes differ, or by what part of the larger value."""
    if isinstance(one, str) or isinstance(other, str):
        return float(one != other)
    largest = max(abs(one), abs(other))
    return min(1.0, abs(one - other) / largest) if largest > 0 else 0.0


def _count(found: Sides, trial: Trial, line: CapturedPrediction) -> None:
    found.rows += 1
    failed = line.challenger_error is not None
    if line.version == trial.version:
        found.answered += 1
    found.failed += failed
    found.asked += failed or line.version == trial.version


def _is_paired(trial: Trial, line: CapturedPrediction) -> bool:
    """Whether a word beside an answer is to be expected."""
    return line.challenger_error is None and (trial.mode == "shadow" or line.version == trial.version)


def _is_new(seen: set[bytes], line: CapturedPrediction) -> bool:
    """Whether a line comes for the first time: deliveries are repeated."""
    name = blake2b(f"{line.prediction_id}{line.role == 'shadow'}".encode(), digest_size=8).digest()
    if name in seen:
        return False
    seen.add(name)
    return True
