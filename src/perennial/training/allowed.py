"""Which estimators a spec may name: an allow-list of modules, so that no import path runs foreign code."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from inspect import isabstract, isclass
from typing import Any

from sklearn.base import BaseEstimator, is_classifier, is_regressor

from perennial.errors import TrainingError

MODULES = (
    "sklearn.calibration",
    "sklearn.cross_decomposition",
    "sklearn.discriminant_analysis",
    "sklearn.dummy",
    "sklearn.ensemble",
    "sklearn.gaussian_process",
    "sklearn.isotonic",
    "sklearn.kernel_ridge",
    "sklearn.linear_model",
    "sklearn.naive_bayes",
    "sklearn.neighbors",
    "sklearn.neural_network",
    "sklearn.svm",
    "sklearn.tree",
)
XGBOOST = ("XGBClassifier", "XGBRegressor")
SILENCED = ("verbose", "verbosity")
"""Parameters that make a library print on standard output, where results are expected."""


def resolve(path: str, params: Mapping[str, Any], seed: int, key: str = "estimator") -> BaseEstimator:
    """The unfitted estimator behind an import path, with its parameters, every seed set, and one thread.

    ``key`` is the dotted key of the spec that names the path, for errors. What decides whether two
    runs agree to the last digit is not the spec's to choose: seeds, threads (sums then have one
    order) and, for XGBoost, the method and the device. Nor is whether a library prints.

    Raises:
        TrainingError: the path is not allowed, is no classifier or regressor, takes no such parameter, or
            could never work on scaled numbers.
    """
    kind = _class(path, key)
    try:
        estimator = kind()
    except TypeError as error:
        raise TrainingError(
            f"{key}: {path} needs other estimators to work with.", remedy="Name one that stands alone."
        ) from error
    if not is_classifier(estimator) and not is_regressor(estimator):
        raise TrainingError(f"{key}: {path} is neither a classifier nor a regressor.", remedy="Name one that predicts.")
    if estimator.__sklearn_tags__().input_tags.positive_only:
        raise TrainingError(
            f"{key}: {path} takes no negative numbers, and numbers are scaled around zero here.",
            remedy="Name another, such as sklearn.naive_bayes.GaussianNB or BernoulliNB.",
        )
    known = estimator.get_params()
    for param in params:
        if param not in known:
            own = ", ".join(sorted(each for each in known if "__" not in each))
            raise TrainingError(f"{key}: {path} has no parameter {param!r}.", remedy=f"It takes {own}.")
    fixed = {name: value for name, value in _fixed(kind, seed).items() if name in known}
    return estimator.set_params(**{**params, **fixed})


def _class(path: str, key: str) -> type[BaseEstimator]:
    module, _, name = path.rpartition(".")
    if not (module in MODULES or (module == "xgboost" and name in XGBOOST)):
        raise TrainingError(
            f"{key}: {path!r} is not allowed.",
            remedy=f"Name an estimator of {', '.join(MODULES)}, or one of xgboost: {', '.join(XGBOOST)}.",
        )
    found = getattr(import_module(module), name, None)
    if name.startswith("_") or not isclass(found) or not issubclass(found, BaseEstimator) or isabstract(found):
        raise TrainingError(f"{key}: {module} has no estimator {name!r}.", remedy="Correct its spelling.")
    return found


def _fixed(kind: type[BaseEstimator], seed: int) -> dict[str, object]:
    """None is one thread to scikit-learn, which warns of any number where it means to drop the parameter.

    XGBoost's first level of verbosity gives warnings, which become notes; the next ones print.
    """
    if kind.__module__.startswith("xgboost."):
        return {"random_state": seed, "n_jobs": 1, "tree_method": "hist", "device": "cpu", "verbosity": 1}
    return {"random_state": seed, "n_jobs": None, "verbose": 0}
