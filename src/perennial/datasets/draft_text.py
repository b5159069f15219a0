"""The text of a drafted spec: hand-formatted YAML, with a comment wherever something was decided."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from perennial.datasets.profile import Profile
from perennial.datasets.target import TargetProfile
from perennial.datasets.yaml_text import comment, flow_list, label_text, number, text
from perennial.spec import DEFAULT_METRIC, CategoryFeature, DateFeature, NumberFeature, Task

CANDIDATES: dict[Task, str] = {
    "binary": """\
  logistic:
    estimator: sklearn.linear_model.LogisticRegression
    params: {max_iter: 1000}
    search: {C: [0.01, 0.1, 1, 10]}
  boosted:
    estimator: sklearn.ensemble.HistGradientBoostingClassifier
    search: {learning_rate: [0.05, 0.1], max_leaf_nodes: [15, 31]}
  xgboost:
    estimator: xgboost.XGBClassifier
    params: {n_estimators: 400, learning_rate: 0.05, subsample: 0.8, colsample_bytree: 0.5}
    search: {max_depth: [3, 6]}
""",
    "regression": """\
  ridge:
    estimator: sklearn.linear_model.Ridge
    search: {alpha: [0.1, 1, 10, 100]}
  boosted:
    estimator: sklearn.ensemble.HistGradientBoostingRegressor
    search: {learning_rate: [0.05, 0.1], max_leaf_nodes: [15, 31]}
  xgboost:
    estimator: xgboost.XGBRegressor
    params: {n_estimators: 400, learning_rate: 0.05, subsample: 0.8, colsample_bytree: 0.5}
    search: {max_depth: [3, 6]}
""",
}
CANDIDATES["multiclass"] = CANDIDATES["binary"]
MANY_ROWS = 15_000
WATCHING = """\
  drift_share: 0.3  # drift: more than this share of the features moved
  # performance: {{{metric}: {bound}, labels: 200}}  # decay: {metric} {beyond} this, on at least so many true values
  cooldown: 6h
  feedback: true  # false keeps labels given through the API out of training
monitor: {{schedule: "0 */6 * * *", window: 7d, capture: 1.0, minimum_rows: 100, effect: 0.1}}
# notify: {{email: [you@example.org], slack_webhook_secret: perennial/slack}}  # who is told
"""


@dataclass(frozen=True)
class Plan:
    """All a draft says. ``leaks`` maps a column to why it may tell the target."""

    model: str
    file: str
    rows: int
    target: str
    id: str | None
    time: str | None
    judged: TargetProfile
    profiles: tuple[Profile, ...]
    leaks: dict[str, str]

    @property
    def dates(self) -> tuple[str, ...]:
        """Features that could be the time column, where there is none."""
        found = (one.name for one in self.profiles if isinstance(one.feature, DateFeature))
        return () if self.time else tuple(found)


def render(plan: Plan) -> str:
    """The YAML of the plan."""
    return "".join(f"{line}\n" for line in _lines(plan)).replace("\n\n\n", "\n\n")


def _lines(plan: Plan) -> Iterator[str]:
    yield f"# Drafted by `perennial init` from {comment(plan.file)}, {plan.rows:,} rows. Read it before you use it."
    yield f"name: {text(plan.model)}"
    yield f"task: {plan.judged.task}"
    yield from _target(plan)
    yield f"id: {text(plan.id) if plan.id else 'null'}"
    yield from _time(plan)
    yield "features:"
    for one in plan.profiles:
        if one.feature is not None:
            yield from _feature(one, plan.leaks.get(one.name))
    out = [one for one in plan.profiles if one.feature is None]
    if out:
        yield "# Left out:"
        for one in out:
            yield f"#   {comment(one.name)}: {comment(one.note)}"
    yield from _holdout(plan)
    yield "candidates:"
    yield CANDIDATES[plan.judged.task].rstrip("\n")
    yield f"metric: {DEFAULT_METRIC[plan.judged.task]}"
    yield from _gate(plan.judged)
    yield from _retrain(plan)


def _time(plan: Plan) -> Iterator[str]:
    if plan.time:
        yield f"time: {text(plan.time)}  # the holdout is the last part by time"
    elif plan.dates:
        yield f"time: null  # where the world moves, draft it again with --time {comment(plan.dates[0])}"
    else:
        yield "time: null"


def _retrain(plan: Plan) -> Iterator[str]:
    """All that keeps it fresh, at the defaults but for ``new_rows``."""
    yield "# What starts a training, how it is watched, who is told: docs/spec.md tells every key."
    yield "retrain:"
    yield '  schedule: "@daily"'
    yield f"  new_rows: {max(50, _two_digits(plan.rows // 20))}"
    metric, bound = _floor(plan.judged)
    beyond = "above" if plan.judged.task == "regression" else "below"
    yield WATCHING.format(metric=metric, bound=bound, beyond=beyond).rstrip("\n")


def _holdout(plan: Plan) -> Iterator[str]:
    if plan.rows < MANY_ROWS:
        yield "holdout: {fraction: 0.2, seed: 42}"
        return
    yield f"# a tenth, {plan.rows // 10:,} rows, measures well enough and leaves more to learn from"
    yield "holdout: {fraction: 0.1, seed: 42}"


def _target(plan: Plan) -> Iterator[str]:
    judged = plan.judged
    yield f"# {comment(judged.note)}"
    if judged.task == "regression":
        yield f"target: {{column: {text(plan.target)}}}"
        return
    yield "target:"
    yield f"  column: {text(plan.target)}"
    last = "  # the positive class is the last" if judged.task == "binary" else ""
    yield f"  classes: {flow_list(judged.classes, 11)}{last}"
    if judged.task == "binary":
        yield f"  positive: {label_text(judged.classes[-1])}"


def _feature(one: Profile, leak: str | None) -> Iterator[str]:
    if leak is not None:
        yield f"  # LIKELY LEAK: {comment(leak)}. Take it out unless it is known before the target is."
    if one.note:
        yield f"  # {comment(one.note)}"
    missing = ", missing: true" if one.feature is not None and one.feature.missing else ""
    match one.feature:
        case NumberFeature(min=low, max=high, integer=integer):
            bounds = "".join(f", {end}: {number(at)}" for end, at in (("min", low), ("max", high)) if at is not None)
            kind = ", integer: true" if integer else ""
            yield f"  {text(one.name)}: {{type: number{bounds}{kind}{missing}}}"
        case CategoryFeature(values=values, unknown=unknown):
            extra = (", unknown: encode" if unknown == "encode" else "") + missing
            start = f"  {text(one.name)}: {{type: category{extra}, values: "
            yield f"{start}{flow_list(values, len(start))}}}"
        case _:
            yield f"  {text(one.name)}: {{type: date{missing}}}"


def _gate(judged: TargetProfile) -> Iterator[str]:
    metric, bound = _floor(judged)
    match judged.task:
        case "binary":
            yield f"gate: {{minimum: {{{metric}: {bound}}}}}  # 0.5 is guessing; raise it to what you need"
        case "multiclass":
            yield f"gate: {{minimum: {{{metric}: {bound}}}}}  # what the commonest class alone reaches"
        case "regression":
            yield f"gate: {{maximum: {{{metric}: {bound}}}}}  # what the median alone reaches"
    yield "# gate also takes approval: human, so that a person decides on what passes"


def _floor(judged: TargetProfile) -> tuple[str, str]:
    """A metric, and what must at least be had of it to be better than knowing nothing."""
    match judged.task:
        case "binary":
            return "roc_auc", "0.6"
        case "multiclass":
            return "accuracy", number(math.floor(judged.baseline * 100) / 100)
        case "regression":
            return "mean_absolute_error", number(float(f"{judged.baseline:.3g}"))


def _two_digits(value: int) -> int:
    return int(float(f"{value:.2g}"))
