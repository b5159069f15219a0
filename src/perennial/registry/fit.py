"""Whether a challenger can stand beside a champion: whatever a caller may send to one, the other takes too."""

from __future__ import annotations

import math

from perennial.registry.manifest import ModelManifest
from perennial.spec_features import CategoryFeature, Feature, NumberFeature


def misfit(champion: ModelManifest, challenger: ModelManifest) -> str | None:
    """Why a challenger cannot answer what the champion is asked, or not in the same terms; None where it can.

    A record is checked by the champion's spec and handed to either, so the features are the same ones in the same
    order, and the challenger's take whatever the champion's take. Pictures are framed for each of the two.
    """
    ours, theirs = challenger.spec, champion.spec
    for what, one, other in (
        ("its input is", ours.input, theirs.input),
        ("its task is", ours.task, theirs.task),
        ("it predicts", ours.target.column, theirs.target.column),
        ("its classes are", _listed(challenger.classes), _listed(champion.classes)),
        ("its features are", _listed(ours.features), _listed(theirs.features)),
    ):
        if one != other:
            return f"{what} {one}, the champion's {other}"
    for role in ("id", "time"):
        if getattr(ours, role) != getattr(theirs, role):
            return f"its {role} column is {getattr(ours, role)}, the champion's {getattr(theirs, role)}"
    for name, feature in theirs.features.items():
        if why := _narrower(feature, ours.features[name]):
            return f"its feature {name!r} {why}"
    return None


def _narrower(champion: Feature, challenger: Feature) -> str | None:
    """What of the champion's feature the challenger's does not take; None where it takes all."""
    if champion.missing and not challenger.missing:
        return "may not be missing, the champion's may"
    if isinstance(champion, NumberFeature) and isinstance(challenger, NumberFeature):
        wanted, taken = _range(champion), _range(challenger)
        if taken[0] > wanted[0] or taken[1] < wanted[1]:
            return f"takes {taken[0]:g} to {taken[1]:g}, the champion's {wanted[0]:g} to {wanted[1]:g}"
        if challenger.integer and not champion.integer:
            return "takes whole numbers, the champion's any"
        return None
    if isinstance(champion, CategoryFeature) and isinstance(challenger, CategoryFeature):
        if challenger.unknown == "encode":
            return None
        if champion.unknown == "encode":
            return "refuses unseen values, the champion's takes them"
        lacking = [value for value in champion.values if value not in challenger.values]
        return f"does not know {lacking[0]!r}, the champion's does" if lacking else None
    return None if champion.type == challenger.type else f"is a {challenger.type}, the champion's a {champion.type}"


def _range(feature: NumberFeature) -> tuple[float, float]:
    low = -math.inf if feature.min is None else feature.min
    return low, math.inf if feature.max is None else feature.max


def _listed(names: object) -> str:
    found = ", ".join(map(str, names)) if isinstance(names, (tuple, dict)) else str(names)
    return found if len(found) <= 200 else f"{found[:200]}…"
