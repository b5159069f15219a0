"""One candidate: trained, exported, proven, and the same bytes each time; or refused with a reason."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info

from perennial.datasets.load import Rows
from perennial.errors import TrainingError
from perennial.export import export_pipeline
from perennial.records import columns
from perennial.spec import Candidate
from perennial.training.allowed import resolve
from perennial.training.candidate import train_candidate
from perennial.training.foreign import first_line
from perennial.training.outcome import CandidateReport, RefusedCandidate, TrainedCandidate, select
from perennial.training.preprocess import build_pipeline
from perennial.training.weights import with_indices
from tests.support import training as cases
from tests.support.training import BOOSTED, FOREST, LOGISTIC, RIDGE, TREE, XGBOOST, Problem


def attempt(problem: Problem, name: str = "linear") -> TrainedCandidate | RefusedCandidate:
    return train_candidate(
        problem.spec, name, problem.train, problem.holdout.x, problem.classes, progress=lambda text: None
    )


def trained(problem: Problem, name: str = "linear") -> TrainedCandidate:
    outcome = attempt(problem, name)
    assert isinstance(outcome, TrainedCandidate), outcome
    return outcome


def refused(problem: Problem, name: str) -> RefusedCandidate:
    outcome = attempt(problem, name)
    assert isinstance(outcome, RefusedCandidate), outcome
    return outcome


@pytest.mark.parametrize(("make", "least"), [(cases.iris, 0.9), (cases.cancer, 0.98)])
def test_a_good_model_comes_out_of_known_data(make: Any, least: float) -> None:
    report = trained(make()).report
    assert report.cross_validation.value > least
    assert len(report.folds) == 5
    assert report.cross_validation.value == pytest.approx(np.mean(report.folds))
    assert report.cross_validation.low is not None
    assert report.cross_validation.low < min(report.cross_validation.value, *report.folds) + 0.05
    assert report.parity.max_difference <= 1e-6
    assert report.parity.holdout_rows == len(make().holdout.y)


def test_a_regression_comes_out_of_known_data() -> None:
    report = trained(cases.diabetes()).report
    assert 40 < report.cross_validation.value < 50  # mean absolute error; the mean alone gives 66


@pytest.mark.parametrize("name", ["logistic", "forest", "boosted", "xgboost"])
def test_two_runs_give_the_same_bytes(name: str) -> None:
    searched = {**XGBOOST, "search": {"max_depth": [2, 3]}}
    candidates = {"logistic": LOGISTIC, "forest": FOREST, "boosted": BOOSTED, "xgboost": searched}
    problem = cases.mixed().having(candidates=candidates)
    before = threading.active_count()
    first, second = trained(problem, name), trained(problem, name)
    assert first.onnx == second.onnx
    assert first.report == second.report
    assert threading.active_count() == before


def test_a_search_finds_what_is_plainly_better() -> None:
    grid = {"alpha": [1e9, 1.0, 1e7]}
    problem = cases.diabetes().having(candidates={"ridge": {**RIDGE, "search": grid}})
    report = trained(problem, "ridge").report
    assert report.params == {"alpha": 1.0}
    alone = trained(cases.diabetes().having(candidates={"ridge": {**RIDGE, "params": {"alpha": 1.0}}}), "ridge").report
    assert report.folds == alone.folds  # the last rung is the cross-validation, on the same folds


def test_a_setting_that_cannot_be_fitted_is_noted_and_the_others_go_on() -> None:
    problem = cases.iris().having(candidates={"logistic": {**LOGISTIC, "search": {"C": [-1.0, 1.0]}}})
    report = trained(problem, "logistic").report
    assert report.params["C"] == 1.0
    assert any("-1.0" in note for note in report.notes)


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        ({**LOGISTIC, "params": {"max_itre": 5}}, ["candidates.odd.params.max_itre", "Did you mean max_iter"]),
        ({**LOGISTIC, "search": {"CC": [1]}}, ["candidates.odd.search.CC", "C"]),
        ({**LOGISTIC, "params": {"C": -1}}, ["'C'"]),
        ({"estimator": "sklearn.linear_model.Ridge"}, ["candidates.odd.estimator", "multiclass", "classifier"]),
        ({"estimator": "sklearn.utils.parallel.Parallel"}, ["not allowed"]),
        ({"estimator": "sklearn.tree.DecisionTree"}, ["DecisionTree"]),
        ({**XGBOOST, "params": {"max_depth": "deep"}}, ["XGBoostError: Invalid Parameter format for max_depth"]),
        ({**FOREST, "params": {"monotonic_cst": {"a": 1}}}, ["IndexError: "]),
        ({**BOOSTED, "params": {"max_bins": None}}, ["InvalidParameterError: The 'max_bins' parameter"]),
        (
            {**LOGISTIC, "params": {"class_weight": {"setosa": 1, "lily": 5}}},
            ["candidates.odd.params.class_weight: 'lily'", "'setosa', 'versicolor', 'virginica'"],
        ),
        ({**LOGISTIC, "search": {"class_weight": [{"lily": 5}]}}, ["candidates.odd.search.class_weight: 'lily'"]),
        ({"estimator": "sklearn.naive_bayes.MultinomialNB"}, ["candidates.odd.estimator", "no negative numbers"]),
    ],
)
def test_what_cannot_be_trained_is_refused_with_one_line(candidate: dict[str, Any], words: list[str]) -> None:
    outcome = refused(cases.iris().having(candidates={"odd": candidate}), "odd")
    assert "\n" not in outcome.reason and outcome.reason
    for word in words:
        assert word in outcome.reason


@dataclass
class Hostility:
    """What scikit-learn's own estimator raises, and where."""

    raises: BaseException = field(default_factory=MemoryError)
    where: str = "fit"


@pytest.fixture
def hostility(monkeypatch: pytest.MonkeyPatch) -> Hostility:
    """Makes logistic regression hostile; 120 training rows, hence folds of 96 and 24."""
    found = Hostility()
    fit, predict = LogisticRegression.fit, LogisticRegression.predict

    def hostile_fit(self: Any, X: Any, y: Any, sample_weight: Any = None) -> Any:
        if found.where == "fit" or (found.where == "last fit" and len(y) == 120):
            raise found.raises
        return fit(self, X, y, sample_weight)

    def hostile_predict(self: Any, X: Any) -> Any:
        if found.where == "predict" or (found.where == "proof" and len(X) > 30):
            raise found.raises
        return predict(self, X)

    monkeypatch.setattr(LogisticRegression, "fit", hostile_fit)
    monkeypatch.setattr(LogisticRegression, "predict", hostile_predict)
    return found


@pytest.fixture
def hostile(hostility: Hostility) -> Problem:
    return cases.iris().having(candidates={"odd": LOGISTIC})


@pytest.mark.parametrize("where", ["fit", "predict", "last fit", "proof"])
@pytest.mark.parametrize("error", [IndexError, MemoryError, RuntimeError, AssertionError, StopIteration, OSError])
def test_whatever_an_estimator_raises_costs_only_that_candidate(
    hostile: Problem, hostility: Hostility, where: str, error: type[Exception]
) -> None:
    hostility.raises, hostility.where = error("so it goes\nand on"), where
    assert refused(hostile, "odd").reason == f"{error.__name__}: so it goes"


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_whoever_ends_the_process_is_obeyed(hostile: Problem, hostility: Hostility, end: type[BaseException]) -> None:
    hostility.raises = end()
    with pytest.raises(end):
        attempt(hostile, "odd")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[05:03:43] /workspace/src/learner.cc:109: value -1 is odd\nStack trace:", "value -1 is odd"),
        (
            "[05:03:43] WARNING: /workspace/src/learner.cc:740: \nParameters unused",
            "Parameters unused",
        ),
        ("plain [05:03:43] text", "plain [05:03:43] text"),
    ],
)
def test_a_reason_holds_neither_the_time_nor_a_path(text: str, line: str) -> None:
    assert first_line(ValueError(text)) == line


def test_class_weights_go_by_the_labels_of_the_target() -> None:
    """As text or as numbers, they are those of the spec, not of the class index."""
    weighted = {"no": 1, "yes": 50}
    problem = cases.mixed().having(candidates={"odd": {**LOGISTIC, "params": {"class_weight": weighted}}})
    outcome = trained(problem, "odd")
    fitted = resolve("sklearn.linear_model.LogisticRegression", {"max_iter": 100, "class_weight": {0: 1, 1: 50}}, 42)
    pipeline = build_pipeline(columns(problem.spec), fitted).fit(problem.train.x, problem.train.y.astype(np.int64))
    assert outcome.onnx == export_pipeline(pipeline, columns(problem.spec), 2)
    assert outcome.report.params["class_weight"] == weighted
    labels = ("7", "0")  # label 0 is the class of index 1
    assert with_indices({"class_weight": {0: 3, "7": 2}}, labels, "x") == {"class_weight": {1: 3, 0: 2}}
    with pytest.raises(TrainingError, match=r"x\.class_weight: '0' is named twice"):
        with_indices({"class_weight": {0: 3, "0.0": 2}}, labels, "x")
    assert with_indices({"class_weight": "balanced", "C": 1}, labels, "x") == {"class_weight": "balanced", "C": 1}


@pytest.mark.parametrize(
    ("estimator", "param"),
    [("sklearn.ensemble.GradientBoostingClassifier", "verbose"), ("xgboost.XGBClassifier", "verbosity")],
)
def test_libraries_print_nothing(estimator: str, param: str, capfd: pytest.CaptureFixture[str]) -> None:
    loud = {"estimator": estimator, "params": {"n_estimators": 3, param: 3}}
    report = trained(cases.iris().having(candidates={"loud": loud}), "loud").report
    assert capfd.readouterr() == ("", "")
    assert any(note.startswith(f"{param} is left out") for note in report.notes)


def test_library_warnings_become_notes(recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]) -> None:
    problem = cases.cancer().having(candidates={"hasty": {**LOGISTIC, "params": {"max_iter": 2}}})
    report = trained(problem, "hasty").report
    assert sum("ConvergenceWarning" in note for note in report.notes) == 1
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_libraries_keep_their_threads_afterwards() -> None:
    before = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
    trained(cases.iris())
    after = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
    assert {path: after[path] for path in before} == before


def test_small_narrow_and_lopsided_data_still_works() -> None:
    assert len(trained(cases.iris().only(20)).report.folds) >= 2
    one = cases.make(
        cases.spec_of("regression", {"x": {"type": "number"}}),
        {"x": np.arange(40.0), "y": np.arange(40.0) ** 2},
        (),
    )
    assert trained(one).report.cross_validation.value > 0
    problem = cases.cancer()
    rare = np.r_[np.flatnonzero(problem.train.y == 0)[:3], np.flatnonzero(problem.train.y == 1)[:60]]
    train = problem.train
    rows = Rows(train.x[rare], train.y[rare], train.table.take(rare))
    report = trained(replace(problem, train=rows)).report
    assert len(report.folds) == 3
    assert any("rarest class" in note for note in report.notes)


def test_a_target_that_never_varies_stops_the_training() -> None:
    spec = cases.spec_of("regression", {"x": {"type": "number"}})
    problem = cases.make(spec, {"x": np.arange(40.0), "y": np.full(40, 3.0)}, ())
    with pytest.raises(TrainingError, match="is 3 in every training row"):
        attempt(problem)


def test_progress_names_the_candidate() -> None:
    told: list[str] = []
    problem = cases.iris()
    train_candidate(problem.spec, "linear", problem.train, problem.holdout.x, problem.classes, told.append)
    assert len(told) >= 3
    assert all(line.startswith("linear: ") for line in told)


def test_the_best_score_wins_ties_go_by_the_order_of_the_spec() -> None:
    base = trained(cases.iris()).report

    def scored(name: str, value: float) -> CandidateReport:
        metric = base.cross_validation.model_copy(update={"value": value})
        return base.model_copy(update={"name": name, "cross_validation": metric})

    spec = cases.iris().having(candidates=dict.fromkeys(("a", "b", "c"), TREE)).spec
    assert select([scored("a", 0.5), scored("b", 0.9), scored("c", 0.7)], spec).name == "b"
    assert select([scored("c", 0.9), scored("b", 0.9), scored("a", 0.5)], spec).name == "b"
    losses = spec.model_copy(update={"metric": "log_loss"})
    assert select([scored("a", 0.5), scored("b", 0.9), scored("c", 0.7)], losses).name == "a"
    out = RefusedCandidate(name="a", estimator="x", reason="no such thing")
    assert select([out, scored("c", 0.1)], spec).name == "c"


def test_what_was_scored_on_one_fold_is_compared_on_that_fold() -> None:
    base = trained(cases.iris()).report

    def scored(name: str, *folds: float) -> CandidateReport:
        metric = base.cross_validation.model_copy(update={"value": sum(folds) / len(folds)})
        return base.model_copy(update={"name": name, "cross_validation": metric, "folds": folds})

    spec = cases.iris().having(candidates=dict.fromkeys(("net", "a", "b"), TREE)).spec
    easy = [scored("a", 0.95, 0.85, 0.87), scored("b", 0.99, 0.6, 0.6)]
    assert select([scored("net", 0.94), *easy], spec).name == "a"  # whose mean is below the network's fold
    assert select([scored("net", 0.96), *easy], spec).name == "net"  # though below a fold of what is not the best
    losses = spec.model_copy(update={"metric": "log_loss"})
    assert select([scored("net", 0.94), *easy], losses).name == "net"
    assert select([scored("net", 0.995), *easy], losses).name == "b"


def test_when_all_are_refused_every_reason_is_told() -> None:
    spec = cases.iris().spec.model_copy(update={"candidates": dict.fromkeys("ab", Candidate.model_validate(TREE))})
    reasons = [RefusedCandidate(name=name, estimator="x", reason=f"reason {name}") for name in "ab"]
    with pytest.raises(TrainingError, match=r"a: reason a; b: reason b"):
        select(reasons, spec)
    with pytest.raises(TrainingError, match="None was tried"):
        select([], spec)
