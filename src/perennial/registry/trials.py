"""Trials: a challenger that answers a share of the callers, or looks on, before it may be champion.

A trial is an entry of the model's one log, so all that holds of a promotion holds of it: it is committed once, whoever
dies at which instruction, and a repeated operation finds it done (``docs/decisions/0024-traffic-shaping.md``).
"""

from __future__ import annotations

from datetime import datetime

from perennial.errors import PromotionRefused
from perennial.registry.commit import commit, refuse_damaged
from perennial.registry.entries import Intent, LogEntry, Mode, Trial, next_entry
from perennial.registry.fit import misfit
from perennial.registry.log import ModelLog
from perennial.registry.verify import look_up, read_manifest
from perennial.store import Store


def start_trial(
    store: Store,
    model: str,
    version: str,
    *,
    mode: Mode,
    share: float = 1.0,
    op_id: str,
    actor: str,
    reason: str,
    now: datetime,
) -> LogEntry:
    """Put a challenger on trial beside the champion; returns the entry that did so. The champion stays.

    It takes the place of any trial that runs. With the same version and mode it is the same trial with another share;
    where that is the same too, nothing changes, and the entry that made it so is returned.

    Raises:
        PromotionRefused: there is no champion, or the version is it; the version is not published, does not verify, or
            does not take what callers send to the champion; the share is none.
        AlreadyExistsError: ``op_id`` was used for something else.
    """
    if not 0 < share <= 1 or (mode == "shadow") != (share == 1):
        raise PromotionRefused(
            f"{share:g} is no share of a {mode}.", remedy="A canary's lies between 0 and 1, a shadow's is 1."
        )
    log = ModelLog(store, model)
    intent = log.intend(op_id, "trial", version, mode=mode, share=share)

    def settles(entry: LogEntry) -> bool:
        trial = entry.trial
        return trial is not None and (trial.version, trial.mode, trial.share) == (version, mode, share)

    def propose(newest: LogEntry | None) -> LogEntry:
        if newest is None:
            raise PromotionRefused(
                f"{model} has no champion to try {version} beside.", remedy=f"`perennial promote {model} {version}`."
            )
        _refuse(store, model, newest.version, version)
        same = newest.trial is not None and (newest.trial.version, newest.trial.mode) == (version, mode)
        began = newest.trial.began if same and newest.trial else newest.generation + 1
        trial = Trial(version=version, mode=mode, share=share, began=began)
        return _beside(log, newest, intent, actor, reason, now, trial)

    return commit(log, intent, settles, propose)


def end_trial(
    store: Store, model: str, *, op_id: str, actor: str, reason: str, now: datetime, began: int | None = None
) -> LogEntry:
    """End the trial that runs when this is first tried, or the one that ``began`` in that generation.

    Returns the entry that ended it: this operation's, or the promotion, rollback or trial that came before it.

    Raises:
        PromotionRefused: without ``began``, no trial runs.
        AlreadyExistsError: ``op_id`` was used for something else.
    """
    log = ModelLog(store, model)
    intent = log.intend(op_id, "trial_end", None, began=began)
    ended = began if began is not None else _running(log, intent).began

    def settles(entry: LogEntry) -> bool:
        return entry.generation >= ended and (entry.trial is None or entry.trial.began != ended)

    def propose(newest: LogEntry | None) -> LogEntry:
        if newest is None or newest.generation < ended:
            raise PromotionRefused(f"{model} has had no trial {ended}.", remedy=f"`perennial log {model}` lists them.")
        return _beside(log, newest, intent, actor, reason, now, None)

    return commit(log, intent, settles, propose)


def _running(log: ModelLog, intent: Intent) -> Trial:
    newest = log.entry(intent.generation) if intent.generation else None
    if newest is None or newest.trial is None:
        raise PromotionRefused(f"No trial of {log.model} runs.", remedy=f"`perennial log {log.model}` lists them.")
    return newest.trial


def _beside(
    log: ModelLog, newest: LogEntry, intent: Intent, actor: str, reason: str, now: datetime, trial: Trial | None
) -> LogEntry:
    """An entry that leaves the champion as it is."""
    return next_entry(
        newest, intent, newest.version, actor=actor, reason=reason, now=now,
        restores=log.promoted(newest).generation, trial=trial,
    )  # fmt: skip


def _refuse(store: Store, model: str, champion: str, version: str) -> None:
    """Raises PromotionRefused unless ``version`` may be tried beside ``champion``."""
    if version == champion:
        raise PromotionRefused(
            f"{version} is champion of {model}: there is nothing to try.", remedy="Choose another version."
        )
    refuse_damaged(store, model, version)
    why = misfit(look_up(store, model, champion), read_manifest(store, model, version))
    if why is not None:
        raise PromotionRefused(
            f"{version} cannot be tried beside champion {champion}: {why}.",
            remedy=f"A changed input needs a promotion: `perennial promote {model} {version}`.",
        )
