"""Is the challenger better than the champion? The one rule of the gate that compares, as a pure function.

Three things are told apart. What was landed by the model's owner can be trusted, what was given through the API
cannot. A holdout drawn once cannot judge a world that moves, rows newer than both trainings can. And a gain may be
chance: a paired interval says how far.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from perennial.registry.rules import ROUNDING, Number, RuleResult, missing
from perennial.spec import ModelSpec


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparison(_Frozen):
    """Champion and challenger on the very same rows, which neither has learnt from.

    ``gain`` is that of the spec's metric, positive where the challenger is better, with its paired 95 % interval
    ``low`` to ``high`` and two-sided ``p_value``; ``bound`` is the lower end of the interval at ``gate.confidence``,
    where the spec names one. ``mcnemar`` is the p-value of McNemar's exact test of who is right more often, None for a
    regression. ``trusted`` is False where some of the labels were given through the API; ``whole`` where the rows are
    all of the challenger's holdout, or of its window.
    """

    rows: int
    champion: dict[str, float]
    challenger: dict[str, float]
    gain: Number
    low: Number = None
    high: Number = None
    bound: Number = None
    p_value: Number = None
    mcnemar: Number = None
    trusted: bool = True
    whole: bool = True


class Champion(_Frozen):
    """The champion against the challenger.

    ``holdout`` is None where they could not be compared there, and ``why`` says why; so with ``window``, the rows that
    are newer than both. ``untrusted`` where the challenger learnt from feedback that the champion did not.
    """

    version: str
    holdout: Comparison | None
    why: str = ""
    window: Comparison | None = None
    window_why: str = ""
    untrusted: bool = False


def gain_rule(spec: ModelSpec, champion: Champion | None, version: str) -> RuleResult:
    """Judge the gain.

    - A window by time whose labels can be trusted decides alone: the gain there must reach ``gate.gain``.
    - Else the gain on the holdout must reach it; or that on a window, where that gain is significant and the
      challenger is not significantly worse on the holdout.
    - A challenger that learnt from feedback must be significantly better wherever it is to pass.

    Significant means that the paired 95 % interval lies beyond nought.

    Args:
        version: the challenger's; where it fails, the reason tells how to promote it all the same.
    """
    rule = f"gain.{spec.metric}"
    wanted = spec.gate.gain
    if champion is None:
        return RuleResult(rule=rule, passed=True, reason="no champion yet.", bound=wanted)
    remedy = f"To let it serve all the same: `perennial promote {spec.name} {version}`."
    found = _judge(spec, champion)
    problem = f" {_untrusted(champion)}{remedy}" if not found.passed else ""
    return RuleResult(rule=rule, passed=found.passed, reason=found.reason + problem, value=found.value, bound=wanted)


class _Verdict(_Frozen):
    passed: bool
    reason: str
    value: Number = None


def _judge(spec: ModelSpec, champion: Champion) -> _Verdict:
    window = champion.window
    if window is not None and window.trusted and spec.time is not None:
        return _measure(spec, champion, window, significant=champion.untrusted, where="newest")
    if champion.holdout is None:
        why = champion.why or "no reason given"
        return _Verdict(passed=False, reason=f"not comparable with champion {champion.version}: {why}.")
    frozen = _measure(spec, champion, champion.holdout, significant=champion.untrusted, where="holdout")
    if frozen.passed or window is None:
        unseen = f" There is no window of new rows to look at: {champion.window_why}." if champion.window_why else ""
        return frozen if frozen.passed else frozen.model_copy(update={"reason": frozen.reason + unseen})
    newest = _measure(spec, champion, window, significant=True, where="newest")
    if not newest.passed:
        return frozen.model_copy(update={"reason": f"{frozen.reason} {newest.reason}"})
    high = champion.holdout.high
    if high is None or high < 0:
        worse = f"{newest.reason} But it must not be significantly worse on the holdout: {frozen.reason}"
        return newest.model_copy(update={"passed": False, "reason": worse})
    rows = f"On the {champion.holdout.rows:,} holdout rows it is not significantly worse"
    return newest.model_copy(update={"reason": f"{newest.reason} {rows}: {_gain(champion.holdout)}."})


def _measure(spec: ModelSpec, champion: Champion, found: Comparison, *, significant: bool, where: str) -> _Verdict:
    """One comparison against ``gate.gain``, and against chance where it must be significant."""
    wanted, metric = spec.gate.gain, spec.metric
    ours, theirs = found.challenger.get(metric), found.champion.get(metric)
    problem = missing(metric, ours) or missing(f"{metric} of champion {champion.version}", theirs)
    problem = problem or missing(f"the gain in {metric}", found.gain)
    if problem or ours is None or theirs is None or found.gain is None:
        return _Verdict(passed=False, reason=f"{problem} on the {found.rows:,} {where} rows.")
    confidence = spec.gate.confidence
    reached = found.gain if confidence is None else found.bound
    enough = reached is not None and reached >= wanted - ROUNDING
    sure = not significant or (found.low is not None and found.low > 0)
    asked = [f"at least {wanted:.6g} is wanted"]
    if confidence is not None:
        lower = "unknown" if reached is None else f"{reached:.6g}"
        asked = [f"at least {wanted:.6g} is wanted of its lower bound at confidence {confidence:g}, {lower}"]
    if significant:
        asked.append(f"it {'is' if sure else 'is not'} significantly better")
    passed = enough and sure
    neither = "" if found.whole else " that neither learnt from"
    reason = (
        f"{metric} {ours:.6g} against {theirs:.6g} of champion {champion.version} on {found.rows:,} {where} rows"
        f"{neither}: {_gain(found)}, {'and' if passed else 'but'} {' and '.join(asked)}."
    )
    return _Verdict(passed=passed, reason=reason, value=found.gain)


def _gain(found: Comparison) -> str:
    interval = "no interval" if found.low is None else f"95 % interval {found.low:.6g} to {found.high:.6g}"
    return f"a gain of {found.gain:.6g} ({interval})"


def _untrusted(champion: Champion) -> str:
    if not champion.untrusted:
        return ""
    return (
        "It learnt from feedback, which anyone who was given a prediction can send: confirm labels by "
        "`perennial land --labels`, or leave feedback out by `retrain.feedback: false`. "
    )
