"""``class_weight`` by class: the labels a spec names become the class indices that estimators are fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perennial.errors import TrainingError
from perennial.spec import label

CLASS_WEIGHT = "class_weight"


def with_indices(params: Mapping[str, Any], classes: tuple[str, ...], key: str) -> dict[str, Any]:
    """The parameters with the labels of ``class_weight`` as class indices; all others as they are.

    Args:
        classes: labels by class index.
        key: dotted key of the parameters in the spec, for errors.

    Raises:
        TrainingError: a label is no class of the target, or is named twice.
    """
    given = params.get(CLASS_WEIGHT)
    if not isinstance(given, Mapping) or not classes:
        return dict(params)
    index = {name: place for place, name in enumerate(classes)}
    found: dict[int, Any] = {}
    for name, weight in given.items():
        place = index.get(label(name))
        if place is None or place in found:
            problem = "is no class of the target" if place is None else "is named twice"
            raise TrainingError(
                f"{key}.{CLASS_WEIGHT}: {label(name)!r} {problem}.",
                remedy=f"The classes are {', '.join(map(repr, classes))}.",
            )
        found[place] = weight
    return {**params, CLASS_WEIGHT: found}
