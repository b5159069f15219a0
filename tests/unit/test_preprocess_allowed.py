"""Import paths from a spec: what is allowed, and how what is not is refused."""

from __future__ import annotations

import pytest

from perennial.errors import TrainingError
from perennial.training.allowed import resolve


def test_seeds_and_threads_are_not_the_specs_to_choose() -> None:
    forest = resolve("sklearn.ensemble.RandomForestClassifier", {"n_estimators": 7, "n_jobs": 8, "random_state": 1}, 42)
    assert (forest.n_estimators, forest.n_jobs, forest.random_state) == (7, None, 42)
    boosted = resolve("xgboost.XGBRegressor", {"max_depth": 3, "tree_method": "exact"}, 5)
    assert (boosted.max_depth, boosted.n_jobs, boosted.random_state) == (3, 1, 5)
    assert (boosted.tree_method, boosted.device) == ("hist", "cpu")


def test_libraries_are_kept_from_printing() -> None:
    assert resolve("sklearn.ensemble.GradientBoostingClassifier", {"verbose": 2}, 1).verbose == 0
    assert resolve("xgboost.XGBClassifier", {"verbosity": 3}, 1).verbosity == 1  # warnings only, which become notes


@pytest.mark.parametrize(
    "path",
    [
        "sklearn.calibration.CalibratedClassifierCV",
        "sklearn.cross_decomposition.PLSRegression",
        "sklearn.isotonic.IsotonicRegression",
        "sklearn.kernel_ridge.KernelRidge",
    ],
)
def test_whatever_predicts_may_be_named(path: str) -> None:
    assert type(resolve(path, {}, 0)).__name__ == path.rpartition(".")[2]


@pytest.mark.parametrize("name", ["MultinomialNB", "ComplementNB", "CategoricalNB"])
def test_what_can_never_work_on_scaled_numbers_says_so(name: str) -> None:
    with pytest.raises(TrainingError, match=f"{name} takes no negative numbers.*GaussianNB"):
        resolve(f"sklearn.naive_bayes.{name}", {}, 0)


def test_an_estimator_without_a_seed_is_left_alone() -> None:
    assert resolve("sklearn.linear_model.LinearRegression", {"fit_intercept": False}, 1).fit_intercept is False


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "sklearn.utils.parallel.Parallel",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.pipeline.Pipeline",
        "sklearn.linear_model",
        "xgboost.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.XGBRFClassifier",
        "LogisticRegression",
        "",
        "sklearn.ensemble.",
        "sklearn.ensemble..RandomForestClassifier",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(TrainingError) as refused:
        resolve(path, {}, 0, "candidates.mine.estimator")
    assert "candidates.mine.estimator" in str(refused.value)
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("sklearn.ensemble.RandomForestClasifier", "no estimator"),
        ("sklearn.ensemble.__builtins__", "no estimator"),
        ("sklearn.linear_model.np", "no estimator"),
        ("sklearn.tree.export_text", "no estimator"),
        ("sklearn.tree.BaseDecisionTree", "no estimator"),
        ("sklearn.ensemble.VotingClassifier", "needs other estimators"),
        ("sklearn.ensemble.IsolationForest", "neither a classifier nor a regressor"),
        ("sklearn.neighbors.NearestNeighbors", "neither a classifier nor a regressor"),
    ],
)
def test_what_an_allowed_module_holds_besides_estimators_is_refused(path: str, reason: str) -> None:
    with pytest.raises(TrainingError, match=reason):
        resolve(path, {}, 0)


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(TrainingError, match=r"candidates\.tree: .* no parameter 'depth'.*max_depth"):
        resolve("sklearn.tree.DecisionTreeClassifier", {"depth": 3}, 0, "candidates.tree")
