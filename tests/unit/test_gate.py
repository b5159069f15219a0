"""The gate: one reason for each rule, nothing missing ever passes, and better never fails what passed."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from perennial import keys
from perennial.errors import IntegrityError
from perennial.registry.gate import (
    Champion,
    Comparison,
    Decision,
    RuleResult,
    decide,
    find_decision,
    judge,
    record_decision,
)
from perennial.registry.manifest import Metric, ModelManifest, Parity
from perennial.spec import canonical
from perennial.store import Store
from tests.support.versions import MODEL, spec, version

THEIRS = {"roc_auc": 0.9, "log_loss": 0.3}
Slices = dict[str, dict[str, dict[str, float]]]


def compared(theirs: dict[str, float], ours: dict[str, float], metric: str = "roc_auc", **more: Any) -> Comparison:
    """A comparison on 1,234 rows whose interval is the gain give or take 0.01."""
    gain = math.nan
    if metric in ours and metric in theirs:
        gain = (theirs[metric] - ours[metric]) if metric == "log_loss" else (ours[metric] - theirs[metric])
    said: dict[str, Any] = {"gain": gain, "low": gain - 0.01, "high": gain + 0.01, "p_value": 0.5}
    return Comparison(rows=1234, champion=theirs, challenger=ours, **{**said, **more})


def against(manifest: ModelManifest, theirs: dict[str, float] = THEIRS) -> Champion:
    """The champion beside a candidate whose holdout figures are those of its manifest."""
    ours = {name: metric.value for name, metric in manifest.metrics.items()}
    return Champion(version="0123456789abcdef", holdout=compared(theirs, ours, manifest.spec.metric))


def challenged(manifest: ModelManifest) -> Decision:
    return decide(manifest, against(manifest))


def candidate(
    gate: dict[str, Any],
    metrics: dict[str, float],
    *,
    metric: str = "roc_auc",
    slices: Slices | None = None,
    **more: Any,
) -> ModelManifest:
    of = spec(gate=gate, metric=metric)
    values = {name: Metric(value=value) for name, value in metrics.items()}
    manifest, _ = version(spec=of, slices=slices or {}, metrics=values, **more)
    return manifest


def judged(manifest: ModelManifest, champion: Champion | None) -> Decision:
    """As ``decide``, for metrics that no stored manifest could hold."""
    metrics = {name: metric.value for name, metric in manifest.metrics.items()}
    rules = judge(manifest.spec, metrics, manifest.slices, manifest.parity, champion)
    return Decision(candidate="any", champion=None, passed=all(rule.passed for rule in rules), rules=rules)


def rule(decision: Decision, name: str) -> RuleResult:
    (found,) = (rule for rule in decision.rules if rule.rule == name)
    return found


def test_every_rule_gives_its_reason() -> None:
    gate = {"minimum": {"roc_auc": 0.85}, "maximum": {"log_loss": 0.4}, "slices": {"Gender": {"maximum_gap": 0.05}}}
    slices = {"Gender": {"F": {"roc_auc": 0.9, "rows": 60}, "M": {"roc_auc": 0.93, "rows": 40}}}
    decision = challenged(candidate(gate, {"roc_auc": 0.92, "log_loss": 0.25}, slices=slices))
    assert decision.passed
    assert {rule.rule: rule.reason for rule in decision.rules} == {
        "minimum.roc_auc": "roc_auc 0.92 is not below the minimum 0.85.",
        "maximum.log_loss": "log_loss 0.25 is not above the maximum 0.4.",
        "gain.roc_auc": "On 1,234 holdout rows: roc_auc 0.92 against 0.9 of champion 0123456789abcdef, "
        "a gain of 0.02 (95 % interval 0.01 to 0.03). A gain of at least 0 is wanted: it is reached.",
        "slices.Gender": "roc_auc of Gender = F lags the whole by 0.02, within the gap of 0.05.",
        "parity": "the exported graph differs from scikit-learn by at most 1e-09 (bound 1e-06) "
        "and changes 0 classes (bound 0).",
    }
    assert decision.champion == "0123456789abcdef"


@pytest.mark.parametrize(
    ("gate", "metrics", "name"),
    [
        ({"minimum": {"roc_auc": 0.93}}, {"roc_auc": 0.92}, "minimum.roc_auc"),
        ({"maximum": {"log_loss": 0.2}}, {"roc_auc": 0.92, "log_loss": 0.25}, "maximum.log_loss"),
        ({"gain": 0.03}, {"roc_auc": 0.92}, "gain.roc_auc"),
        ({}, {"roc_auc": 0.89}, "gain.roc_auc"),
        ({"minimum": {"f1": 0.1}}, {"roc_auc": 0.92}, "minimum.f1"),
        ({"maximum": {"log_loss": 9}}, {"roc_auc": 0.92}, "maximum.log_loss"),
        ({"minimum": {"f1": 0.1}}, {"roc_auc": 0.92, "f1": math.nan}, "minimum.f1"),
        ({"maximum": {"log_loss": 9}}, {"roc_auc": 0.92, "log_loss": math.nan}, "maximum.log_loss"),
        ({"minimum": {"f1": 0.1}}, {"roc_auc": 0.92, "f1": math.inf}, "minimum.f1"),
        ({}, {}, "gain.roc_auc"),
        ({}, {"roc_auc": math.nan}, "gain.roc_auc"),
    ],
)
def test_one_broken_rule_is_enough(gate: dict[str, Any], metrics: dict[str, float], name: str) -> None:
    manifest = candidate(gate, metrics)
    decision = judged(manifest, against(manifest))
    assert not decision.passed
    assert [rule.rule for rule in decision.rules if not rule.passed] == [name]
    assert Decision.model_validate_json(decision.to_bytes()) == decision


def test_bounds_are_inclusive() -> None:
    gate = {"minimum": {"roc_auc": 0.9}, "maximum": {"log_loss": 0.3}, "gain": 0.0}
    assert challenged(candidate(gate, {"roc_auc": 0.9, "log_loss": 0.3})).passed
    # 0.95 - 0.9 is a last digit short of 0.05 in binary
    assert challenged(candidate({"gain": 0.05}, {"roc_auc": 0.95})).passed
    slices = {"Gender": {"F": {"roc_auc": 0.9, "rows": 60}}}
    assert decide(
        candidate({"slices": {"Gender": {"maximum_gap": 0.05}}}, {"roc_auc": 0.95}, slices=slices), None
    ).passed


def test_where_lower_is_better_a_gain_is_a_fall() -> None:
    better = challenged(candidate({"gain": 0.05}, {"log_loss": 0.25}, metric="log_loss"))
    worse = challenged(candidate({}, {"log_loss": 0.31}, metric="log_loss"))
    assert better.passed
    assert rule(better, "gain.log_loss").value == pytest.approx(0.05)
    assert not worse.passed
    slices = {"Gender": {"F": {"log_loss": 0.4, "rows": 50}, "M": {"log_loss": 0.1, "rows": 50}}}
    lagging = candidate(
        {"slices": {"Gender": {"maximum_gap": 0.1}}}, {"log_loss": 0.25}, metric="log_loss", slices=slices
    )
    assert "Gender = F lags the whole by 0.15" in rule(decide(lagging, None), "slices.Gender").reason


def test_the_first_version_needs_no_gain() -> None:
    decision = decide(candidate({"minimum": {"roc_auc": 0.5}}, {"roc_auc": 0.6}), None)
    assert decision.passed
    assert rule(decision, "gain.roc_auc").reason == "no champion yet."
    assert decision.champion is None


def test_a_champion_that_could_not_be_measured_is_not_beaten() -> None:
    unknown = Champion(version="0123456789abcdef", holdout=None, why="it wants the column Age")
    decision = decide(candidate({}, {"roc_auc": 0.99}), unknown)
    assert not decision.passed
    assert rule(decision, "gain.roc_auc").reason == (
        "not comparable with champion 0123456789abcdef: it wants the column Age."
    )
    for theirs in ({}, {"roc_auc": math.nan}):
        manifest = candidate({}, {"roc_auc": 0.99})
        found = rule(judged(manifest, against(manifest, theirs)), "gain.roc_auc")
        assert not found.passed
        assert "of champion 0123456789abcdef is" in found.reason


@pytest.mark.parametrize(("theirs", "passed"), [(0.93, True), (0.95, False)])
def test_where_holdouts_differ_the_gain_is_that_on_the_rows_they_share(theirs: float, passed: bool) -> None:
    """The candidate's figure on its whole holdout decides neither way."""
    shared = compared({"roc_auc": theirs}, {"roc_auc": 0.94}, whole=False)
    champion = Champion(version="0123456789abcdef", holdout=shared)
    for whole in (0.5, 0.99):
        found = rule(decide(candidate({}, {"roc_auc": whole}), champion), "gain.roc_auc")
        assert found.passed is passed
        assert f"roc_auc 0.94 against {theirs}" in found.reason
        assert "On 1,234 holdout rows that neither learnt from" in found.reason


@pytest.mark.parametrize(
    ("slices", "passed", "reason"),
    [
        ({}, False, "no slices of Gender were measured."),
        ({"Gender": {}}, False, "no slices of Gender were measured."),
        ({"Gender": {"F": {"rows": 50}}}, False, "roc_auc of Gender = F is missing."),
        ({"Gender": {"F": {"rows": 50, "roc_auc": math.nan}}}, False, "roc_auc of Gender = F is not a finite number."),
        (
            {"Gender": {"F": {"roc_auc": 0.5}}},
            False,
            "roc_auc of Gender = F lags the whole by 0.4, over the gap of 0.05.",
        ),
        (
            {"Gender": {"F": {"rows": 29, "roc_auc": 0.1}, "M": {"rows": 30, "roc_auc": 0.9}}},
            True,
            "roc_auc of Gender = M lags the whole by 0, within the gap of 0.05 "
            "(1 groups under 30 rows are not judged).",
        ),
        ({"Gender": {"F": {"rows": 3}}}, True, "no group to judge (1 groups under 30 rows are not judged)."),
    ],
)
def test_slices(slices: Slices, passed: bool, reason: str) -> None:
    decision = judged(candidate({"slices": {"Gender": {"maximum_gap": 0.05}}}, {"roc_auc": 0.9}, slices=slices), None)
    assert (decision.passed, rule(decision, "slices.Gender").reason) == (passed, reason)


@pytest.mark.parametrize(("difference", "changed"), [(1.1e-6, 0), (0.0, 1), (math.nan, 0)])
def test_an_unfaithful_export_fails(difference: float, changed: int) -> None:
    manifest = candidate({}, {"roc_auc": 0.9}).model_copy(
        update={"parity": Parity(max_difference=difference, changed_classes=changed, holdout_rows=10, boundary_rows=10)}
    )
    decision = judged(manifest, None)
    assert not decision.passed
    assert not rule(decision, "parity").passed


# Multiples of 1/64 are exact in binary, so that raising two numbers alike does not change their difference.
exact = st.integers(0, 64).map(lambda number: number / 64)


@given(
    minimum=exact, gain=exact, gap=exact, value=exact, champion=exact,
    groups=st.dictionaries(st.sampled_from("FMX"), exact, min_size=1),
    raised=exact, raised_groups=st.sets(st.sampled_from("FMX")), metric=st.sampled_from(["roc_auc", "log_loss"]),
)  # fmt: skip
def test_better_never_fails_what_passed(
    minimum: float, gain: float, gap: float, value: float, champion: float, groups: dict[str, float],
    raised: float, raised_groups: set[str], metric: str,
) -> None:  # fmt: skip
    """Raising the metric of the whole with all its groups, or of some groups alone, turns no pass into a fail."""
    better = -raised if metric == "log_loss" else raised
    side = "maximum" if metric == "log_loss" else "minimum"
    gate = {side: {metric: minimum}, "gain": gain, "slices": {"Gender": {"maximum_gap": gap + 1 / 128}}}

    def verdict(whole: float, parts: dict[str, float]) -> Decision:
        slices = {"Gender": {group: {metric: part, "rows": 99.0} for group, part in parts.items()}}
        manifest = candidate(gate, {metric: whole}, metric=metric, slices=slices)
        return decide(manifest, against(manifest, {metric: champion}))

    before = verdict(value, groups)
    everywhere = verdict(value + better, {group: part + better for group, part in groups.items()})
    somewhere = verdict(value, {group: part + better * (group in raised_groups) for group, part in groups.items()})
    alone = verdict(value + better, groups)
    for rule_before, *after in zip(before.rules, everywhere.rules, somewhere.rules, strict=True):
        assert all(rule.passed for rule in after) or not rule_before.passed
    for rule_before, rule_after in zip(before.rules, alone.rules, strict=True):
        assert rule_after.passed or not rule_before.passed or rule_after.rule == "slices.Gender"


def test_the_first_answer_is_the_one_that_is_kept() -> None:
    store = Store(MemoryStore())
    good = decide(candidate({}, {"roc_auc": 0.9}), None)
    bad = challenged(candidate({}, {"roc_auc": 0.8}))
    assert record_decision(store, MODEL, "run/1", bad) == bad
    assert record_decision(store, MODEL, "run/1", bad) == bad
    assert record_decision(store, MODEL, "run/1", good) == bad
    assert record_decision(store, MODEL, "run/2", good) == good
    kept = json.loads(store.get(keys.gate_decision(MODEL, "run/1")).data)
    assert kept["passed"] is False
    assert kept["rules"][0]["reason"] == rule(bad, "gain.roc_auc").reason


def measured(gain: float, give: float = 0.01, **more: Any) -> Comparison:
    """A gain with its interval."""
    said = {"low": gain - give, "high": gain + give, "p_value": 0.5, **more}
    return compared({"roc_auc": 0.8}, {"roc_auc": 0.8 + gain}, **said)


BETTER, EVEN, WORSE = measured(0.05), measured(0.005), measured(-0.05)
FED = {"trusted": False}


@pytest.mark.parametrize(
    ("time", "untrusted", "holdout", "window", "passed"),
    [
        # What can be trusted and is newest decides where time has an order, whatever the old holdout says.
        ("day", False, WORSE, BETTER, True),
        ("day", False, BETTER, WORSE, False),
        ("day", False, WORSE, EVEN, True),
        ("day", False, None, BETTER, True),
        ("day", True, WORSE, BETTER, True),
        ("day", True, BETTER, EVEN, False),
        # Feedback must be significantly better: on the holdout, or on the window without being worse on the holdout.
        (None, True, BETTER, None, True),
        (None, True, BETTER, measured(-0.05, **FED), True),
        (None, True, EVEN, None, False),
        (None, True, EVEN, measured(0.05, **FED), True),
        (None, True, EVEN, measured(0.005, **FED), False),
        (None, True, measured(-0.005), measured(0.05, **FED), True),
        (None, True, WORSE, measured(0.05, **FED), False),
        (None, True, None, measured(0.05, **FED), False),
        ("day", True, WORSE, measured(0.05, **FED), False),
        ("day", True, EVEN, measured(0.05, **FED), True),
        # Without feedback the holdout decides as ever, or what is new and significantly better.
        (None, False, EVEN, None, True),
        (None, False, measured(-0.005), None, False),
        (None, False, measured(-0.005), BETTER, True),
        (None, False, measured(-0.005), EVEN, False),
        (None, False, WORSE, BETTER, False),
        ("day", False, EVEN, None, True),
        ("day", False, WORSE, None, False),
    ],
)
def test_which_rows_decide(
    time: str | None, untrusted: bool, holdout: Comparison | None, window: Comparison | None, passed: bool
) -> None:
    features = {"Age": {"type": "number"}, "Gender": {"type": "category", "values": ["F", "M"]}}
    manifest, _ = version(spec=spec(gate={}, time=time, features=features))
    champion = Champion(version="c", holdout=holdout, why="gone", window=window, untrusted=untrusted)
    decision = decide(manifest, champion)
    found = rule(decision, "gain.roc_auc")
    assert found.passed is passed, found.reason
    assert decision.compared == champion
    by_callers = window is not None and not window.trusted and not holdout_passes(untrusted, holdout)
    asks = found.passed and (untrusted or by_callers)  # with a p-value of 0.5, and feedback, it may be luck
    assert decision.approval is found.approval is asks
    assert ("a person has to approve it" in found.reason) is asks
    assert "`perennial promote" not in found.reason  # the command line and the notices tell it, once
    assert ("retrain.feedback: false" in found.reason) is (untrusted and not passed)
    assert holdout is None or window is None or "95 % interval" in found.reason


@pytest.mark.parametrize(
    ("metric", "files", "chances", "asks"),
    [
        ("roc_auc", 1, {"p_value": 0.01}, False),
        ("roc_auc", 1, {"p_value": 0.011}, True),
        ("roc_auc", 2, {"p_value": 0.0025}, False),
        ("roc_auc", 2, {"p_value": 0.003}, True),
        ("roc_auc", 1, {"p_value": None}, True),
        ("accuracy", 1, {"p_value": 0.002, "mcnemar": 0.12}, True),  # four rows won and none lost
        ("accuracy", 1, {"p_value": 0.5, "mcnemar": 0.002}, False),
        ("accuracy", 3, {"p_value": 0.002, "mcnemar": 0.002}, True),
    ],
)
def test_what_callers_can_try_again_and_again_is_not_promoted_by_luck(
    metric: str, files: int, chances: dict[str, float | None], asks: bool
) -> None:
    holdout = compared({metric: 0.8}, {metric: 0.85}, metric, **chances)
    manifest = candidate({}, {metric: 0.85}, metric=metric)
    decision = decide(manifest, Champion(version="c", holdout=holdout, untrusted=True, files=files))
    assert decision.passed and decision.approval is asks, rule(decision, f"gain.{metric}").reason
    assert not decide(manifest, Champion(version="c", holdout=holdout)).approval


def holdout_passes(untrusted: bool, holdout: Comparison | None) -> bool:
    """Whether the holdout alone lets it pass, so that nobody's labels of newer rows are asked."""
    found = decide(version()[0], Champion(version="c", holdout=holdout, why="gone", untrusted=untrusted))
    return rule(found, "gain.roc_auc").passed


@pytest.mark.parametrize(
    ("gate", "holdout", "passed", "says"),
    [
        (
            {"confidence": 0.9},
            measured(0.05, bound=0.01),
            True,
            "at confidence 0.9, of at least 0 is wanted (0.01): it is reached.",
        ),
        (
            {"confidence": 0.9},
            measured(0.05, bound=-0.01),
            False,
            "A lower bound of the gain, at confidence 0.9, of at least 0 is wanted (-0.01): it falls",
        ),
        ({"confidence": 0.9, "gain": 0.02}, measured(0.05, bound=0.01), False, "of at least 0.02 is wanted (0.01)"),
        ({"confidence": 0.9}, measured(0.05), False, "is wanted (unknown): it falls short."),
        ({"gain": 0.06}, measured(0.05), False, "A gain of at least 0.06 is wanted: it falls short."),
        ({}, measured(0.05, low=None), True, "(no interval)"),
    ],
)
def test_confidence_asks_the_gain_of_the_lower_bound(
    gate: dict[str, Any], holdout: Comparison, passed: bool, says: str
) -> None:
    found = rule(decide(candidate(gate, {"roc_auc": 0.9}), Champion(version="c", holdout=holdout)), "gain.roc_auc")
    assert found.passed is passed and says in found.reason


def test_feedback_without_an_interval_or_short_of_the_gain_never_passes() -> None:
    for gate, holdout in (({}, measured(0.05, low=None)), ({"gain": 0.06}, BETTER), ({"gain": -1.0}, EVEN)):
        champion = Champion(version="c", holdout=holdout, untrusted=True)
        assert not decide(candidate(gate, {"roc_auc": 0.9}), champion).passed


def test_a_veto_of_the_holdout_is_told_in_short_sentences() -> None:
    """What was measured and wanted on each, once; figures to four digits."""
    holdout = measured(-0.0186086, low=-0.0251239, high=-0.0121)
    champion = Champion(version="c", holdout=holdout, window=measured(0.12345678, **FED), untrusted=True)
    reason = rule(decide(candidate({}, {"roc_auc": 0.9}), champion), "gain.roc_auc").reason
    assert reason.startswith(
        "On 1,234 newest rows: roc_auc 0.9235 against 0.8 of champion c, a gain of 0.1235 "
        "(95 % interval 0.1135 to 0.1335). A gain of at least 0, significantly better than nought, is wanted: it is "
        "reached. On 1,234 holdout rows: roc_auc 0.7814 against 0.8 of champion c, a gain of -0.01861 "
        "(95 % interval -0.02512 to -0.0121). There it must not be significantly worse: it is. It learnt from feedback"
    )


def test_a_missing_window_says_why() -> None:
    champion = Champion(version="c", holdout=WORSE, window_why="roc_auc is undefined on the 30 rows")
    reason = rule(decide(candidate({}, {"roc_auc": 0.9}), champion), "gain.roc_auc").reason
    assert "There is no window of new rows to look at: roc_auc is undefined on the 30 rows." in reason


def test_a_decision_of_the_earlier_release_is_read() -> None:
    raw = MemoryStore()
    made = challenged(candidate({}, {"roc_auc": 0.95}))
    raw.put(keys.gate_decision(MODEL, "run"), canonical(made.model_dump(mode="json", exclude={"compared"})))
    store = Store(raw)
    assert find_decision(store, MODEL, "run") == made.model_copy(update={"compared": None})
    assert record_decision(store, MODEL, "run", made).compared is None
    assert find_decision(store, MODEL, "other") is None
    assert record_decision(store, MODEL, "other", made) == find_decision(store, MODEL, "other") == made


def test_what_is_kept_must_be_a_decision() -> None:
    raw = MemoryStore()
    raw.put(keys.gate_decision(MODEL, "run"), b"{}")
    with pytest.raises(IntegrityError, match="no gate decision"):
        record_decision(Store(raw), MODEL, "run", decide(candidate({}, {"roc_auc": 0.9}), None))
